/* The embedded bit-plane code of a patch (docs/FORMAT.md, "The patch code").
 *
 *     heq_held_coefficients(&transform, &patch, plane, coder.coefficients[plane]);   each plane
 *     heq_patch_encode(&coder, &tables, planes, length);
 *     the code is the first `length` bytes of coder.code, at most 64: shorter ones are beginnings
 *     of longer ones
 *
 * C99, integers only: additions, shifts, comparisons and tables; no multiplication or division, no
 * memory of its own, nothing of libc but memset.
 */
#ifndef HEQ_PATCH_CODE_H
#define HEQ_PATCH_CODE_H

#include "heq_transform.h"
#include "heq_transform_fast.h"

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
    uint8_t cells[3 * HEQ_CODE_CELLS]; /* 0 not significant, 1 to 3 since how many planes, 4 now */
    uint8_t zones[HEQ_ZONES];          /* 0 not active, 1 since this plane, 2 longer */
} heq_patch_levels;

typedef struct {
    /* By vertical, then horizontal frequency: the bits of the magnitude that are coded, and the
     * sign in bit 15. The kernels without vectors have samples here first. */
    int16_t coefficients[3][HEQ_SIDE * HEQ_SIDE];
    uint16_t any[HEQ_ZONES]; /* bits that any magnitude of a zone has */
    heq_patch_levels levels;
    uint8_t code[HEQ_CODE_BITS / 8 + 2]; /* low end of the interval, and what will not be sent */
    uint32_t range;                      /* 2^15..2^16-1 */
    int fixed;                           /* bits of the code that only a carry can change */
    const uint16_t *lps;
} heq_patch_coder;

#ifdef HEQ_KERNEL_FAST
/* Coefficients of a plane of heq_fast_colour. */
HEQ_INTERNAL void heq_fast_held_coefficients(const heq_transform *transform,
                                              const heq_square *field, int plane,
                                              int16_t *coefficients);
#else
/* Coefficients of a plane of a patch. */
HEQ_INTERNAL void heq_held_coefficients(const heq_transform *transform, const heq_patch *patch,
                                         int plane, int16_t *coefficients);
#endif

/* Encode the coefficients of 1 or 3 planes until the first `length` bytes of the code are settled.
 */
HEQ_INTERNAL void heq_patch_encode(heq_patch_coder *coder, const heq_patch_tables *tables,
                                   int planes, int length);

#endif
