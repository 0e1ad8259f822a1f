/* Colour planes of a patch and their transforms, of 32 points or of 16, in exact integers.
 *
 *     for each row:      heq_colour_row(&patch, plane, row, samples);
 *                        heq_transform_row(&transform, samples, whole, halves, scratch);
 *     for each column:   heq_transform_column(&transform, column, points, least, coefficients,
 *                                             scratch);
 *
 * Rows of the transform are even or odd about their middle, so that a transform of n points is one
 * of n / 2, of sums, and a product of half the size, of differences. The even frequencies of a
 * whole row are those of its halves, added or subtracted.
 *
 * Products are additions of shifted samples, written by the exporter for the weights of a model
 * (heqcodec.export.transform_network); or products of 16 bits, where the processor has two at a
 * time, and in the extension, which learns the weights when it runs. The fast kernel
 * (heq_transform_fast.h) has weights as
 * layers of digits -2..2, each stored plus 2 in three bit planes: of each row and layer the highest
 * bits first, bit i of a byte for sample i of eight.
 */
#ifndef HEQ_TRANSFORM_H
#define HEQ_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

#include "heq_kernel.h"
#include "heq_patch.h"

#define HEQ_LARGE_BYTES 96 /* of packed weights, each layer */
#define HEQ_SMALL_BYTES 48
#define HEQ_PRODUCTS 640 /* weights of 16 bits */
#define HEQ_LARGEST_WEIGHT 40 /* in magnitude, layers added up; those of a row's half, squared: */
#define HEQ_LARGEST_ENERGY 14 /* 2 to the power of this at most */

/* The pixels of a row: where they lie, or HEQ_ROW_BYTES that a reader has filled. */
static inline const uint8_t *heq_row_of(const heq_patch *patch, const uint8_t *row, int y,
                                        uint8_t *pixels)
{
    if (patch->read == NULL) {
        return row;
    }
    patch->read(patch->source, row, y, pixels);
    return pixels;
}

#ifdef HEQ_KERNEL_FAST

typedef struct {
    const uint8_t *large; /* odd rows of 32 points: 16x16 */
    const uint8_t *small; /* odd rows of 16 points, 8x8, and of 8, 4x4; all of 4, 4x4 */
    int layers;           /* of weights, each worth four times the next */
    int shift;            /* sums are rounded to multiples of 2^shift */
} heq_transform;

#else

/* Where each square of weights begins. */
enum { ODD_OF_32 = 0, ALL_OF_16 = 256, EVEN_OF_16 = 512, ODD_OF_16 = 576 };

typedef struct {
    /* Odd rows of 32 points, 16x16; all rows of 16 points, 16x16; the first eight columns of those
     * that are even, 8x8, and odd, 8x8. NULL where there is no multiplication. */
    const int16_t *weights;
    int shift; /* sums are rounded to multiples of 2^shift */
} heq_transform;

/* Samples of a row of a colour plane, int16 [32], -510..510: R + G + B - 384, R - B, R - 2 G + B;
 * of a grey patch three times the sample, less 384. */
HEQ_INTERNAL void heq_colour_row(const heq_patch *patch, int plane, const uint8_t *row,
                                 int16_t *samples);

#define HEQ_SCRATCH 64 /* words that a transform needs while it runs */
#define HEQ_ROW_SCRATCH 32
#define HEQ_COLUMN_SCRATCH 32

/* Transform a row as a whole, as two halves, or both: int16 [32] by frequency, or NULL. The
 * samples may lie in `whole`, or without it in `halves`. Scratch is of HEQ_ROW_SCRATCH. */
HEQ_INTERNAL void heq_transform_row(const heq_transform *transform, const int16_t *samples,
                                    int16_t *whole, int16_t *halves, int32_t *scratch);

/* Transform 32 or 16 samples, every 32nd from the first. Of 32 points the even frequencies come
 * first, int32 [16], then the odd ones; of 16 all, int32 [16]. Returns which of these parts are
 * made, as bits 1 and 2: one in which no magnitude can pass `least` is not; -1: all are made.
 * Scratch is of HEQ_COLUMN_SCRATCH. */
HEQ_INTERNAL int heq_transform_column(const heq_transform *transform, const int16_t *samples,
                                      int points, int32_t least, int32_t *coefficients,
                                      int32_t *scratch);

/* The rows of a plane of a patch, to fields int16 [32][32], or NULL. Scratch is of HEQ_SCRATCH. */
HEQ_INTERNAL void heq_transform_rows(const heq_transform *transform, const heq_patch *patch,
                                     int plane, int16_t *whole, int16_t *halves,
                                     int32_t *scratch);

#endif
#endif
