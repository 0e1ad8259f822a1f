#include "heq_coefficients.h"

#include "heq_gains.h"

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

HEQ_INTERNAL void heq_patch_coefficients(const heq_transform *transform, const heq_patch *patch,
                                         int plane, int16_t *field, int32_t *coefficients)
{
    int32_t column[HEQ_SIDE], scratch[HEQ_SCRATCH];
    int u, v;
    heq_transform_rows(transform, patch, plane, field, NULL, scratch);
    for (v = 0; v < HEQ_SIDE; v++) {
        heq_transform_column(transform, field + v, HEQ_SIDE, -1, column, scratch);
        for (u = 0; u < HEQ_SIDE; u++) { /* the even frequencies come first */
            coefficients[(u << 5) + v] = gained(column[((u & 1) << 4) + (u >> 1)], plane);
        }
    }
}

#endif
