/* Adaptive decisions of the device coder, and their contexts: part of heq_device.c. */
#ifndef HEQ_DEVICE_CONTEXTS_H
#define HEQ_DEVICE_CONTEXTS_H

#include "heq_device_bits.h"
#include "heq_device_layout.h"
#include "heq_shifts.h"

enum {
    SLOW = 6,
    FAST = 5
};

/* Of a weight and the log odds that it weighs; their magnitudes together reach 191 at most. */
static inline int product(int weight, int value)
{
#ifdef HEQ_KERNEL_MULTIPLY
    return weight * value;
#else
    const uint16_t *squares = quarter_square + 191 + weight;
    int opposite = -value;
    HEQ_HIDE(opposite);
    return squares[value] - squares[opposite];
#endif
}

/* Towards 0xFFFF after a bit of 1, towards 0 after a bit of 0. */
static inline uint16_t learned(int state, int rate, int bit)
{
    return (uint16_t)(bit ? state + ((0xFFFF - state) >> rate) : state - (state >> rate));
}

/* Code a bit from the predictions of several contexts, weighted by one set, and learn it. The
 * number of contexts is known where it is called: what there is not is no code. */
HEQ_INLINE int decide(heq_device_strip *strip, int set, int inputs, const int *contexts, int rate,
                      int bit)
{
    const int8_t *weights = strip->tables->weights + (set << 2); /* HEQ_DEVICE_INPUTS each */
    const int8_t *stretch = strip->tables->stretch;
    int logits[HEQ_DEVICE_INPUTS], states[HEQ_DEVICE_INPUTS];
    int32_t sum = 16; /* a half, for weights are in 1/32 */
    int odds;
    /* Of the 16 bits of a state `stretch` looks at 11. */
#define PREDICT(input)                                             \
    if (input < inputs) {                                          \
        states[input] = strip->state[contexts[input]];             \
        logits[input] = stretch[states[input] >> 5];               \
        sum += product(weights[input], logits[input]);             \
    }
#define LEARN(input)                                               \
    if (input < inputs) {                                          \
        strip->state[contexts[input]] = learned(states[input], rate, bit); \
    }
    PREDICT(0)
    PREDICT(1)
    PREDICT(2)
    PREDICT(3)
    /* Log odds in 1/16 again, -127 to 127. */
    odds = (int)(sum < -4064 ? -127 : sum > 4079 ? 127 : sum >> 5);
    bit = code_bit(strip, odds, bit);
#ifdef HEQ_DEVICE_TRACE
    if (strip->trace != NULL) {
        heq_device_trace(strip, set, inputs, contexts, logits, bit);
    }
#endif
    LEARN(0)
    LEARN(1)
    LEARN(2)
    LEARN(3)
#undef PREDICT
#undef LEARN
    return bit;
}

/* Code a bit by one context alone. */
static int decide_one(heq_device_strip *strip, int context, int bit)
{
    return decide(strip, 0, 1, &context, FAST, bit);
}

#ifdef HEQ_DEVICE_TRACE
#define TRACE_SCORE(strip, place, bins) ((strip)->traced = (bins), (strip)->traced_place = (place))
#else
#define TRACE_SCORE(strip, place, bins) ((void)0)
#endif

enum {
    MAGNITUDES = 5, /* classes of "larger than 1, 2, 3, 4 to 7, 8 and more" */
    UNARY = 15,     /* magnitudes from here on by Exp-Golomb codes */
    PREFIXES = 16,
    SIGNED_BANDS = 3,
    BORDER_BANDS = 128 /* of plane 0, whose signs are expected from the borders */
};

/* Where each kind of context begins: a kind has a table for each of its inputs. Bins are those
 * of bin10 and its like; "kind" is luma or chroma by size, four in all. */
enum {
    AT_SIZE = 0,
    AT_ZERO_SCORE = AT_SIZE + 2, /* is a level not 0? 4 kinds, 6 groups, 16 scores */
    AT_ZERO_BOTH = AT_ZERO_SCORE + 4 * 6 * 16, /* 4 kinds, 10 of near, 10 of same */
    AT_ZERO_OTHER = AT_ZERO_BOTH + 4 * 10 * 10, /* 3 planes, 9 zone pairs, 6 of other, 4 of both */
    AT_ZERO_FIRST = AT_ZERO_OTHER + 3 * 9 * 6 * 4, /* 4 kinds, 6 of other, 16 scores */
    AT_LARGER_SCORE = AT_ZERO_FIRST + 4 * 6 * 16, /* larger yet? 5 magnitudes, 4 kinds, 6, 16 */
    AT_LARGER_BOTH = AT_LARGER_SCORE + 5 * 4 * 6 * 16, /* 5 magnitudes, 10 of near, 10 of same */
    AT_LARGER_OTHER = AT_LARGER_BOTH + 5 * 10 * 10, /* 5 magnitudes, 10 of both, 6 of other */
    AT_ESCAPE = AT_LARGER_OTHER + 5 * 10 * 6, /* prefixes of Exp-Golomb codes */
    AT_SIGN = AT_ESCAPE +
        PREFIXES, /* 4 kinds, 3 bands, 4 levels of a band, signs of 2 neighbours */
    AT_SIGN_LUMA = AT_SIGN + 4 * 3 * 4 * 3 * 3, /* 3 planes, 3 bands, signs of neighbour and luma */
    AT_SIGN_BORDER = AT_SIGN_LUMA + 3 * 3 * 3 * 3, /* 3 areas, 3 magnitudes, 17 of the gap */
    AT_MORE = AT_SIGN_BORDER + 3 * 3 * 17, /* any level from here on? 6 planes by size, 32 */
    AT_MORE_BEFORE = AT_MORE + 6 * 32, /* 3 planes, 10 of the group before, 6 of left */
    AT_MORE_FIRST = AT_MORE_BEFORE + 3 * 10 * 6, /* luma or chroma, 10 of left, 7 of first */
    AT_DC = AT_MORE_FIRST + 2 * 10 * 7, /* 3 planes, 6 of energy, magnitudes below UNARY */
    AT_DC_ESCAPE = AT_DC + 3 * 6 * UNARY, /* 3 planes, prefixes of Exp-Golomb codes */
    AT_DC_SIGN = AT_DC_ESCAPE + 3 * PREFIXES, /* 3 planes, signs of left and luma */
    CONTEXTS = AT_DC_SIGN + 3 * 3 * 3
};

