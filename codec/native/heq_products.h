/* Products of weights and samples for the transforms: part of heq_transform.c. */
#ifndef HEQ_PRODUCTS_H
#define HEQ_PRODUCTS_H

#include "heq_transform.h"

#ifdef HEQ_TWO_PRODUCTS

#include <arm_acle.h>
#include <string.h>

/* Two samples or weights of 16 bits in a word. */
static inline uint32_t two_of(const int16_t *values)
{
    uint32_t both;
    memcpy(&both, values, sizeof both);
    return both;
}

static inline int32_t add_products(const int16_t *weights, uint32_t samples, int32_t sum)
{
    return __smlad((int16x2_t)two_of(weights), (int16x2_t)samples, sum);
}

/* Sums and differences of samples at equal distance from the ends, by twos; `even` may be NULL. */
static inline void fold(const int16_t *samples, int words, uint32_t *even, uint32_t *odd)
{
    const int16_t *opposite = samples + (words << 2) - 2;
    int place;
    for (place = 0; place < words; place++) {
        int16x2_t before = (int16x2_t)two_of(samples);
        uint32_t turned = two_of(opposite);
        int16x2_t after = (int16x2_t)(turned >> 16 | turned << 16);
        if (even != NULL) {
            even[place] = (uint32_t)__sadd16(before, after);
        }
        odd[place] = (uint32_t)__ssub16(before, after);
        samples += 2;
        opposite -= 2;
    }
}

static inline uint32_t packed(int32_t first, int32_t second)
{
    return ((uint32_t)first & 0xFFFFu) | (uint32_t)second << 16;
}

/* The same of a column of a field. */
static inline void fold_column(const int16_t *samples, int points, uint32_t *even, uint32_t *odd)
{
    const int16_t *opposite = samples + ((points - 1) << 5);
    for (; samples < opposite; samples += 2 * HEQ_SIDE) {
        int32_t before = samples[0], after = opposite[0];
        int32_t next = samples[HEQ_SIDE], previous = opposite[-HEQ_SIDE];
        *even++ = packed(before + after, next + previous);
        *odd++ = packed(before - after, next - previous);
        opposite -= 2 * HEQ_SIDE;
    }
}

/* A square of weights times 8 samples: sums begin with `half`. */
static void products_8(const int16_t *weights, const uint32_t *samples, int32_t half,
                       int32_t *sums)
{
    uint32_t a = samples[0], b = samples[1], c = samples[2], d = samples[3];
    int32_t *end = sums + 8;
    while (sums < end) {
        int32_t sum = add_products(weights, a, half);
        sum = add_products(weights + 2, b, sum);
        sum = add_products(weights + 4, c, sum);
        *sums++ = add_products(weights + 6, d, sum);
        weights += 8;
    }
}

/* And times 16 samples; sums are shifted to the right. */
static void products_16(const int16_t *weights, const uint32_t *samples, int32_t half, int shift,
                        int32_t *sums)
{
    uint32_t a = samples[0], b = samples[1], c = samples[2], d = samples[3];
    uint32_t e = samples[4], f = samples[5], g = samples[6], h = samples[7];
    int32_t *end = sums + 16;
    while (sums < end) {
        int32_t sum = add_products(weights, a, half);
        sum = add_products(weights + 2, b, sum);
        sum = add_products(weights + 4, c, sum);
        sum = add_products(weights + 6, d, sum);
        sum = add_products(weights + 8, e, sum);
        sum = add_products(weights + 10, f, sum);
        sum = add_products(weights + 12, g, sum);
        *sums++ = add_products(weights + 14, h, sum) >> shift;
        weights += 16;
    }
}

#elif !defined(HEQ_KERNEL_FAST)
#ifdef HEQ_ENCODE_ONLY

#include "heq_transform_network.h"

/* Odd frequencies of 32 points, by their order. */
static void heq_products_16(const int16_t *weights, const int32_t *samples, int32_t *sums)
{
    (void)weights;
    network_16((const uint32_t *)samples, (uint32_t *)sums);
}

/* Odd frequencies of 16 points, to every other sum from the second. */
static void heq_products_8(const int16_t *weights, const int32_t *samples, int32_t *sums)
{
    (void)weights;
    network_8((const uint32_t *)samples, (uint32_t *)sums);
}

/* Even frequencies of 16 points, to every other sum from the first; the samples are lost. */
static void heq_products_even(const int16_t *weights, int32_t *samples, int32_t *sums)
{
    int32_t odd[4];
    int place;
    (void)weights;
    for (place = 0; place < 4; place++) {
        odd[place] = samples[place] - samples[7 - place];
        samples[place] += samples[7 - place];
    }
    network_4((const uint32_t *)odd, (uint32_t *)sums);
    network_rest((const uint32_t *)samples, (uint32_t *)sums);
}

#else

/* A square of weights times 8 or 16 samples, to every `stride`-th sum. */
static void products(const int16_t *weights, const int32_t *samples, int count, int32_t *sums,
                     int stride)
{
    int row, place;
    for (row = 0; row < count; row++) {
        int32_t sum = 0;
        for (place = 0; place < count; place += 4) {
            sum += weights[0] * samples[place] + weights[1] * samples[place + 1] +
                   weights[2] * samples[place + 2] + weights[3] * samples[place + 3];
            weights += 4;
        }
        *sums = sum;
        sums += stride;
    }
}

/* Odd frequencies of 32 points, by their order. */
static void heq_products_16(const int16_t *weights, const int32_t *samples, int32_t *sums)
{
    products(weights + ODD_OF_32, samples, 16, sums, 1);
}

/* Odd frequencies of 16 points, to every other sum from the second. */
static void heq_products_8(const int16_t *weights, const int32_t *samples, int32_t *sums)
{
    products(weights + ODD_OF_16, samples, 8, sums + 1, 2);
}

/* Even frequencies of 16 points, to every other sum from the first. */
static void heq_products_even(const int16_t *weights, const int32_t *samples, int32_t *sums)
{
    products(weights + EVEN_OF_16, samples, 8, sums, 2);
}

#endif
#endif
#endif
