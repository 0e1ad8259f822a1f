/* The transform of a model, as each kernel has it. */
#ifndef HEQ_TRANSFORM_TABLES_H
#define HEQ_TRANSFORM_TABLES_H

#include "heq_transform.h"

static const heq_transform transform = {
#if defined(HEQ_KERNEL_FAST)
    transform_large, transform_small, TRANSFORM_LAYERS, TRANSFORM_SHIFT,
#elif defined(HEQ_TWO_PRODUCTS)
    transform_products, TRANSFORM_SHIFT,
#else
    NULL, TRANSFORM_SHIFT,
#endif
};

#endif
