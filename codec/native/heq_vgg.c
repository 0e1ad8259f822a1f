/* The scalar kernel: sums by distributed arithmetic. The sums of all subsets of four activations
 * are made once for a position, and four bits of a plane of weights look one of them up. */
#include "heq_vgg.h"

#include <string.h>

#include "heq_vgg_layers.h"

#ifndef HEQ_KERNEL_FAST

#include "heq_shifts.h"

/* ---- The first layer --------------------------------------------------------------------- */

/* Centred samples at `x` of a row and the columns beside it, 0 outside the patch. */
static int16_t *three_columns(const heq_patch *patch, const uint8_t *row, int x, int16_t *samples)
{
    int column, channel;
    for (column = x - 1; column <= x + 1; column++) {
        int inside = row != NULL && column >= 0 && column < HEQ_SIDE;
        int there = column < patch->columns ? column : patch->columns - 1;
        const uint8_t *pixel = row;
        if (inside) {
            pixel += patch->pixel_bytes == 1 ? there : times_3(there);
        }
        for (channel = 0; channel < 3; channel++) {
            *samples++ = (int16_t)(inside ? *pixel - HEQ_VGG_CENTRE : 0);
            if (inside && patch->channels == 3) {
                pixel++; /* of a row outside there is no address to count on from */
            }
        }
    }
    return samples;
}

