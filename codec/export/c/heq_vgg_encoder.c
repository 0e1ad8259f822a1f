/* The patch-constant mode: a code of the same length for each patch, of seven convolutions. */

#include "heq_file.h"
#include "heq_vgg.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint16_t bytes; /* of a code */
    uint8_t code[HEQ_VGG_CODE];
#ifndef HEQ_KERNEL_FAST
    heq_vgg_memory memory;
#endif
} heq_state;

static const heq_vgg vgg = {
    vgg_weights, vgg_planes, vgg_cuts, VGG_CUT_BITS, VGG_CUT_OFFSET, VGG_CUTS_OF_EACH_OUTPUT,
};

#include "heq_patch_mode.h"

static void mode_patch(heq_state *state, const heq_patch *patch)
{
#ifdef HEQ_KERNEL_FAST
    heq_fast_vgg_encode(&vgg, patch, state->code);
#else
    heq_vgg_encode(&vgg, patch, &state->memory, state->code);
#endif
    heq_file_put(&state->file, state->code, state->bytes);
}
