/* The functions of heq_classifier.h: a code of 256 bits, and a sum for each class. */

#include "heq_vgg.h"

#define CODE_BITS 256

typedef struct {
    uint8_t code[HEQ_VGG_CODE];
#ifndef HEQ_KERNEL_FAST
    heq_vgg_memory memory;
#endif
} heq_state;

typedef char classifier_holds_state[sizeof(heq_state) <= HEQ_CLASSIFIER_BYTES ? 1 : -1];
typedef char int_is_wide_enough[sizeof(int) >= 4 ? 1 : -1];

static const heq_vgg vgg = {
    vgg_weights, vgg_planes, vgg_cuts, VGG_CUT_BITS, VGG_CUT_OFFSET, VGG_CUTS_OF_EACH_OUTPUT,
};

int heq_classify(heq_classifier *classifier, const uint8_t *pixels, size_t stride, int channels,
                 int32_t *scores)
{
    heq_state *state = (heq_state *)classifier;
    const int8_t *weight = head_weights;
    heq_patch patch;
    int class, best = 0;
    patch.pixels = pixels;
    patch.stride = stride;
    patch.channels = patch.pixel_bytes = channels;
    patch.columns = patch.rows = HEQ_SIDE;
    patch.read = NULL;
    patch.source = NULL;
#ifdef HEQ_KERNEL_FAST
    heq_fast_vgg_encode(&vgg, &patch, state->code, NULL);
#else
    heq_vgg_encode(&vgg, &patch, &state->memory, state->code, NULL);
#endif
    for (class = 0; class < HEQ_CLASSES; class++) {
        int32_t score = head_biases[class];
        const uint8_t *code = state->code, *end = code + (CODE_BITS >> 3);
        for (; code < end; code++) {
            int mask;
            for (mask = 0x80; mask != 0; mask >>= 1, weight++) {
                score = (*code & mask) != 0 ? score + *weight : score - *weight;
            }
        }
        scores[class] = score;
        if (score > scores[best]) {
            best = class;
        }
    }
    return best;
}
