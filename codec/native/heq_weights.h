/* Weights of coefficients by frequency, in files for the eye: the numbers of
 * heqcodec.nqe_r.weighting, which says why.
 */
#ifndef HEQ_WEIGHTS_H
#define HEQ_WEIGHTS_H

#include <stdint.h>

#include "heq_kernel.h"

#define HEQ_FINER 96 /* step indices by which steps are finer than the index of the file says */

/* Sixteenths, by u + v of the band. */
static const uint8_t frequency_weights[31] = {
    16, 14, 12, 11, 10, 10, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7,
    7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5,
};

#ifndef HEQ_KERNEL_FAST

/* A magnitude times so many sixteenths, 0..16, rounded, halves up. */
static inline int32_t weighed(int32_t size, int weight)
{
    int32_t sum = 8;
    for (; weight != 0; weight >>= 1) {
        sum += weight & 1 ? size : 0;
        size <<= 1;
    }
    return sum >> 4;
}

#endif

#endif
