/* The fast kernel by AVX-512 VPOPCNTDQ, whatever the rest of the extension is compiled for. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vgg_module_kernels.h"

#ifdef HEQ_VGG_WIDER_KERNELS

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vpopcntdq,popcnt"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vpopcntdq,popcnt")
#endif

#define HEQ_WORDS 8
#define heq_fast_vgg_encode heq_vgg_encode_512
#include "heq_vgg_fast.c"

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif
