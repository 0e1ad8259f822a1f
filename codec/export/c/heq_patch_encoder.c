/* The patch-constant mode: a code of the same length for each patch, of a transform. */

#include "heq_file.h"
#include "heq_patch_code.h"
#include "heq_transform_tables.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint16_t bytes; /* of a code */
    heq_patch_coder coder;
} heq_state;

static const heq_patch_tables patch_tables = {
    patch_significance, patch_flag, patch_refinement, patch_lps, patch_order,
};

#include "heq_patch_mode.h"

/* The code of a patch. */
static const uint8_t *mode_code(heq_state *state, const heq_patch *patch)
{
    int plane, planes = state->file.channels;
#ifdef HEQ_KERNEL_FAST
    heq_square fields[3];
    heq_fast_colour(patch, fields);
    for (plane = 0; plane < planes; plane++) {
        heq_fast_held_coefficients(&transform, &fields[plane], plane,
                                   state->coder.coefficients[plane]);
    }
#else
    for (plane = 0; plane < planes; plane++) {
        heq_held_coefficients(&transform, patch, plane, state->coder.coefficients[plane]);
    }
#endif
    heq_patch_encode(&state->coder, &patch_tables, planes, state->bytes);
    return state->coder.code;
}
