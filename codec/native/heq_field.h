/* A colour plane of a patch as the kernels without vectors hold it: samples, then what the rows of
 * the transform make of them, then codes of levels, each in the place of the one before.
 */
#ifndef HEQ_FIELD_H
#define HEQ_FIELD_H

#include <stdint.h>

#include "heq_patch.h"

/* A code is a level with its sign, and what decides about it. */
#define HEQ_CODE_NEGATIVE 0x8000
#define HEQ_CODE_OPEN 0x4000 /* between 0 and 1: the level is the number of thresholds reached */
#define HEQ_CODE_SEEN_SHIFT 12 /* of the magnitude that neighbours see, 0..3 */
#define HEQ_CODE_LEVEL 0x0FFF

typedef struct {
    /* By row, then column: frequencies of the whole patch, or of quarters where the quarters lie.
     * As uint16_t once they are codes. */
    int16_t values[HEQ_SIDE * HEQ_SIDE];
    union {
        uint32_t used; /* until it is settled: a bit for each column with a code that is not 0 */
        int last;      /* then: of the levels that are not 0, in the device coder's order; or 0 */
    } known;
} heq_field;

#endif
