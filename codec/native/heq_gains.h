/* Gains of the colour planes, by which their coefficients have one unit. */
#ifndef HEQ_GAINS_H
#define HEQ_GAINS_H

#include <stdint.h>

/* A coefficient with the gain of its plane: 1, 5/4 or 3/4 bring them to about equal norms. */
static inline int32_t gained(int32_t value, int plane)
{
    return plane == 0   ? value
           : plane == 1 ? value + (value >> 2)
                        : (value >> 1) + (value >> 2);
}

#endif
