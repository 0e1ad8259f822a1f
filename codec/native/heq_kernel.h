/* Two kernels of the same numbers: a scalar one, and one for processors with vectors, which
 * HEQ_KERNEL_FAST asks for; HEQ_KERNEL_AUTO asks for it where the target has vectors. */
#ifndef HEQ_KERNEL_H
#define HEQ_KERNEL_H

#if defined(HEQ_KERNEL_AUTO) && defined(__GNUC__) && !defined(HEQ_KERNEL_FAST)
#if defined(__SSE2__) || defined(__ARM_NEON) || defined(__ALTIVEC__) || defined(__VX__)
#define HEQ_KERNEL_FAST
#endif
#endif

/* Functions that the fast kernel has once for each use, so that what is known there is left out;
 * the scalar one has them once, since microcontrollers have little memory for code. */
#ifdef HEQ_KERNEL_FAST
#define HEQ_INLINE static inline __attribute__((always_inline))
#else
#define HEQ_INLINE static
#endif

#endif
