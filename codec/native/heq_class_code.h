/* The code of nqe-vgg behind its convolutions (docs/FORMAT.md, "Code of nqe-vgg").
 *
 *     heq_class_begin(&coder);
 *     for each plane: heq_class_plane(&coder, plane, coefficients);
 *     heq_class_code(&coder, &tables, totals, length, code);
 *
 * The class is the largest of the convolutions' totals plus what the levels of bands add to them.
 * A class says how large each coefficient is, in half octaves: hence how its magnitude is quantized
 * and when each of its bits is sent. C99, integers only: additions, shifts, comparisons and tables.
 */
#ifndef HEQ_CLASS_CODE_H
#define HEQ_CLASS_CODE_H

#include <stdint.h>

#include "heq_kernel.h"
#include "heq_patch.h"

#define HEQ_CLASSES 32
#define HEQ_CLASS_BITS 5
#define HEQ_CLASS_LUMA 153         /* coefficients of the first plane that have scales */
#define HEQ_CLASS_COEFFICIENTS 243 /* of all planes */
#define HEQ_BANDS 23

typedef struct {
    const uint8_t *scales; /* [32][243] two a byte, the first in the low half */
    const uint16_t *cuts;  /* [127] thresholds at scale 0, in sixteenths, ascending */
    const int8_t *gains;   /* [8] what each bit is worth, in eighths of a scale */
    const int16_t *bias;   /* [32] of the classes */
    const uint8_t *bands;  /* [32][3][3] quinary weights of 23 levels, bit i of a plane's three
                            * bytes for band i: what is below 0, of magnitude 1, and of 2 */
    int band_shift;        /* of what they add */
} heq_class_tables;

typedef struct {
    int known; /* coefficients so far */
    int32_t values[HEQ_CLASS_COEFFICIENTS];
    uint32_t sums[HEQ_BANDS]; /* of magnitudes */
    uint8_t words[HEQ_CLASS_COEFFICIENTS]; /* a sign and a cell of seven bits each */
    uint8_t given[HEQ_CLASS_COEFFICIENTS]; /* bits of each that are in the code */
} heq_class_coder;

HEQ_INTERNAL void heq_class_begin(heq_class_coder *coder);

/* Take the coefficients int32 [32][32] of the next plane. */
HEQ_INTERNAL void heq_class_plane(heq_class_coder *coder, int plane, const int32_t *coefficients);

/* The first `length` bytes of the code, at most 64, of a patch whose convolutions have the totals
 * int16 [32]. */
HEQ_INTERNAL void heq_class_code(heq_class_coder *coder, const heq_class_tables *tables,
                                 const int16_t *totals, int length, uint8_t *code);

#endif
