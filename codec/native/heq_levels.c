#include "heq_levels.h"

#include <string.h>

#include "heq_device_layout.h"
#include "heq_near_fast.h"
#include "heq_shifts.h"

typedef char shifts_round_down[(-1 >> 1) == -1 ? 1 : -1];

/* ---- Steps ------------------------------------------------------------------------------- */

#define STEP_FRACTION 4 /* bits of the table's steps below a coefficient of 1 */

HEQ_INTERNAL void heq_integer_steps(const uint16_t *table, int step, int32_t *steps)
{
    int octave = step >> 7, kind;
    table += step & 127;
    for (kind = 0; kind < 6; kind++) {
        int32_t scaled = (int32_t)*table << octave;
        steps[kind] = (scaled + (1 << (STEP_FRACTION - 1))) >> STEP_FRACTION;
        table += 128;
    }
}

/* Where the level of a frequency stands, less its sub. */
static int place_of(int u, int v)
{
    return band_rank[times_18(u + 1) + v + 1] << 2;
}

HEQ_INTERNAL int heq_place(int size, int row, int column)
{
    return size == 0 ? place_of(row >> 1, column >> 1) + ((row & 1) << 1) + (column & 1)
                     : place_of(row & 15, column & 15) + ((row >> 4) << 1) + (column >> 4);
}

HEQ_INTERNAL void heq_combine_means(int32_t *means)
{
    int32_t top = means[0] + means[1], bottom = means[2] + means[3];
    int32_t left = means[0] - means[1], right = means[2] - means[3];
    means[0] = (top + bottom + 1) >> 1;
    means[1] = (left + right + 1) >> 1;
    means[2] = (top - bottom + 1) >> 1;
    means[3] = (left - right + 1) >> 1;
}

/* ---- Quantization ------------------------------------------------------------------------ */

#define LARGEST 32767

HEQ_INTERNAL int32_t heq_quotient(int32_t number, int32_t step)
{
    int32_t result = 0;
    int shift = 0;
    while (shift < 15 && step <= number >> 1) {
        step <<= 1;
        shift++;
    }
    for (; shift >= 0; shift--) {
        result <<= 1;
        if (number >= step) {
            number -= step;
            result |= 1;
        }
        step >>= 1;
    }
    return result < LARGEST ? result : LARGEST;
}

HEQ_INTERNAL int heq_relief(int32_t cost, int limit, int shift)
{
    int raised = (int)cost + 16;
    int calm = (raised < limit) + (raised < limit >> 1) + (raised < limit >> 2);
    return calm << shift;
}

HEQ_INTERNAL int heq_relief_limit(int step)
{
    static const uint16_t limits[8] = {5000, 2990, 1680, 900, 473, 244, 124, 64};
    return limits[step >> 7];
}

#ifdef HEQ_KERNEL_FAST

/* Where `seen` holds a band. */
static int cell_of(int band)
{
    int frequency = band_frequency[band];
    return 2 * HEQ_SEEN_SIDE + 2 + frequency + ((frequency >> 4) << 2);
}

/* What is held of a plane. */
static int16_t *levels_of(heq_levels *levels, int plane)
{
    return levels->levels + (plane << 10);
}

static uint8_t *open_of(heq_levels *levels, int plane)
{
    return levels->open + (plane << 7);
}

static uint8_t *seen_of(heq_levels *levels, int plane)
{
    return levels->seen + (heq_two_shifts(plane, 8, 7) + (plane << 4)); /* HEQ_SEEN_CELLS each */
}

HEQ_INTERNAL void heq_quantize_begin(heq_quantizer *quantizer, int32_t step, int plane,
                                     heq_levels *levels)
{
    int32_t multiple = step << 3;
    int index;
    quantizer->step = step;
    quantizer->level = levels_of(levels, plane);
    quantizer->seen = seen_of(levels, plane);
    quantizer->open = open_of(levels, plane);
    for (index = 0; index < HEQ_THRESHOLDS; index++) {
        quantizer->thresholds[index] = multiple >> 4;
        multiple += step;
        HEQ_HIDE(multiple);
    }
    memset(quantizer->level, 0, HEQ_LEVELS * sizeof *levels->levels);
    memset(quantizer->seen, 0, HEQ_SEEN_CELLS);
    memset(quantizer->open, 0, HEQ_LEVELS / 8);
}

