/* The patch-constant mode: a code of the same length for each patch, of a transform. */

#include "heq_file.h"
#include "heq_patch_code.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint16_t bytes; /* of a code */
    int16_t field[HEQ_SIDE * HEQ_SIDE];
    heq_patch_coder coder;
} heq_state;

static const heq_patch_tables patch_tables = {
    patch_significance, patch_flag, patch_refinement, patch_lps, patch_order,
};
static const heq_transform transform = {
    transform_large, transform_small, TRANSFORM_LAYERS, TRANSFORM_SHIFT,
};

#include "heq_patch_mode.h"

static void mode_patch(heq_state *state, const heq_patch *patch)
{
    int plane, planes = state->file.channels;
#ifdef HEQ_KERNEL_FAST
    heq_square fields[3];
    heq_fast_colour(patch, fields);
    for (plane = 0; plane < planes; plane++) {
        heq_fast_patch_coefficients(&transform, &fields[plane], plane,
                                    state->coder.coefficients[plane]);
    }
#else
    for (plane = 0; plane < planes; plane++) {
        heq_colour(patch, plane, state->field);
        heq_patch_coefficients(&transform, state->field, plane, state->coder.coefficients[plane]);
    }
#endif
    heq_patch_encode(&state->coder, &patch_tables, planes, state->bytes);
    heq_file_put(&state->file, state->coder.code, state->bytes);
}