static uint32_t word_of(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* Sum of samples by the weights of an output. */
static int32_t sum_of_samples(const uint8_t *weights, const int16_t *samples)
{
    uint32_t negative = word_of(weights), one = word_of(weights + 4), two = word_of(weights + 8);
    int32_t sum = 0;
    int left;
    for (left = HEQ_VGG_SAMPLES; left > 0; left--) {
        int32_t sample = *samples++;
        if ((one | two) & 1) {
            sample = two & 1 ? sample + sample : sample;
            sum = negative & 1 ? sum - sample : sum + sample;
        }
        negative >>= 1;
        one >>= 1;
        two >>= 1;
    }
    return sum;
}

/* How many of three cuts a sum reaches, to the two planes of an output's bit. */
static void put_level(int32_t sum, const int32_t *cuts, uint8_t *low, int second_plane, int bit)
{
    int level = (sum >= cuts[0]) + (sum >= cuts[1]) + (sum >= cuts[2]);
    low[0] = (uint8_t)(low[0] | (level & 1) << bit);
    low[second_plane] = (uint8_t)(low[second_plane] | (level >> 1) << bit);
}

static void first_layer(const heq_vgg *vgg, const heq_patch *patch, heq_vgg_cuts *cuts,
                        uint8_t *out)
{
    const uint8_t *above = NULL, *here = patch->pixels, *below;
    int x, y, output;
    memset(out, 0, 1 << 14);
    for (y = 0; y < HEQ_SIDE; y++) {
        below = y + 1 < patch->rows ? here + patch->stride : y + 1 < HEQ_SIDE ? here : NULL;
        for (x = 0; x < HEQ_SIDE; x++) {
            int16_t samples[HEQ_VGG_SAMPLES];
            const uint8_t *weights = vgg->weights;
            three_columns(patch, below, x,
                          three_columns(patch, here, x, three_columns(patch, above, x, samples)));
            cuts->next = cuts->layer;
            for (output = 0; output < HEQ_VGG_WIDTH; output++) {
                int32_t made[3];
                heq_vgg_next_cuts(cuts, 3, made);
                put_level(sum_of_samples(weights, samples), made, out + (output >> 3), 8,
                          output & 7);
                weights += HEQ_VGG_FIRST_BYTES;
                HEQ_HIDE(weights);
            }
            out += 16;
        }
        above = here;
        here = below;
    }
}

/* ---- Sums of the others ------------------------------------------------------------------ */

/* The sums of all subsets of four activations, from their two planes. */
static void add_subsets(unsigned low, unsigned high, uint8_t *sums)
{
    unsigned known = 1, subset;
    sums[0] = 0;
    for (; known < 16; known <<= 1) {
        unsigned activation = (low & 1) + ((high & 1) << 1);
        for (subset = 0; subset < known; subset++) {
            sums[known + subset] = (uint8_t)(sums[subset] + activation);
        }
        low >>= 1;
        high >>= 1;
    }
}

/* Sums of eight activations that bits name. */
static int32_t named(unsigned bits, const uint8_t *sums)
{
    return sums[bits & 15] + sums[16 + (bits >> 4)];
}

/* The sum of an output over `bytes` times eight activations whose sum is `all`. */
static int32_t weigh_binary(const uint8_t *weights, int bytes, const uint8_t *sums, int32_t all)
{
    int32_t negative = 0;
    for (; bytes > 0; bytes--) {
        negative += named(*weights++, sums);
        sums += 32;
    }
    return all - negative - negative;
}

static int32_t weigh_ternary(const uint8_t *weights, int bytes, const uint8_t *sums)
{
    int32_t negative = 0, any = 0;
    for (; bytes > 0; bytes--) {
        negative += named(weights[0], sums);
        any += named(weights[8], sums);
        weights++;
        if ((bytes & 7) == 1) {
            weights += 8;
        }
        sums += 32;
    }
    return any - negative - negative;
}

/* By the bits of the weights plus 2: -2 is 0, 2 is 4. */
static int32_t weigh_quinary(const uint8_t *weights, int bytes, const uint8_t *sums, int32_t all)
{
    int32_t ones = 0, twos = 0, fours = 0;
    for (; bytes > 0; bytes--) {
        unsigned negative = weights[0], one = weights[8], two = weights[16];
        ones += named(one, sums);
        twos += named((two | (one & negative)) ^ 255u, sums);
        fours += named(two & (negative ^ 255u), sums);
        weights++;
        if ((bytes & 7) == 1) {
            weights += 16;
        }
        sums += 32;
    }
    twos += fours + fours - all;
    return ones + twos + twos;
}

/* ---- A layer ----------------------------------------------------------------------------- */

typedef struct {
    const heq_vgg_layer *layer;
    int planes; /* of its weights */
    const uint8_t *in;
} heq_vgg_place;

/* Subset sums of what a group's outputs see at a position; returns the sum of all. */
static int32_t gather(const heq_vgg_place *place, int group, int row, int column, uint8_t *sums)
{
    const heq_vgg_layer *layer = place->layer;
    int side = 1 << layer->log_side, bytes = layer->words << 3, plane = 1 << layer->log_in >> 1;
    int y, x, byte;
    int32_t all = 0;
    for (y = row - layer->reach; y <= row + layer->reach; y++) {
        for (x = column - layer->reach; x <= column + layer->reach; x++) {
            const uint8_t *low;
            if (y < 0 || x < 0 || y >= side || x >= side) {
                memset(sums, 0, (size_t)bytes << 5);
                sums += bytes << 5;
                continue;
            }
            low = place->in + (((y << layer->log_side) + x) << layer->log_in);
            low += group ? bytes : 0;
            for (byte = 0; byte < bytes; byte++) {
                unsigned first = low[byte], second = low[plane + byte];
                add_subsets(first & 15, second & 15, sums);
                add_subsets(first >> 4, second >> 4, sums + 16);
                all += sums[15] + sums[31];
                sums += 32;
            }
        }
    }
    return all;
}

/* Sums of a group's outputs at a position, to `best` where they are larger. Returns where the
 * weights end. */
static const uint8_t *weigh(const heq_vgg_place *place, const uint8_t *weights, const uint8_t *sums,
                            int32_t all, int16_t *best)
{
    const heq_vgg_layer *layer = place->layer;
    int word_bytes = layer->words << 3, bytes = layer->reach ? times_9(word_bytes) : word_bytes;
    int left;
    for (left = layer->outputs; left > 0; left--) {
        int32_t sum = place->planes == 1   ? weigh_binary(weights, bytes, sums, all)
                      : place->planes == 2 ? weigh_ternary(weights, bytes, sums)
                                           : weigh_quinary(weights, bytes, sums, all);
        *best = sum > *best ? (int16_t)sum : *best;
        best++;
        weights += bytes;
        weights += place->planes > 1 ? bytes : 0;
        weights += place->planes > 2 ? bytes : 0;
        HEQ_HIDE(weights);
    }
    return weights;
}

/* Sums of a group's outputs at a position behind the maximum, to memory->best. */
static const uint8_t *best_sums(const heq_vgg_place *place, const uint8_t *weights, int group,
                                int row, int column, heq_vgg_memory *memory)
{
    int pool = place->layer->pool, y, x, output;
    const uint8_t *end = weights;
    for (output = 0; output < place->layer->outputs; output++) {
        memory->best[output] = INT16_MIN;
    }
    for (y = row << pool; y <= (row << pool) + pool; y++) {
        for (x = column << pool; x <= (column << pool) + pool; x++) {
            int32_t all = gather(place, group, y, x, memory->sums);
            end = weigh(place, weights, memory->sums, all, memory->best);
        }
    }
    return end;
}

/* A layer whose activations go on. Returns where its weights end. */
static const uint8_t *middle_layer(const heq_vgg_place *place, const uint8_t *weights,
                                   heq_vgg_cuts *cuts, heq_vgg_memory *memory, uint8_t *out)
{
    const heq_vgg_layer *layer = place->layer, *next = layer + 1;
    int log_side = layer->log_side - layer->pool, side = 1 << log_side;
    int log_out = next->log_in, plane = 1 << log_out >> 1;
    int position, group, output;
    uint32_t first_cut = cuts->next;
    const uint8_t *group_weights = weights;
    cuts->layer = first_cut;
    memset(out, 0, (size_t)1 << (log_side + log_side + log_out));
    for (group = 0; group < layer->groups; group++) {
        const uint8_t *end = group_weights;
        uint32_t group_cut = cuts->next;
        uint8_t *to = out + (group << 4);
        for (position = 0; position < side << log_side; position++) {
            end = best_sums(place, group_weights, group, position >> log_side,
                            position & (side - 1), memory);
            cuts->next = group_cut;
            for (output = 0; output < layer->outputs; output++) {
                int32_t made[3];
                heq_vgg_next_cuts(cuts, 3, made);
                put_level(memory->best[output], made, to + (output >> 3), plane, output & 7);
            }
            to += 1 << log_out;
        }
        group_weights = end;
    }
    return group_weights;
}

/* The last layer: a bit for each output and position, by output; or totals over positions. */
static void last_layer(const heq_vgg_place *place, const uint8_t *weights, heq_vgg_cuts *cuts,
                       heq_vgg_memory *memory, uint8_t *code, int16_t *totals)
{
    uint32_t first_cut = cuts->next;
    int position, output;
    cuts->layer = first_cut;
    if (totals != NULL) {
        memset(totals, 0, sizeof *totals << 5);
    } else {
        memset(code, 0, HEQ_VGG_CODE);
    }
    for (position = 0; position < 16; position++) {
        best_sums(place, weights, 0, position >> 2, position & 3, memory);
        if (totals != NULL) {
            for (output = 0; output < place->layer->outputs; output++) {
                totals[output] = (int16_t)(totals[output] + memory->best[output]);
            }
            continue;
        }
        cuts->next = first_cut;
        for (output = 0; output < place->layer->outputs; output++) {
            uint8_t *byte = code + (output << 1) + (position >> 3);
            int32_t cut;
            heq_vgg_next_cuts(cuts, 1, &cut);
            *byte = (uint8_t)(*byte | (memory->best[output] >= cut) << (7 - (position & 7)));
        }
    }
}

HEQ_INTERNAL void heq_vgg_encode(const heq_vgg *vgg, const heq_patch *patch,
                                 heq_vgg_memory *memory, uint8_t *code, int16_t *totals)
{
    const uint8_t *weights = vgg->weights + 3 * 4 * HEQ_VGG_WIDTH;
    heq_vgg_cuts cuts = {NULL, 0, 0};
    heq_vgg_place place;
    int index;
    cuts.vgg = vgg;
    first_layer(vgg, patch, &cuts, memory->large);
    for (index = 0; index < HEQ_VGG_LAYERS - 1; index++) {
        const heq_vgg_layer *layer = heq_vgg_layers + index;
        uint8_t *odd = memory->small, *even = memory->large;
        place.layer = layer;
        place.planes = vgg->planes[index + 1];
        place.in = index & 1 ? odd : even;
        if (layer->reach == 0) {
            last_layer(&place, weights, &cuts, memory, code, totals);
        } else {
            weights = middle_layer(&place, weights, &cuts, memory, index & 1 ? even : odd);
        }
    }
}

#endif
