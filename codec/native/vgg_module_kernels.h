/* The fast kernel for other processors than the extension is compiled for: those of x86-64 whose
 * vectors are wider. */
#ifndef HEQ_VGG_MODULE_KERNELS_H
#define HEQ_VGG_MODULE_KERNELS_H

#include "heq_vgg.h"

#if defined(HEQ_KERNEL_FAST) && defined(__x86_64__)
#define HEQ_VGG_WIDER_KERNELS
HEQ_INTERNAL void heq_vgg_encode_256(const heq_vgg *vgg, const heq_patch *patch, uint8_t *code,
                                     int16_t *totals);
HEQ_INTERNAL void heq_vgg_encode_512(const heq_vgg *vgg, const heq_patch *patch, uint8_t *code,
                                     int16_t *totals);
#endif

#endif
