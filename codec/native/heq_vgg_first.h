/* The first layer of the fast kernel: sums of 8-bit samples, a row of an output at a time, by
 * adding rows of multiples of samples. Bit planes of samples would be nine numbers of bits, each of
 * 27 of the 64 places of a word: more than the additions take. */
#ifndef HEQ_VGG_FIRST_H
#define HEQ_VGG_FIRST_H

#include <string.h>

#include "heq_vgg_layers.h"
#include "heq_words.h"

#ifdef HEQ_KERNEL_FAST

enum {
    TAPS = 9,
    MULTIPLES = 5, /* -2 to 2 */
    TAP = MULTIPLES * HEQ_SIDE,
    SHORTS = HEQ_WORDS << 2
};

typedef int16_t shorts __attribute__((vector_size(HEQ_WORDS_BYTES), may_alias));
typedef uint16_t bit_shorts __attribute__((vector_size(HEQ_WORDS_BYTES), may_alias));

/* Multiples of a row's samples for its nine taps, by column of the kernel and channel: each tap's
 * are where a vector can begin. Flat: [tap][multiple][column]. */
typedef struct {
    int16_t taps[TAPS * TAP] __attribute__((aligned(64)));
} multiples;

/* Centred samples of a channel of a row, with a margin of zeros. */
static void take_row(const heq_patch *patch, const uint8_t *row, int channel, int16_t *samples)
{
    int step = patch->pixel_bytes == 1 ? 1 : 3, x, last = patch->columns - 1;
    row += patch->channels == 1 ? 0 : channel;
    samples[0] = samples[HEQ_SIDE + 1] = 0;
    for (x = 0; x <= last; x++) {
        samples[1 + x] = (int16_t)(*row - HEQ_VGG_CENTRE);
        row += x < last ? step : 0;
    }
    for (; x < HEQ_SIDE; x++) {
        samples[1 + x] = samples[1 + last];
    }
}

static void multiply_row(const heq_patch *patch, const uint8_t *row, multiples *made)
{
    int16_t *first = made->taps;
    int channel, column, x;
    for (channel = 0; channel < 3; channel++) {
        int16_t samples[HEQ_SIDE + 2];
        take_row(patch, row, channel, samples);
        for (column = 0; column < 3; column++) {
            int16_t *tap = first + (column == 0 ? 0 : column == 1 ? 3 * TAP : 6 * TAP);
            for (x = 0; x < HEQ_SIDE; x++) {
                int16_t sample = samples[column + x];
                tap[x] = (int16_t)-(sample + sample);
                tap[HEQ_SIDE + x] = (int16_t)-sample;
                tap[2 * HEQ_SIDE + x] = 0;
                tap[3 * HEQ_SIDE + x] = sample;
                tap[4 * HEQ_SIDE + x] = (int16_t)(sample + sample);
            }
        }
        first += TAP;
    }
}

/* Where the multiples that the outputs add begin among those of their rows. */
static void find_multiples(const uint8_t *weights, uint16_t (*offsets)[HEQ_VGG_SAMPLES])
{
    int output, row, tap;
    for (output = 0; output < HEQ_VGG_WIDTH; output++) {
        uint64_t both = word_of(weights), two = word_of(weights + 4) >> 32;
        uint64_t negative = both & 0xFFFFFFFFu, one = both >> 32;
        uint16_t *offset = offsets[output];
        for (row = 0; row < 3; row++) {
            int begin = 0;
            for (tap = 0; tap < TAPS; tap++) {
                int size = (int)((one & 1) + ((two & 1) << 1));
                *offset++ = (uint16_t)(begin + ((negative & 1 ? 2 - size : 2 + size) << 5));
                begin += TAP;
                negative >>= 1;
                one >>= 1;
                two >>= 1;
            }
        }
        weights += HEQ_VGG_FIRST_BYTES;
    }
}

/* Sums of an output along a row. */
static inline void sum_multiples(const multiples *const *rows, const uint16_t *offsets,
                                 shorts *sums)
{
    int row, tap, part;
    for (part = 0; part < HEQ_SIDE / SHORTS; part++) {
        sums[part] = (shorts){0};
    }
    for (row = 0; row < 3; row++) {
        const int16_t *from = rows[row]->taps;
        for (tap = 0; tap < TAPS; tap++) {
            const shorts *tap_multiples = (const shorts *)(from + *offsets++);
            for (part = 0; part < HEQ_SIDE / SHORTS; part++) {
                sums[part] += tap_multiples[part];
            }
        }
    }
}

/* Sixteen outputs along a row, a bit of each to the two planes. */
static void sixteen_outputs(const multiples *const *rows, uint16_t (*offsets)[HEQ_VGG_SAMPLES],
                            int32_t (*cuts)[3], uint16_t (*made)[HEQ_SIDE])
{
    bit_shorts low[HEQ_SIDE / SHORTS] = {{0}}, high[HEQ_SIDE / SHORTS] = {{0}};
    int output, part;
    for (output = 0; output < 16; output++) {
        int16_t first = (int16_t)cuts[output][0], second = (int16_t)cuts[output][1];
        int16_t third = (int16_t)cuts[output][2];
        shorts sums[HEQ_SIDE / SHORTS];
        sum_multiples(rows, offsets[output], sums);
        for (part = 0; part < HEQ_SIDE / SHORTS; part++) {
            /* Negative where the sum is below. */
            shorts one = sums[part] - first, two = sums[part] - second, three = sums[part] - third;
            low[part] |= (bit_shorts)~(one ^ two ^ three) >> 15 << output;
            high[part] |= (bit_shorts)~two >> 15 << output;
        }
    }
    memcpy(made[0], low, sizeof low);
    memcpy(made[1], high, sizeof high);
}

static void fast_first_layer(const heq_vgg *vgg, const heq_patch *patch, heq_vgg_cuts *cuts,
                             uint64_t *out, size_t row, size_t plane)
{
    multiples kept[3];
    multiples *lowest = kept + 2; /* each in turn */
    const multiples *rows[3] = {kept, kept, kept + 1};
    uint16_t offsets[HEQ_VGG_WIDTH][HEQ_VGG_SAMPLES];
    int32_t own[HEQ_VGG_WIDTH][3];
    const uint8_t *next = patch->pixels;
    int x, y, output;
    find_multiples(vgg->weights, offsets);
    for (output = 0; output < HEQ_VGG_WIDTH; output++) {
        heq_vgg_next_cuts(cuts, 3, own[output]);
    }
    memset(kept, 0, sizeof kept);
    for (y = -1; y < HEQ_SIDE; y++) {
        if (y + 1 == HEQ_SIDE) {
            memset(lowest, 0, sizeof *lowest);
        } else {
            multiply_row(patch, next, lowest);
            next += y + 2 < patch->rows ? patch->stride : 0;
        }
        rows[0] = rows[1];
        rows[1] = rows[2];
        rows[2] = lowest;
        lowest = lowest == kept + 2 ? kept : lowest + 1;
        if (y < 0) {
            continue;
        }
        out += row;
        for (output = 0; output < HEQ_VGG_WIDTH; output += 16) {
            uint16_t made[2][HEQ_SIDE];
            sixteen_outputs(rows, offsets + output, own + output, made);
            for (x = 0; x < HEQ_SIDE; x++) {
                out[1 + x] |= (uint64_t)made[0][x] << output;
                out[plane + 1 + (size_t)x] |= (uint64_t)made[1][x] << output;
            }
        }
    }
}

#endif
#endif
