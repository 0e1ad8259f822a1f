/* Weights as the kernels without vectors have them, from those that the extension is given. */
#ifndef MODULE_WEIGHTS_H
#define MODULE_WEIGHTS_H

#include "heq_levels.h"

#ifndef HEQ_KERNEL_FAST

/* The weights of heq_transform, int16 [HEQ_PRODUCTS], from bit planes of digits. */
void heq_unpack_products(const uint8_t *large, const uint8_t *small, int layers,
                         int16_t *products);

/* The weights of heq_cost_layer, uint8 [HEQ_PAIR_BYTES] and int8 [48], from bit planes. */
void heq_unpack_pairs(const uint8_t *near, uint8_t *pairs);
void heq_unpack_cross(const uint8_t *bits, int8_t *cross);

#endif
#endif
