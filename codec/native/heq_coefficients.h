/* The coefficients of a colour plane of a patch in one unit for all planes: the transform of 32
 * points, then gains of 5/4 and 3/4 for the colour differences, by shifts.
 *
 *     heq_patch_coefficients(&transform, &patch, plane, field, coefficients);
 *     heq_fast_patch_coefficients(&transform, &field, plane, coefficients);        fast kernel
 */
#ifndef HEQ_COEFFICIENTS_H
#define HEQ_COEFFICIENTS_H

#include "heq_transform.h"
#include "heq_transform_fast.h"

#ifdef HEQ_KERNEL_FAST
/* Coefficients int32 [32][32] of a plane of heq_fast_colour. */
HEQ_INTERNAL void heq_fast_patch_coefficients(const heq_transform *transform,
                                              const heq_square *field, int plane,
                                              int32_t *coefficients);
#else
/* Coefficients int32 [32][32] of a plane of a patch; the field, int16 [32][32], is scratch. */
HEQ_INTERNAL void heq_patch_coefficients(const heq_transform *transform, const heq_patch *patch,
                                         int plane, int16_t *field, int32_t *coefficients);
#endif

#endif
