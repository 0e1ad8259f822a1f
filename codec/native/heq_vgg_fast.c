/* The fast kernel: sums by numbers of bits (the formula is in codec/nqe_vgg/bit_planes.py).
 *
 * A word holds a bit plane of 64 channels of one position, a vector the words of positions side by
 * side, and the weights of an output are the same for all of them. Rows are done in pairs, since a
 * maximum takes two. The first layer, of 8-bit samples, is in heq_vgg_first.h. */
#include "heq_vgg.h"

#include <string.h>

#include "heq_vgg_first.h"
#include "heq_vgg_layers.h"
#include "heq_words.h"

#ifdef HEQ_KERNEL_FAST

enum {
    MOST_WEIGHTS = 2 * TAPS * 3, /* words of an output's weights */
    FIELD_WORDS = 2 * (HEQ_SIDE + 2) * (HEQ_SIDE + 2),
    RAW_WORDS = 1024
};

/* What a layer takes and gives. */
typedef struct {
    const heq_vgg_layer *layer;
    size_t row;   /* words from one row of its inputs to the next */
    size_t block; /* words of 64 of its inputs, in one plane */
    size_t plane;
    size_t out_block;
    size_t out_plane;
    const uint64_t *in; /* two planes by 64 channels and position, around each a margin of zeros */
    uint64_t *out;      /* likewise without a margin; behind a maximum columns come in pairs */
} heq_vgg_step;

/* ---- Sums of the others ------------------------------------------------------------------ */

/* The weights of an output, each for a whole vector, by 64 inputs, place in the kernel and plane.
 * Returns the sum that activations of zero would give by the formula. */
static uint64_t spread(const uint8_t *weights, int taps, int blocks, int planes, words *made)
{
    int zeros = 0, tap, block, plane;
    for (tap = 0; tap < taps; tap++) {
        words *to = made;
        for (block = 0; block < blocks; block++) {
            uint64_t negative = word_of(weights);
            int both = bits_set(planes > 1 ? negative & word_of(weights + 8) : negative);
            zeros += both;
            if (planes > 2) {
                both = bits_set(negative & word_of(weights + 16));
                zeros += both + both;
            }
            for (plane = 0; plane < planes; plane++) {
                to[plane] = every_word(word_of(weights));
                weights += 8;
            }
            to += taps == 1 ? planes : planes == 1 ? TAPS : planes == 2 ? 2 * TAPS : 3 * TAPS;
        }
        made += planes;
    }
    return (uint64_t)(zeros + zeros + zeros);
}

/* What is to be counted, once, twice and four times, of 64 activations and their weights. */
HEQ_INLINE void to_be_counted(words low, words high, const words *weights, int planes, words *ones,
                              words *twos, words *fours)
{
    if (planes == 1) {
        *ones = low ^ weights[0];
        *twos = high ^ weights[0];
    } else if (planes == 2) {
        *ones = unlike(weights[0], low, weights[1]);
        *twos = unlike(weights[0], high, weights[1]);
    } else {
        *ones = unlike(weights[0], low, weights[1]);
        *twos = unlike(weights[0], high, weights[1]) | unlike(weights[0], low, weights[2]);
        *fours = unlike(weights[0], high, weights[2]);
    }
}

/* Sums of an output over 3 x 3 places of 64 channels, above that of zeros. */
HEQ_INLINE words sum_of_nine(const uint64_t *low, const uint64_t *high, size_t row,
                             const words *weights, int planes)
{
    words ones[TAPS], twos[TAPS], fours[TAPS];
    int line, column, tap = 0;
    for (line = 0; line < 3; line++) {
        for (column = 0; column < 3; column++) {
            to_be_counted(*(const loose_words *)(low + column),
                          *(const loose_words *)(high + column), weights, planes, ones + tap,
                          twos + tap, fours + tap);
            weights += planes;
            tap++;
        }
        low += row;
        high += row;
    }
    ones[0] = joined(counted_nine(ones) + (counted_nine(twos) << 1));
    if (planes == 3) {
        ones[0] += joined(counted_nine(fours)) << 2;
    }
    return ones[0];
}