/* Where each kind of sets of weights begins. */
enum {
    SET_ONE = 0, /* of one context alone; see decide_one */
    SET_ZERO = SET_ONE + 1, /* 3 planes, 2 sizes, 18 zones, 4 of near and same */
    SET_LARGER = SET_ZERO + 3 * 2 * 18 * 4, /* 5 magnitudes, 3 planes, 4 of near and same */
    SET_SIGN = SET_LARGER + MAGNITUDES * 3 * 4, /* 3 planes, 3 bands */
    SET_BORDER = SET_SIGN + 3 * SIGNED_BANDS, /* 2 sizes, 3 bands */
    SET_MORE = SET_BORDER + 2 * SIGNED_BANDS, /* 3 planes, 8 groups of bands */
    SETS = SET_MORE + 3 * 8
};

typedef char contexts_agree[CONTEXTS == HEQ_DEVICE_CONTEXTS ? 1 : -1];
typedef char sets_agree[SETS == HEQ_DEVICE_SETS ? 1 : -1];

static int times_7(int value)
{
    return times_6(value) + value;
}

/* Bins of sums; the last one has all larger sums, too. */
static const uint8_t bins_16[61] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  8,  9,  9,  10, 10, 10, 11, 11, 11, 11, 11, 12,
    12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 14, 14,
    14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 15};
static const uint8_t bins_10[25] = {0, 1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 7, 7,
                                    7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 9};
static const uint8_t bins_7[11] = {0, 1, 2, 3, 4, 4, 5, 5, 5, 5, 6};
static const uint8_t bins_6[10] = {0, 1, 2, 3, 3, 4, 4, 4, 4, 5};
static const uint8_t bins_4[11] = {0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3};

static inline int bin16(int sum)
{
    return bins_16[sum < 60 ? sum : 60];
}

static inline int bin10(int sum)
{
    return bins_10[sum < 24 ? sum : 24];
}

static inline int bin7(int sum)
{
    return bins_7[sum < 10 ? sum : 10];
}

static inline int bin6(int sum)
{
    return bins_6[sum < 9 ? sum : 9];
}

static inline int bin4(int sum)
{
    return bins_4[sum < 10 ? sum : 10];
}

/* Of 18, by rank of the band. */
static int zone(int band)
{
    return band < 8     ? band
           : band < 16  ? 8 + ((band - 8) >> 2)
           : band < 32  ? 10 + ((band - 16) >> 3)
           : band < 64  ? 12 + ((band - 32) >> 4)
           : band < 128 ? 14 + ((band - 64) >> 5)
                        : 16 + ((band - 128) >> 6);
}

static int sign_of(int value)
{
    return (value > 0) - (value < 0);
}

/* Magnitudes of the planes follow one another, the four of a band in a word. Those of bands not
 * coded yet are still the left patch's. */
static uint32_t *bands_of(heq_device_strip *strip, int plane)
{
    return strip->magnitude + heq_two_shifts(plane, 8, 0); /* HEQ_DEVICE_BANDS each */
}

static uint8_t *magnitudes_of(heq_device_strip *strip, int plane)
{
    return (uint8_t *)bands_of(strip, plane);
}

static int8_t *signs_of(heq_device_strip *strip, int plane)
{
    return strip->sign + (times_3(plane) << 2); /* HEQ_DEVICE_SIGNED each */
}

/* A number coded in the Exp-Golomb manner, its prefix by contexts. 0..65534. */
static int code_escape(heq_device_strip *strip, int contexts, int value)
{
    int length = 0, bits, result;
    while (length < PREFIXES - 1 &&
           decide_one(strip, contexts + length, (value + 1) >> (length + 1) > 0)) {
        length++;
    }
    result = 1;
    for (bits = length - 1; bits >= 0; bits--) {
        result = (result << 1) | code_bit(strip, 0, ((value + 1) >> bits) & 1);
    }
    return result - 1;
}

#endif
