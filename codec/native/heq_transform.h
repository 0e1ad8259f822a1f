/* Colour planes of a patch and their transforms, of 32 points or of 16, in exact integers.
 *
 *     heq_colour(&patch, plane, field);              samples, int16 [32][32]
 *     heq_transform_rows(&transform, field, 32);     in place
 *     heq_transform_column(&transform, field, 32, 0, column, coefficients);      for each column
 *
 * A product of weights and samples takes no multiplication. Weights are layers of digits -2..2,
 * each stored plus 2 in three bits, in bit planes: of each row and layer the highest bits first,
 * bit i of a byte for sample i of eight. The sums of all subsets of four samples are made once, and
 * four bits of weights look one of them up (distributed arithmetic). Rows of the transform are even
 * or odd about their middle, so that a transform of n points is one of n / 2 and a product of half
 * the size.
 */
#ifndef HEQ_TRANSFORM_H
#define HEQ_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

#include "heq_kernel.h"
#include "heq_patch.h"

#define HEQ_LARGE_BYTES 96 /* of packed weights, each layer */
#define HEQ_SMALL_BYTES 48

typedef struct {
    const uint8_t *large; /* odd rows of 32 points: 16x16 */
    const uint8_t *small; /* odd rows of 16 points, 8x8, and of 8, 4x4; all of 4, 4x4 */
    int layers;           /* of weights, each worth four times the next */
    int shift;            /* sums are rounded to multiples of 2^shift */
} heq_transform;

#ifndef HEQ_KERNEL_FAST

/* Samples of a colour plane, int16 [32][32], -510..510: R + G + B - 384, R - B, R - 2 G + B; of a
 * grey patch three times the sample, less 384. */
HEQ_INTERNAL void heq_colour(const heq_patch *patch, int plane, int16_t *field);

/* Transform the rows of a field int16 [32][32] in place, as wholes (32 points) or halves (16). */
HEQ_INTERNAL void heq_transform_rows(const heq_transform *transform, int16_t *field, int points);

/* Transform a column of it, from row `top` on: int32 [points], by frequency. */
HEQ_INTERNAL void heq_transform_column(const heq_transform *transform, const int16_t *field,
                                       int points, int top, int column, int32_t *coefficients);

#endif
#endif
