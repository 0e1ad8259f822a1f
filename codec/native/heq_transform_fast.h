/* The transforms of a whole patch at once, many columns at a time: the fast kernel of
 * heq_transform.h, with the same packed weights and the same numbers.
 *
 *     heq_fast_colour(&patch, fields);
 *     heq_fast_transform(&transform, fields[plane], 32, coefficients);     for each plane
 */
#ifndef HEQ_TRANSFORM_FAST_H
#define HEQ_TRANSFORM_FAST_H

#include "heq_transform.h"

#ifdef HEQ_KERNEL_FAST

/* 32x32 numbers that vectors may lie over. */
typedef union {
    int32_t at[HEQ_SIDE][HEQ_SIDE];
    int32_t all[HEQ_SIDE * HEQ_SIDE];
} __attribute__((aligned(64))) heq_square;

/* Samples of all planes of a patch, by column, then row: 1 or 3 squares. */
HEQ_INTERNAL void heq_fast_colour(const heq_patch *patch, heq_square *fields);

/* Transform a field, which is kept, as a whole (32 points) or in quarters (16). Coefficients are by
 * row, then column, those of quarters where the quarters lie. */
HEQ_INTERNAL void heq_fast_transform(const heq_transform *transform, const heq_square *field,
                                     int points, heq_square *coefficients);

#endif
#endif
