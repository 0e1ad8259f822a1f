/* Seven convolutions (docs/FORMAT.md, "Code of nqe-vgg"), in exact integers.
 *
 *     heq_vgg_encode(&vgg, &patch, &memory, NULL, totals);      scalar kernel
 *     heq_fast_vgg_encode(&vgg, &patch, NULL, totals);          fast kernel
 *     totals are the sums of the last layer's outputs over its 16 positions
 *
 *     heq_vgg_encode(&vgg, &patch, &memory, code, NULL);
 *     a bit of code for each output and position: whether the sum reaches its cut; a classifier's
 *
 * Weights are bit planes, bit i of a byte for input i of eight. Binary layers have the plane n of
 * what is -1; ternary ones also m, of what is not 0; quinary ones n, and instead of m the two
 * planes p and q of what is 1 and 2 in magnitude. Layers are stored by output, place in the kernel,
 * 64 inputs, plane; the first one, always as quinary, by output, plane, and 32 bits for the 27
 * samples by row, column and channel. Activations are 0 to 3, in two bit planes.
 *
 * C99, integers only: additions, shifts, comparisons and tables; no multiplication or division, no
 * memory of its own, nothing of libc but memset.
 */
#ifndef HEQ_VGG_H
#define HEQ_VGG_H

#include "heq_kernel.h"
#include "heq_patch.h"

#define HEQ_VGG_LAYERS 7
#define HEQ_VGG_CODE 64 /* bytes of a bit for each output and position */
#define HEQ_VGG_OUTPUTS 32 /* of the last layer */

typedef struct {
    const uint8_t *weights;
    const uint8_t *planes;   /* [7] bit planes of each layer's weights, 1 to 3; of the first 3 */
    const uint8_t *cuts;     /* where outputs step up, bit fields; then two bytes of no meaning */
    int cut_bits;            /* of each, at most 16, highest first */
    int cut_offset;          /* a field is a cut plus so much */
    int cuts_of_each_output; /* or those of a layer are the same for all its outputs */
} heq_vgg;

#ifdef HEQ_KERNEL_FAST

/* Totals int16 [32] of a patch, or, where they are NULL, its code. */
HEQ_INTERNAL void heq_fast_vgg_encode(const heq_vgg *vgg, const heq_patch *patch, uint8_t *code,
                                      int16_t *totals);

#else

typedef struct {
    uint8_t large[1 << 14]; /* activations of every other layer: by position, plane, output */
    uint8_t small[1 << 12]; /* and of those between */
    uint8_t sums[288 << 4]; /* of all subsets of four activations each */
    int16_t best[1 << 7];   /* sums of a group's outputs, largest of four positions */
} heq_vgg_memory;

/* Totals int16 [32] of a patch, or, where they are NULL, its code. */
HEQ_INTERNAL void heq_vgg_encode(const heq_vgg *vgg, const heq_patch *patch,
                                 heq_vgg_memory *memory, uint8_t *code, int16_t *totals);

#endif
#endif
