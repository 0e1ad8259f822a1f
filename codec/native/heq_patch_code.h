/* The embedded bit-plane code of a patch (docs/FORMAT.md, "The patch code").
 *
 *     heq_patch_coefficients(&transform, field, plane, coder.coefficients[plane]);   each plane
 *     heq_patch_encode(&coder, &tables, planes, length);
 *     the code is the first `length` bytes of coder.code, at most 64: shorter ones are beginnings
 *     of longer ones
 *
 * C99, integers only: additions, shifts, comparisons and tables; no multiplication or division, no
 * memory of its own, nothing of libc but memset.
 */
#ifndef HEQ_PATCH_CODE_H
#define HEQ_PATCH_CODE_H

#include "heq_coefficients.h"

#define HEQ_ZONES 42
#define HEQ_BIT_PLANES 13
#define HEQ_CODE_BITS 512
#define HEQ_CODE_SIDE 36 /* 32 frequencies and a margin of two zeros */
#define HEQ_CODE_CELLS (HEQ_CODE_SIDE * HEQ_CODE_SIDE)

typedef struct {
    const uint8_t *significance; /* [42][13][2][3][8] states by zone, plane, new, cross, near */
    const uint8_t *flag;         /* [42][13][8] by zone, plane, activity */
    const uint8_t *refinement;   /* [42][13][2] by zone, plane, first */
    const uint16_t *lps;         /* [128][8] width of bit 1 by state and range */
    const uint8_t *order;        /* [42] zones as they are coded */
} heq_patch_tables;

typedef struct {
    int32_t coefficients[3][HEQ_SIDE * HEQ_SIDE]; /* by vertical, then horizontal frequency */
    int32_t largest[HEQ_ZONES];                   /* magnitude of each zone */
    uint8_t level[3 * HEQ_CODE_CELLS]; /* 0 not significant, 1 to 3 since how many planes, 4 now */
    uint8_t zone_level[HEQ_ZONES];     /* 0 not active, 1 since this plane, 2 longer */
    uint8_t code[HEQ_CODE_BITS / 8 + 2]; /* low end of the interval, and what will not be sent */
    uint32_t range;                      /* 2^15..2^16-1 */
    int fixed;                           /* bits of the code that only a carry can change */
    const uint16_t *lps;
} heq_patch_coder;

/* Encode the coefficients of 1 or 3 planes until the first `length` bytes of the code are settled;
 * they become magnitudes with their sign in bit 31. */
HEQ_INTERNAL void heq_patch_encode(heq_patch_coder *coder, const heq_patch_tables *tables,
                                   int planes, int length);

#endif
