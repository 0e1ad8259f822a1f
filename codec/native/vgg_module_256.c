/* The fast kernel by AVX2, whatever the rest of the extension is compiled for. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vgg_module_kernels.h"

#ifdef HEQ_VGG_WIDER_KERNELS

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,popcnt"))), \
                             apply_to = function)
#else
#pragma GCC target("avx2,popcnt")
#endif

#define HEQ_WORDS 4
#define heq_fast_vgg_encode heq_vgg_encode_256
#include "heq_vgg_fast.c"

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif
