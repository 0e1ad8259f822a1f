/* What the packed coder holds while it codes a strip, and its binary arithmetic coder. Parts of
 * heq_packed.c, which is one unit, so that what is small is inlined. */
#ifndef HEQ_PACKED_STATE_H
#define HEQ_PACKED_STATE_H

#include "heq_packed.h"

/* `>>` of negative numbers is taken to be arithmetic, as every compiler of Python's has it. */

enum {
    INPUTS = HEQ_PACKED_INPUTS,
    LISTED = HEQ_PACKED_LISTED,
    HIDDEN = HEQ_PACKED_HIDDEN,
    SECOND = HEQ_PACKED_SECOND,
    HEADS = HEQ_PACKED_HEADS,
    MIXED = HEQ_PACKED_MIXED,
    LEVELS = 1024,
    LONGEST = 22, /* decisions of the largest magnitude */
    SEGMENTS = 23,
    SIDE = 20, /* 16 frequencies and a border: three below, one above */
    MAP = SIDE * SIDE * 4,
    FLAG_NETS = 48,
    SIGN_MIX = HEQ_PACKED_NETS,
    PLANES = 3,
    DIFFERENCE_LIMIT = 2047,
    LOGIT_LIMIT = 49000
};

/* Sets of corrections; see the contexts in `code_level`, `code_flag` and `code_sign`. */
enum {
    BY_LEVEL = 0,
    BY_LOGIT = BY_LEVEL + PLANES * 2 * LEVELS * 4,
    BY_AROUND = BY_LOGIT + HEQ_PACKED_NETS * 4 * 32,
    BY_RING = BY_AROUND + PLANES * 4 * 512,
    BY_PATCH = BY_RING + PLANES * 2 * 4 * 24 * 4,
    BY_NEIGHBOURS = BY_PATCH + PLANES * 6 * 4 * 16,
    BY_SEGMENT = BY_NEIGHBOURS + PLANES * 6 * 4 * 16,
    BY_AGREEMENT = BY_SEGMENT + PLANES * 2 * 2 * 24,
    BY_SIGNS = BY_AGREEMENT + PLANES * 2 * 9 * 5,
    BY_REST = BY_SIGNS + PLANES * 9 * 3 * 9,
    CORRECTIONS = BY_REST + PLANES * LONGEST
};

/* How corrections and mixes learn: 1/1024 of information, and a shift. */
enum {
    PRIOR = 1500,
    SEEN_LIMIT = 60000,
    BIAS_LIMIT = 400000,
    MIX_SHIFT = 19,
    MIX_LIMIT = 1 << 20
};

static const int16_t slice_start[HEQ_PACKED_SLICES + 1] = {0, 1, 16, 64, 160, 384, 1024};
static const uint8_t slice_segment[HEQ_PACKED_SLICES + 1] = {0, 1, 2, 3, 6, 13, 23};
static const int16_t segment_start[SEGMENTS + 1] = {
    0,   1,   16,  64,  96,  128, 160, 192, 224, 256, 288, 320,
    352, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960, 1024};

typedef struct {
    int32_t bias;  /* log odds in 1/65536 */
    uint32_t seen; /* information so far in 1/1024 */
} correction;

/* What is known of a plane of a patch. */
typedef struct {
    uint8_t segments[24];
    uint8_t slices[8];
    int32_t run[2];
    int32_t surprise;
    int32_t agreement[2];
    /* Along the sides left, top, right, bottom of a patch, in frequencies of its size; then along
     * the inner sides of quarters: right of the left ones, bottom of the upper ones, left of the
     * right ones, top of the lower ones. */
    int32_t profiles[8][32];
} summary;

typedef struct {
    const heq_packed_tables *tables;
    int rows, columns, planes, step, decoding;
    int64_t pitch, field; /* patches a row, patches a plane, with a border of one */
    int64_t offsets[PLANES][LISTED];
    uint8_t sub[LISTED];
    uint8_t *map; /* (PLANES, rows + 2, columns + 2, SIDE, SIDE, 4): magnitudes */
    summary *summaries;
    correction *corrections;
    int32_t *mixing;
    uint8_t u[256], v[256], angle[256], ring[256];
    uint32_t low, high, window;
    const uint8_t *in;
    uint8_t *out;
    int64_t at, end;
    heq_packed_samples *samples;
    const uint8_t *sizes; /* of the strip, as far as they are known */
} coder;

static inline int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* Where a patch and a plane of it stand. */
typedef struct {
    int row, column, plane, slice, size;
    int64_t place; /* in map and summaries */
} position;

static void put_byte(coder *c, uint32_t byte)
{
    if (c->at < c->end) {
        c->out[c->at] = (uint8_t)byte;
    }
    c->at++;
}

static uint32_t get_byte(coder *c)
{
    uint32_t byte = c->at < c->end ? c->in[c->at] : 0;
    c->at++;
    return byte;
}

static void start_code(coder *c)
{
    c->low = 0;
    c->high = 0xFFFFFFFFu;
    c->window = 0;
    for (int i = 0; c->decoding && i < 4; i++) {
        c->window = c->window << 8 | get_byte(c);
    }
}

/* The fewest bytes that, followed by zeros, lie in the interval. */
static void finish_code(coder *c)
{
    int count = c->low ? 1 : 0;
    uint64_t value = 0;
    for (; count; count++) {
        uint64_t unit = (uint64_t)1 << (32 - 8 * count);
        value = (c->low + unit - 1) / unit * unit;
        if (value <= c->high) {
            break;
        }
    }
    for (int i = 0; i < count; i++) {
        put_byte(c, (uint32_t)(value >> (24 - 8 * i)) & 255);
    }
}

/* Code a bit of which `ones` / 65536 is the probability of 1. */
static inline int code_bit(coder *c, int bit, uint32_t ones)
{
    uint32_t middle = c->low + (uint32_t)((uint64_t)(c->high - c->low) * ones >> 16);
    if (c->decoding) {
        bit = c->window <= middle;
    }
    if (bit) {
        c->high = middle;
    } else {
        c->low = middle + 1;
    }
    while ((c->low ^ c->high) < 0x1000000u) {
        if (c->decoding) {
            c->window = c->window << 8 | get_byte(c);
        } else {
            put_byte(c, c->high >> 24);
        }
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
    return bit;
}

#endif
