/* Vectors of integers as gcc and clang have them for every processor, for the fast kernel.
 *
 * One vector holds as much as the processor's registers do; where those are smaller the compiler
 * takes several. Whole blocks of LANE_BLOCK lanes are four vectors, which is what fits beside the
 * sums that they are added to.
 */
#ifndef HEQ_VECTORS_H
#define HEQ_VECTORS_H

#include <stdint.h>

#ifdef HEQ_KERNEL_FAST

#if !defined(__GNUC__)
#error "the fast kernel needs the vectors of gcc or clang; build without HEQ_KERNEL_FAST"
#endif

#if defined(__AVX2__)
#define LANE_BYTES 32
#define LANES 8
#else
#define LANE_BYTES 16
#define LANES 4
#endif
#define LANE_BLOCK (4 * LANES)

typedef int32_t lanes __attribute__((vector_size(LANE_BYTES), may_alias));

/* Lanes anywhere in an array. */
typedef int32_t loose_lanes __attribute__((vector_size(LANE_BYTES), may_alias, aligned(4)));

/* All lanes the same number. */
static inline lanes every_lane(int32_t number)
{
#if LANES == 8
    return (lanes){number, number, number, number, number, number, number, number};
#else
    return (lanes){number, number, number, number};
#endif
}

/* Two words of 64 bits. */
typedef uint64_t pairs __attribute__((vector_size(16), may_alias));

#endif
#endif
