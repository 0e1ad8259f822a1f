/* Vectors of words of 64 bits, and how many bits are set in each, for the fast kernel of
 * heq_vgg.h.
 *
 * Bits are counted within fields, which are words where the processor counts in those (AVX-512
 * VPOPCNTDQ), and bytes elsewhere: by tables of half bytes (AVX2), by an instruction (NEON) or by
 * additions. Sums of fields up to 255 are put together once. */
#ifndef HEQ_WORDS_H
#define HEQ_WORDS_H

#include <stdint.h>

#include "heq_kernel.h"

#ifdef HEQ_KERNEL_FAST

/* How many a vector has; who includes this may know better. */
#if defined(HEQ_WORDS)
#elif defined(__AVX512VPOPCNTDQ__) && defined(__AVX512BW__)
#define HEQ_WORDS 8
#elif defined(__AVX2__)
#define HEQ_WORDS 4
#else
#define HEQ_WORDS 2
#endif
#define HEQ_WORDS_BYTES (HEQ_WORDS << 3)

typedef uint64_t words __attribute__((vector_size(HEQ_WORDS_BYTES), may_alias));
typedef uint64_t loose_words __attribute__((vector_size(HEQ_WORDS_BYTES), may_alias, aligned(8)));

#define HALVES 0x0F0F0F0F0F0F0F0Fu /* the lower half of each byte */

/* The word of eight bytes, the first one lowest. */
static inline uint64_t word_of(const uint8_t *bytes)
{
    return (uint64_t)bytes[7] << 56 | (uint64_t)bytes[6] << 48 | (uint64_t)bytes[5] << 40 |
           (uint64_t)bytes[4] << 32 | (uint64_t)bytes[3] << 24 | (uint64_t)bytes[2] << 16 |
           (uint64_t)bytes[1] << 8 | bytes[0];
}

static inline int bits_set(uint64_t word)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return __builtin_popcountll(word);
#else
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & HALVES;
    word += word >> 8;
    word += word >> 16;
    word += word >> 32;
    return (int)(word & 127);
#endif
}

static inline words every_word(uint64_t word)
{
#if HEQ_WORDS == 8
    return (words){word, word, word, word, word, word, word, word};
#elif HEQ_WORDS == 4
    return (words){word, word, word, word};
#else
    return (words){word, word};
#endif
}

/* Neighbours in each other's places. */
static inline words swapped(words value)
{
#if HEQ_WORDS == 8 && defined(__clang__)
    return __builtin_shufflevector(value, value, 1, 0, 3, 2, 5, 4, 7, 6);
#elif HEQ_WORDS == 8
    return __builtin_shuffle(value, (words){1, 0, 3, 2, 5, 4, 7, 6});
#elif HEQ_WORDS == 4 && defined(__clang__)
    return __builtin_shufflevector(value, value, 1, 0, 3, 2);
#elif HEQ_WORDS == 4
    return __builtin_shuffle(value, (words){1, 0, 3, 2});
#elif defined(__clang__)
    return __builtin_shufflevector(value, value, 1, 0);
#else
    return __builtin_shuffle(value, (words){1, 0});
#endif
}

/* (first ^ second) & mask */
static inline words unlike(words first, words second, words mask)
{
    return (first ^ second) & mask;
}

/* Bits set, by fields. */
static inline words counted(words value)
{
#if HEQ_WORDS == 8
    words made;
    __asm__("vpopcntq %1, %0" : "=v"(made) : "v"(value));
    return made;
#elif HEQ_WORDS == 4
    const words table = {0x0302020102010100u, 0x0403030203020201u, 0x0302020102010100u,
                         0x0403030203020201u};
    words low = value & HALVES, high = value >> 4 & HALVES;
    __asm__("vpshufb %1, %2, %0" : "=x"(low) : "x"(low), "x"(table));
    __asm__("vpshufb %1, %2, %0" : "=x"(high) : "x"(high), "x"(table));
    return low + high;
#elif defined(__POPCNT__)
    return (words){(uint64_t)__builtin_popcountll(value[0]),
                   (uint64_t)__builtin_popcountll(value[1])};
#elif defined(__ARM_NEON) && defined(__aarch64__)
    words made;
    __asm__("cnt %0.16b, %1.16b" : "=w"(made) : "w"(value));
    return made;
#elif defined(__ARM_NEON)
    words made;
    __asm__("vcnt.8 %q0, %q1" : "=w"(made) : "w"(value));
    return made;
#else
    value -= value >> 1 & 0x5555555555555555u;
    value = (value & 0x3333333333333333u) + (value >> 2 & 0x3333333333333333u);
    return (value + (value >> 4)) & HALVES;
#endif
}

/* Fields as words: sums of the bytes of each, or the word itself. */
static inline words joined(words fields)
{
#if HEQ_WORDS == 8 || (HEQ_WORDS == 2 && defined(__POPCNT__))
    return fields;
#elif HEQ_WORDS == 4
    words made, none = {0};
    __asm__("vpsadbw %1, %2, %0" : "=x"(made) : "x"(fields), "x"(none));
    return made;
#else
    fields = (fields & 0x00FF00FF00FF00FFu) + (fields >> 8 & 0x00FF00FF00FF00FFu);
    fields += fields >> 16;
    fields += fields >> 32;
    return fields & 0xFFFFu;
#endif
}

#if HEQ_WORDS == 8 || defined(__ARM_NEON)

/* Bits set in nine words, by fields. */
static inline words counted_nine(const words *values)
{
    words sum = counted(values[0]);
    for (int each = 1; each < 9; each++) {
        sum += counted(values[each]);
    }
    return sum;
}

#else

/* Three words to a sum and a carry. */
static inline words full_adder(words first, words second, words third, words *carry)
{
    words half = first ^ second;
    *carry = (first & second) | (half & third);
    return half ^ third;
}

/* Bits set in nine words, by fields: adders make four words of them, since counting takes longer
 * where no instruction does it. */
static inline words counted_nine(const words *values)
{
    words carries[4], twice, four_times, ones, twos, single;
    ones = full_adder(values[0], values[1], values[2], &carries[0]);
    twos = full_adder(values[3], values[4], values[5], &carries[1]);
    single = full_adder(values[6], values[7], values[8], &carries[2]);
    ones = full_adder(ones, twos, single, &carries[3]);
    twice = full_adder(carries[0], carries[1], carries[2], &four_times);
    twos = counted(twice) + counted(carries[3]);
    twos += counted(four_times) << 1;
    return counted(ones) + (twos << 1);
}

#endif
#endif
#endif
