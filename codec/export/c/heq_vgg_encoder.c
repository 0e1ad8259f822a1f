/* The patch-constant mode: a code of the same length for each patch. Convolutions choose a class,
 * and the class which bits of a transform are sent. */

#include "heq_file.h"
#include "heq_class_code.h"
#include "heq_coefficients.h"
#include "heq_transform_tables.h"
#include "heq_vgg.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint16_t bytes; /* of a code */
    uint8_t code[HEQ_VGG_CODE];
    heq_class_coder coder;
    union { /* one after the other */
#ifndef HEQ_KERNEL_FAST
        heq_vgg_memory convolutions;
#endif
        struct {
            int16_t field[HEQ_SIDE * HEQ_SIDE];
            int32_t coefficients[HEQ_SIDE * HEQ_SIDE];
        } plane;
    } memory;
} heq_state;

static const heq_vgg vgg = {
    vgg_weights, vgg_planes, vgg_cuts, VGG_CUT_BITS, VGG_CUT_OFFSET, VGG_CUTS_OF_EACH_OUTPUT,
};
static const heq_class_tables class_tables = {
    class_scales, class_cuts, class_gains, class_bias, class_bands, CLASS_SHIFT,
};
#include "heq_patch_mode.h"

/* The first layer looks at three rows at a time: what a reader takes is read beforehand. */
static void read_patch(heq_patch *patch, uint8_t *pixels)
{
    const uint8_t *row = patch->pixels;
    int y;
    for (y = 0; y < patch->rows; y++) {
        patch->read(patch->source, row, y, pixels + ((size_t)times_3(y) << 5));
        row += y + 1 < patch->rows ? patch->stride : 0;
    }
    patch->read = NULL;
    patch->pixels = pixels;
    patch->stride = HEQ_ROW_BYTES;
}

/* The code of a patch. */
static const uint8_t *mode_code(heq_state *state, const heq_patch *given)
{
    uint8_t pixels[HEQ_SIDE * HEQ_ROW_BYTES];
    heq_patch here = *given;
    const heq_patch *patch = &here;
    int plane, planes = state->file.channels;
    int32_t *coefficients = state->memory.plane.coefficients;
    int16_t totals[HEQ_VGG_OUTPUTS];
#ifdef HEQ_KERNEL_FAST
    heq_square fields[3];
    if (here.read != NULL) {
        read_patch(&here, pixels);
    }
    heq_fast_vgg_encode(&vgg, patch, NULL, totals);
    heq_class_begin(&state->coder);
    heq_fast_colour(patch, fields);
    for (plane = 0; plane < planes; plane++) {
        heq_fast_patch_coefficients(&transform, &fields[plane], plane, coefficients);
        heq_class_plane(&state->coder, plane, coefficients);
    }
#else
    if (here.read != NULL) {
        read_patch(&here, pixels);
    }
    heq_vgg_encode(&vgg, patch, &state->memory.convolutions, NULL, totals);
    heq_class_begin(&state->coder);
    for (plane = 0; plane < planes; plane++) {
        heq_patch_coefficients(&transform, patch, plane, state->memory.plane.field, coefficients);
        heq_class_plane(&state->coder, plane, coefficients);
    }
#endif
    heq_class_code(&state->coder, &class_tables, totals, state->bytes, state->code);
    return state->code;
}
