/* The sum over neighbours of the cost layer, five cells at a time: the fast kernel of heq_settle.
 *
 * A byte of a 64-bit word is a cell, as in heq_levels: the low bits of its four magnitudes, then
 * their high bits. Weights are spread likewise, and all bits that a bit plane of them leaves are
 * counted in pairs, in halves of bytes and in bytes.
 */
#ifndef HEQ_NEAR_FAST_H
#define HEQ_NEAR_FAST_H

#include <string.h>

#include "heq_levels.h"
#include "heq_vectors.h"

#ifdef HEQ_KERNEL_FAST

/* Weights of one size: of each kind (plane, sub) and row the three bit planes, lowest first, then
 * all ones. A word has the bytes of five cells and three that are 0, in the order of memory. */
typedef struct {
    pairs kinds[12][5][2];
} near_weights;

/* Both halves of both words the same bits. */
static pairs every_pair(uint32_t half)
{
    uint64_t word = (uint64_t)half << 32 | half;
    return (pairs){word, word};
}

static void take_weights(const heq_cost_layer *layer, int size, near_weights *weights)
{
    const uint8_t *bits = layer->near + (size == 0 ? 0 : HEQ_NEAR_BYTES / 2);
    int kind, bit, row, column;
    for (kind = 0; kind < 12; kind++) {
        for (bit = 0; bit < 4; bit++) {
            int place = 0;
            for (row = 0; row < 5; row++) {
                uint8_t spread[8] = {0};
                for (column = 0; column < 5; column++, place++) {
                    int half = bit == 3 ? 15 : bits[place >> 1] >> ((place & 1) << 2) & 15;
                    spread[column] = (uint8_t)(half | half << 4);
                }
                memcpy((uint8_t *)&weights->kinds[kind][row][bit >> 1] + ((bit & 1) << 3), spread,
                       sizeof spread);
            }
            bits += bit == 3 ? 0 : 13;
        }
    }
}

/* Of each half of a byte how many bits are set. */
static pairs count_bits(pairs bits)
{
    bits -= bits >> 1 & every_pair(0x55555555u);
    return (bits & every_pair(0x33333333u)) + (bits >> 2 & every_pair(0x33333333u));
}

/* Sums of magnitudes in each byte, at most 60, from those of three rows and of two. */
static pairs add_halves(pairs first, pairs second)
{
    pairs low = (first & every_pair(0x0F0F0F0Fu)) + (second & every_pair(0x0F0F0F0Fu));
    pairs high = (first >> 4 & every_pair(0x0F0F0F0Fu)) + (second >> 4 & every_pair(0x0F0F0F0Fu));
    return low + high + high;
}

/* Sum of the bytes of each word, in its lowest 16 bits. */
static pairs add_bytes(pairs bytes)
{
    bytes = (bytes & every_pair(0x00FF00FFu)) + (bytes >> 8 & every_pair(0x00FF00FFu));
    bytes += bytes >> 32;
    return bytes + (bytes >> 16);
}

/* Sum over the neighbours, 5x5 cells of four magnitudes. */
static int sum_near(const near_weights *weights, int kind, const uint8_t *cell)
{
    const pairs(*rows)[2] = weights->kinds[kind < 12 ? kind : kind - 12];
    pairs first[2] = {{0, 0}, {0, 0}}, second[2] = {{0, 0}, {0, 0}};
    int row;
    cell -= 2 * HEQ_SEEN_SIDE + 2;
    for (row = 0; row < 5; row++) {
        uint64_t there;
        pairs both;
        memcpy(&there, cell, sizeof there);
        both = (pairs){there, there};
        if (row < 3) {
            first[0] += count_bits(both & rows[row][0]);
            first[1] += count_bits(both & rows[row][1]);
        } else {
            second[0] += count_bits(both & rows[row][0]);
            second[1] += count_bits(both & rows[row][1]);
        }
        cell += HEQ_SEEN_SIDE;
    }
    first[0] = add_bytes(add_halves(first[0], second[0]));
    first[1] = add_bytes(add_halves(first[1], second[1]));
    return (int)(first[0][0] & 0xFFFF) + ((int)(first[0][1] & 0xFFFF) << 1) +
           ((int)(first[1][0] & 0xFFFF) << 2) - ((int)(first[1][1] & 0xFFFF) << 1);
}

#endif
#endif