HEQ_INTERNAL void heq_quantize_level(const heq_quantizer *quantizer, int32_t value, int index)
{
    int32_t step = quantizer->step, size = value < 0 ? -value : value, found = 0;
    int32_t rounded = size + (step >> 2) + (step >> 4), narrow = (step >> 1) - (step >> 4);
    int32_t twice = step << 1;
    HEQ_HIDE(twice);
    if (rounded >= step) {
        int three = rounded >= step + twice, two = !three && rounded >= twice;
        int bits = (two ? 0 : 1) | (two || three ? 16 : 0);
        uint8_t *cell = quantizer->seen + cell_of(index >> 2);
        *cell = (uint8_t)(*cell | bits << (index & 3));
    }
    if (size + narrow >= twice) {
        found = heq_quotient(size + narrow, step);
    } else {
        while (found < HEQ_THRESHOLDS && size >= quantizer->thresholds[found]) {
            found++;
        }
        if (found < HEQ_THRESHOLDS) {
            uint8_t *open = quantizer->open + (index >> 3);
            *open = (uint8_t)(*open | 1 << (index & 7));
        } else {
            found = 1;
        }
    }
    quantizer->level[index] = (int16_t)(value < 0 ? -found : found);
}

/* ---- Cost layer -------------------------------------------------------------------------- */

static int shifted(int value, int shift)
{
    return value < 0 ? -(-value << shift) : value << shift;
}

/* A weight of the other planes times the magnitude of the same level there. */
static int times_cross(const uint8_t *weights, int kind, int cell, int sub)
{
    const uint8_t *bits = weights + (kind >> 3);
    int place = kind & 7;
    int weight = (bits[0] >> place & 1) + ((bits[6] >> place & 1) << 1) +
                 ((bits[12] >> place & 1) << 2) - 2;
    return (cell >> sub & 1 ? weight : 0) + (cell >> sub & 16 ? weight + weight : 0);
}

static int threshold_of(const heq_cost_layer *layer, const near_weights *weights, int size,
                        int planes, int plane, int index, int relief, heq_levels *levels)
{
    int sub = index & 3, cell = cell_of(index >> 2);
    int kind = ((times_3(size) + plane) << 2) + sub;
    int near = sum_near(weights, kind, seen_of(levels, plane) + cell);
    int cross = 0, which, total;
    for (which = 0; which < 2 && planes == 3; which++) {
        int other = plane + 1 + which;
        other = other < 3 ? other : other - 3;
        cross += times_cross(layer->cross, (kind << 1) + which, seen_of(levels, other)[cell], sub);
    }
    total = shifted(layer->bias[((times_3(size) + plane) << 10) + index], 2) -
            shifted(near, layer->shifts[0]) - shifted(cross, layer->shifts[1]);
    total >>= 4;
    total = (total < HEQ_THRESHOLDS ? total : HEQ_THRESHOLDS - 1) - relief;
    return total < 0 ? 0 : total;
}

HEQ_INTERNAL void heq_settle(const heq_cost_layer *layer, int size, int planes, int relief,
                             heq_levels *levels)
{
    near_weights weights;
    int plane, index;
    take_weights(layer, size, &weights);
    for (plane = 0; plane < planes; plane++) {
        int16_t *level = levels_of(levels, plane);
        const uint8_t *open = open_of(levels, plane);
        for (index = 0; index < HEQ_LEVELS; index++) {
            if ((index & 7) == 0 && open[index >> 3] == 0) {
                index += 7; /* none of these eight */
            } else if (open[index >> 3] >> (index & 7) & 1) {
                int reached = level[index] < 0 ? -level[index] : level[index];
                int least = threshold_of(layer, &weights, size, planes, plane, index, relief,
                                         levels);
                int kept = reached > least;
                level[index] = (int16_t)(!kept ? 0 : level[index] < 0 ? -1 : 1);
            }
        }
    }
}

#endif