/* Sums over all inputs that an output sees, `count` times 64. */
HEQ_INLINE words sum_of_inputs(const heq_vgg_step *step, const uint64_t *in, const words *weights,
                               int planes, int count)
{
    words sum = sum_of_nine(in, in + step->plane, step->row, weights, planes);
    if (count > 1) {
        in += step->block;
        weights += planes == 1 ? TAPS : planes == 2 ? 2 * TAPS : 3 * TAPS;
        sum += sum_of_nine(in, in + step->plane, step->row, weights, planes);
    }
    return sum;
}

/* An output of a layer: its bit at all positions. */
HEQ_INLINE void one_output(const heq_vgg_step *step, const uint64_t *in, const words *weights,
                           const words *cuts, int bit, uint64_t *out, int planes, int count)
{
    int side = 1 << step->layer->log_side, x, y, line;
    for (y = 0; y < side; y += 2) {
        for (x = 0; x < side; x += HEQ_WORDS) {
            words below[2][3];
            for (line = 0; line < 2; line++) {
                words sum = sum_of_inputs(step, in + x + (line ? step->row : 0), weights, planes,
                                          count);
                below[line][0] = sum - cuts[0];
                below[line][1] = sum - cuts[1];
                below[line][2] = sum - cuts[2];
            }
            if (step->layer->pool) {
                /* The largest of four is below where all are. */
                words first = below[0][0] & below[1][0], second = below[0][1] & below[1][1];
                words third = below[0][2] & below[1][2];
                first &= swapped(first);
                second &= swapped(second);
                third &= swapped(third);
                *(words *)(out + x) |= ~(first ^ second ^ third) >> 63 << bit;
                *(words *)(out + step->out_plane + x) |= ~second >> 63 << bit;
            } else {
                for (line = 0; line < 2; line++) {
                    words odd = below[line][0] ^ below[line][1] ^ below[line][2];
                    uint64_t *to = out + x + (line ? side : 0);
                    *(words *)to |= ~odd >> 63 << bit;
                    *(words *)(to + step->out_plane) |= ~below[line][1] >> 63 << bit;
                }
            }
        }
        in += step->row << 1;
        out += side << !step->layer->pool;
    }
}

/* A layer whose activations go on. Returns where its weights end. */
HEQ_INLINE const uint8_t *weigh(const heq_vgg_step *step, const uint8_t *weights,
                                heq_vgg_cuts *cuts, int planes, int count)
{
    const heq_vgg_layer *layer = step->layer;
    int bytes = (count > 1 ? 2 * TAPS * 8 : TAPS * 8), group, output, number = 0;
    const uint64_t *in = step->in;
    uint64_t *out = step->out;
    bytes += (planes > 1 ? bytes : 0) + (planes > 2 ? bytes : 0);
    for (group = 0; group < layer->groups; group++) {
        for (output = 0; output < layer->outputs; output++) {
            words wide[MOST_WEIGHTS], own[3];
            int32_t made[3];
            uint64_t zeros = spread(weights, TAPS, count, planes, wide);
            heq_vgg_next_cuts(cuts, 3, made);
            own[0] = every_word((uint64_t)made[0] + zeros);
            own[1] = every_word((uint64_t)made[1] + zeros);
            own[2] = every_word((uint64_t)made[2] + zeros);
            one_output(step, in, wide, own, number & 63, out, planes, count);
            weights += bytes;
            number++;
            if ((number & 63) == 0) {
                out += step->out_block;
            }
        }
        in += count > 1 ? step->block << 1 : step->block;
    }
    return weights;
}


static const uint8_t *middle_layer(const heq_vgg_step *step, int planes, const uint8_t *weights,
                                   heq_vgg_cuts *cuts)
{
    if (step->layer->words == 1) {
        return planes == 1   ? weigh(step, weights, cuts, 1, 1)
               : planes == 2 ? weigh(step, weights, cuts, 2, 1)
                             : weigh(step, weights, cuts, 3, 1);
    }
    return planes == 1   ? weigh(step, weights, cuts, 1, 2)
           : planes == 2 ? weigh(step, weights, cuts, 2, 2)
                         : weigh(step, weights, cuts, 3, 2);
}

