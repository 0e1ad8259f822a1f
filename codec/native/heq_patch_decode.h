/* The decoder of the patch code (docs/FORMAT.md, "The patch code"), for servers: what the codes that
 * heq_patch_encode writes, or any other bytes, say of the coefficients of a patch.
 */
#ifndef HEQ_PATCH_DECODE_H
#define HEQ_PATCH_DECODE_H

#include "heq_patch_code.h"

/* Of one patch. Cells are 36 x 36 a plane, with a margin of two around the frequencies; all must be
 * 0 at first. */
typedef struct {
    int32_t *low;      /* [3 * HEQ_CODE_CELLS] least magnitude, 0 where not significant */
    int32_t *width;    /* [3 * HEQ_CODE_CELLS] the magnitude is below low + width; 0 likewise */
    uint8_t *negative; /* [3 * HEQ_CODE_CELLS] 0 or 1 */
    uint8_t *reached;  /* [HEQ_ZONES] bit planes that the zone is through in */
} heq_patch_intervals;

/* Decode a code of any number of bytes, also 0, of a patch of 1 or 3 planes. */
void heq_patch_decode(const heq_patch_tables *tables, const uint8_t *code, size_t bytes, int planes,
                      const heq_patch_intervals *patch);

#endif
