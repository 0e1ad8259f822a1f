/* Levels of a patch in variable-rate mode, many coefficients at a time: the fast kernel of
 * heq_levels.h, of the same numbers. */
#ifndef HEQ_LEVELS_FAST_H
#define HEQ_LEVELS_FAST_H

#include "heq_levels.h"
#include "heq_transform_fast.h"

#ifdef HEQ_KERNEL_FAST

/* Size and levels of a patch, `heq_settle` not yet applied, and what it costs in that size; steps
 * by size, then plane. Are coefficients weighted by frequency? */
HEQ_INTERNAL int heq_fast_levels(const heq_transform *transform, const int32_t *steps,
                                 int weighted, const heq_patch *patch, heq_levels *levels,
                                 int32_t *cost);

/* Coefficients of a plane in a size, as heq_fast_transform and the quarters' means give them. */
HEQ_INTERNAL void heq_fast_coefficients(const heq_transform *transform, const heq_square *field,
                                        int size, heq_square *coefficients);

/* Levels of coefficients of a size; `size` -1: they are in the order of the levels. */
HEQ_INTERNAL void heq_fast_quantize(const int32_t *coefficients, int32_t step, int size, int plane,
                                    heq_levels *levels);

#endif
#endif