/* The last layer: a bit for each output and position, by output; or totals over positions. */
static void last_layer(const heq_vgg_step *step, int planes, const uint8_t *weights,
                       heq_vgg_cuts *cuts, uint8_t *code, int16_t *totals)
{
    int output, position, block;
    for (output = 0; output < step->layer->outputs; output++) {
        words wide[4 * 3], below;
        uint64_t bits[16];
        int32_t made = 0;
        uint64_t zeros = spread(weights, 1, 4, planes, wide);
        if (totals == NULL) {
            heq_vgg_next_cuts(cuts, 1, &made);
        }
        for (position = 0; position < 16; position += HEQ_WORDS) {
            const uint64_t *in = step->in + position;
            const words *next = wide;
            words sum = {0}, four_times = {0};
            for (block = 0; block < 4; block++) {
                words ones, twos, fours = {0};
                to_be_counted(*(const loose_words *)in, *(const loose_words *)(in + step->plane),
                              next, planes, &ones, &twos, &fours);
                sum += counted(ones) + (counted(twos) << 1);
                four_times += counted(fours);
                next += planes;
                in += step->block;
            }
            below = joined(sum) + (joined(four_times) << 2) - every_word((uint64_t)made + zeros);
            below = totals != NULL ? below : ~below >> 63;
            memcpy(bits + position, &below, sizeof below);
        }
        weights += planes << 5;
        if (totals != NULL) {
            uint64_t total = 0;
            for (position = 0; position < 16; position++) {
                total += bits[position];
            }
            totals[output] = (int16_t)total;
            continue;
        }
        for (position = 0; position < 16; position += 8) {
            unsigned byte = 0;
            for (block = 0; block < 8; block++) {
                byte += byte + (unsigned)bits[position + block];
            }
            *code++ = (uint8_t)byte;
        }
    }
}

/* ---- All layers -------------------------------------------------------------------------- */

/* Words of 64 channels of a square, with the margin that its layer needs. */
static size_t block_of(const heq_vgg_layer *layer)
{
    static const uint16_t blocks[] = {0, 0, 4 * 4, 10 * 10, 18 * 18, 34 * 34};
    return blocks[layer->log_side];
}

static size_t row_of(const heq_vgg_layer *layer)
{
    return ((size_t)1 << layer->log_side) + layer->reach + layer->reach;
}

/* What a layer gave, to where the next one takes it. */
static void put_in_place(const heq_vgg_step *step, uint64_t *in)
{
    const heq_vgg_layer *layer = step->layer, *next = layer + 1;
    size_t row = row_of(next), block = block_of(next), number, x, y;
    size_t side = (size_t)1 << next->log_side, blocks = (size_t)1 << (next->log_in - 3);
    memset(in, 0, (block << (next->log_in - 3)) << 3);
    for (number = 0; number < blocks; number++) {
        const uint64_t *from = step->out;
        uint64_t *to = in + next->reach + (next->reach ? row : 0);
        from += number << (next->log_side + layer->log_side);
        for (y = 0; y < side; y++) {
            for (x = 0; x < side; x++) {
                to[x] = from[x << layer->pool];
            }
            from += (size_t)1 << layer->log_side;
            to += row;
        }
        in += block;
    }
}

HEQ_INTERNAL void heq_fast_vgg_encode(const heq_vgg *vgg, const heq_patch *patch, uint8_t *code,
                                      int16_t *totals)
{
    uint64_t in[FIELD_WORDS], out[RAW_WORDS] __attribute__((aligned(64)));
    const uint8_t *weights = vgg->weights + HEQ_VGG_WIDTH * HEQ_VGG_FIRST_BYTES;
    heq_vgg_cuts cuts = {vgg, 0, 0};
    int index;
    for (index = 0; index < HEQ_VGG_LAYERS - 1; index++) {
        const heq_vgg_layer *layer = heq_vgg_layers + index;
        heq_vgg_step step = {layer, row_of(layer), block_of(layer), 0, 0, 0, in, out};
        step.plane = step.block << (layer->log_in - 4);
        if (index == 0) {
            memset(in, 0, sizeof in);
            fast_first_layer(vgg, patch, &cuts, in, step.row, step.plane);
        }
        cuts.layer = cuts.next;
        if (layer->reach == 0) {
            last_layer(&step, vgg->planes[index + 1], weights, &cuts, code, totals);
            return;
        }
        step.out_block = (size_t)1 << (layer[1].log_side + layer->log_side);
        step.out_plane = step.out_block << (layer[1].log_in - 4);
        memset(out, 0, sizeof out);
        weights = middle_layer(&step, vgg->planes[index + 1], weights, &cuts);
        put_in_place(&step, in);
    }
}

#endif
