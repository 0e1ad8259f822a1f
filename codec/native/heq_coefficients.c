#include "heq_coefficients.h"

/* Gains of 5/4 and 3/4 bring the colour planes to about equal norms. */
static int32_t gained(int32_t value, int plane)
{
    return plane == 0   ? value
           : plane == 1 ? value + (value >> 2)
                        : (value >> 1) + (value >> 2);
}

#ifdef HEQ_KERNEL_FAST

HEQ_INTERNAL void heq_fast_patch_coefficients(const heq_transform *transform,
                                              const heq_square *field, int plane,
                                              int32_t *coefficients)
{
    heq_square made;
    int place;
    heq_fast_transform(transform, field, HEQ_SIDE, &made);
    for (place = 0; place < HEQ_SIDE * HEQ_SIDE; place++) {
        coefficients[place] = gained(made.all[place], plane);
    }
}

#else

HEQ_INTERNAL void heq_patch_coefficients(const heq_transform *transform, int16_t *field, int plane,
                                         int32_t *coefficients)
{
    int32_t column[HEQ_SIDE];
    int u, v;
    heq_transform_rows(transform, field, HEQ_SIDE);
    for (v = 0; v < HEQ_SIDE; v++) {
        heq_transform_column(transform, field, HEQ_SIDE, 0, v, column);
        for (u = 0; u < HEQ_SIDE; u++) {
            coefficients[(u << 5) + v] = gained(column[u], plane);
        }
    }
}

#endif
