/* Kernels of the same numbers, of which one is compiled:
 *
 *     HEQ_KERNEL_SCALAR     no multiplication: FPGAs, ASICs, processors with a slow multiplier
 *     HEQ_KERNEL_MULTIPLY   for processors with a multiplier; the transforms by two products at a
 *                           time where there are the DSP instructions of a Cortex-M4, M7 or M33
 *     HEQ_KERNEL_FAST       for processors with vectors, by gcc or clang
 *     HEQ_KERNEL_AUTO       the fast one where the target has vectors
 *
 * Where none is named, or AUTO finds no vectors, the target decides between the first two.
 */
#ifndef HEQ_KERNEL_H
#define HEQ_KERNEL_H

#if defined(HEQ_KERNEL_AUTO) && defined(__GNUC__) && !defined(HEQ_KERNEL_MULTIPLY)
#if defined(__SSE2__) || defined(__ARM_NEON) || defined(__ALTIVEC__) || defined(__VX__)
#define HEQ_KERNEL_FAST
#endif
#endif

#if !defined(HEQ_KERNEL_FAST) && !defined(HEQ_KERNEL_SCALAR) && !defined(HEQ_KERNEL_MULTIPLY)
#if (defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32)) || defined(__riscv_mul)
#define HEQ_KERNEL_MULTIPLY
#endif
#endif

#ifndef HEQ_ENCODE_ONLY
#if !defined(HEQ_KERNEL_FAST) && !defined(HEQ_KERNEL_MULTIPLY)
#define HEQ_KERNEL_MULTIPLY /* sums without multiplications are written for the weights of a model */
#endif
#endif

#if defined(HEQ_KERNEL_MULTIPLY) && defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32)
#define HEQ_TWO_PRODUCTS
#endif

/* Functions that are compiled once for each use, so that what is known there is left out. */
#ifdef __GNUC__
#define HEQ_INLINE static inline __attribute__((always_inline))
#define HEQ_APART __attribute__((noinline)) /* of a stack of its own */
#else
#define HEQ_INLINE static
#define HEQ_APART
#endif

#endif
