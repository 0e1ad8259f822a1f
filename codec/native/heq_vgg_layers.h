/* The layers of the encoder, and where their outputs step up: what both kernels share. */
#ifndef HEQ_VGG_LAYERS_H
#define HEQ_VGG_LAYERS_H

#include "heq_vgg.h"

#define HEQ_VGG_CENTRE 128
#define HEQ_VGG_SAMPLES 27 /* that an output of the first layer sees */
#define HEQ_VGG_FIRST_BYTES 12 /* of an output's weights */
#define HEQ_VGG_WIDTH 64 /* outputs of the first layer */

typedef struct {
    uint8_t log_side; /* of the square of positions */
    uint8_t reach;    /* how far its kernel goes: 1 for one of 3 x 3, 0 for 1 x 1 */
    uint8_t words;    /* of 64 inputs each, that an output sees at a place */
    uint8_t log_in;   /* of the bytes of a position's inputs: two planes, all groups */
    uint8_t groups;
    uint8_t outputs;  /* of a group */
    uint8_t pool;     /* does a maximum of 2 x 2 follow? */
} heq_vgg_layer;

/* All but the first. */
static const heq_vgg_layer heq_vgg_layers[HEQ_VGG_LAYERS - 1] = {
    {5, 1, 1, 4, 1, 64, 1},  {4, 1, 1, 4, 1, 128, 0}, {4, 1, 2, 5, 1, 128, 1},
    {3, 1, 1, 5, 2, 128, 0}, {3, 1, 2, 6, 2, 128, 1}, {2, 0, 4, 6, 1, 32, 0},
};

/* Where in the bit fields of the cuts a kernel is. */
typedef struct {
    const heq_vgg *vgg;
    uint32_t layer; /* bit where those of the layer begin */
    uint32_t next;
} heq_vgg_cuts;

static inline int32_t heq_vgg_cut(heq_vgg_cuts *cuts)
{
    const heq_vgg *vgg = cuts->vgg;
    const uint8_t *bytes = vgg->cuts + (cuts->next >> 3);
    uint32_t window = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    window <<= cuts->next & 7;
    cuts->next += (uint32_t)vgg->cut_bits;
    return (int32_t)((window & 0xFFFFFFu) >> (24 - vgg->cut_bits)) - vgg->cut_offset;
}

/* The cuts of the next output of a layer, the last one's one or the others' three, ascending. */
static inline void heq_vgg_next_cuts(heq_vgg_cuts *cuts, int count, int32_t *made)
{
    if (!cuts->vgg->cuts_of_each_output) {
        cuts->next = cuts->layer;
    }
    while (count-- > 0) {
        *made++ = heq_vgg_cut(cuts);
    }
}

#endif
