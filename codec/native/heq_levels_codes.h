/* Levels of a patch in variable-rate mode by the kernels without vectors: a plane is transformed,
 * quantized and settled in place, so that 2 KB hold it.
 *
 *     heq_quantizer_begin(&quantizer, steps[size][plane]);
 *     cost += heq_code_columns(&transform, &quantizer, size, &field);   after the rows
 *     heq_settle_codes(&layer, size, planes, relief, fields);            once all planes are there
 */
#ifndef HEQ_LEVELS_CODES_H
#define HEQ_LEVELS_CODES_H

#include "heq_field.h"
#include "heq_levels.h"

#ifndef HEQ_KERNEL_FAST

typedef struct {
    int32_t step;
    int32_t quarter;          /* coefficients up to it cost nothing, and their codes are 0 */
    int32_t rounding, narrow; /* 5/16 and 7/16 of it, added before a magnitude is divided */
    int32_t thresholds[HEQ_THRESHOLDS]; /* a coefficient below the first is a level of 0 */
    int weighted;             /* are coefficients weighted by frequency? */
} heq_quantizer;

HEQ_INTERNAL void heq_quantizer_begin(heq_quantizer *quantizer, int32_t step, int weighted);

/* Codes of `count` coefficients, to every `stride`-th place from the first. Returns what they cost
 * in bits, roughly, below 17 each; `found` collects the bits of all codes. */
HEQ_INTERNAL int32_t heq_quantize_codes(const heq_quantizer *quantizer, const int32_t *values,
                                        int count, int16_t *codes, int stride, int *found);

/* Transform the columns of a field whose rows are transformed, as a whole (size 0) or in quarters,
 * and quantize them; scratch is of HEQ_SCRATCH. Returns what the levels cost. */
HEQ_INTERNAL int32_t heq_code_columns(const heq_transform *transform,
                                      const heq_quantizer *quantizer, int size, heq_field *field,
                                      int32_t *scratch);

/* Decide between levels of 0 and 1, in all planes, and find the last that is not 0. */
HEQ_INTERNAL void heq_settle_codes(const heq_cost_layer *layer, int size, int planes, int relief,
                                   heq_field *const *fields);

#endif
#endif
