#include "heq_levels_codes.h"

#include <string.h>

#include "heq_pair_sums.h"
#include "heq_shifts.h"
#include "heq_weights.h"

#ifndef HEQ_KERNEL_FAST

/* ---- Quantization ------------------------------------------------------------------------ */

HEQ_INTERNAL void heq_quantizer_begin(heq_quantizer *quantizer, int32_t step, int weighted)
{
    int32_t multiple = step << 3;
    int index;
    quantizer->step = step;
    quantizer->weighted = weighted;
    quantizer->quarter = step > 1 ? step >> 2 : -1; /* half of a step of 1 is 0 */
    quantizer->rounding = (step >> 2) + (step >> 4);
    quantizer->narrow = (step >> 1) - (step >> 4);
    for (index = 0; index < HEQ_THRESHOLDS; index++) {
        quantizer->thresholds[index] = multiple >> 4;
        multiple += step;
        HEQ_HIDE(multiple);
    }
}

/* How many thresholds a magnitude reaches, 0..16. */
static int thresholds_reached(const int32_t *thresholds, int32_t size)
{
    int found = size >= thresholds[8] ? 8 : 0;
    found += size >= thresholds[found + 4] ? 4 : 0;
    found += size >= thresholds[found + 2] ? 2 : 0;
    found += size >= thresholds[found + 1] ? 1 : 0;
    return found + (size >= thresholds[found]);
}

static int code_of(const heq_quantizer *quantizer, int32_t value, int32_t size)
{
    int32_t step = quantizer->step, twice = step << 1, narrowed = size + quantizer->narrow;
    int32_t rounded = size + quantizer->rounding;
    int seen, code;
    HEQ_HIDE(twice);
    if (narrowed >= twice) {
        int32_t level = heq_quotient(narrowed, step);
        code = level < HEQ_CODE_LEVEL ? (int)level : HEQ_CODE_LEVEL;
    } else {
        code = thresholds_reached(quantizer->thresholds, size);
        code = code < HEQ_THRESHOLDS ? HEQ_CODE_OPEN | code : 1;
    }
    seen = rounded < step ? 0 : rounded < twice ? 1 : rounded < twice + step ? 2 : 3;
    return code | seen << HEQ_CODE_SEEN_SHIFT | (value < 0 ? HEQ_CODE_NEGATIVE : 0);
}

/* What a coefficient of half a step or more costs. */
static int32_t cost_of(const heq_quantizer *quantizer, int32_t size)
{
    int32_t half = quantizer->thresholds[0], more = quantizer->step + half;
    int32_t cost = size > quantizer->step >> 2;
    if (size > half) {
        cost = 3;
        if (size > half + (quantizer->step >> 2)) {
            cost = 6;
            if (size > more) {
                cost = 9;
                for (more <<= 1; cost < 17 && size > more; more <<= 1) {
                    cost += 2;
                }
            }
        }
    }
    return cost;
}

HEQ_INTERNAL int32_t heq_quantize_codes(const heq_quantizer *quantizer, const int32_t *values,
                                        int count, int16_t *codes, int stride, int *found)
{
    int32_t quarter = quantizer->quarter, least = quantizer->thresholds[0], cost = 0;
    const int32_t *end = values + count;
    int all = *found;
    for (; values < end; values++) {
        int32_t value = *values, size = value < 0 ? -value : value;
        int code = 0;
        if (size > quarter) { /* most are not */
            if (size < least) {
                cost++;
            } else {
                cost += cost_of(quantizer, size);
                code = code_of(quantizer, value, size);
                all |= code;
            }
        }
        *codes = (int16_t)code;
        codes += stride;
        HEQ_HIDE(codes);
    }
    *found = all;
    return cost;
}

/* Weight 16 coefficients; of those that cost nothing none becomes larger. */
static void weigh(const heq_quantizer *quantizer, int32_t *values, const uint8_t *weights)
{
    int32_t quarter = quantizer->quarter, *end = values + 16;
    for (; values < end; values++, weights++) {
        int32_t value = *values, size = value < 0 ? -value : value;
        if (size > quarter) {
            size = weighed(size, *weights);
            *values = value < 0 ? -size : size;
        }
    }
}

static void clear_codes(int16_t *codes, int count, int stride)
{
    for (; count > 0; count--) {
        *codes = 0;
        codes += stride;
        HEQ_HIDE(codes);
    }
}

/* The columns of a whole patch, or of the two quarters that begin at a row. */
static int32_t code_columns(const heq_transform *transform, const heq_quantizer *quantizer,
                            int points, int top, heq_field *field, int32_t *means,
                            int32_t *scratch)
{
    int32_t *values = scratch + HEQ_COLUMN_SCRATCH, cost = 0;
    int stride = points == 32 ? 2 * HEQ_SIDE : HEQ_SIDE, column, part;
    for (column = 0; column < HEQ_SIDE; column++) {
        int16_t *first = field->values + (top << 5) + column;
        int mean = points == 16 && (column & 15) == 0, found = 0;
        /* The band of each of 16 coefficients is a frequency higher than that before. */
        const uint8_t *weights = frequency_weights + (points == 32 ? column >> 1 : column & 15);
        int parts = heq_transform_column(transform, first, points,
                                         mean ? -1 : quantizer->quarter, values, scratch);
        if (mean) { /* it waits for the others */
            means[column >> 4] = values[0];
            values[0] = 0;
        }
        for (part = 0; part < points >> 4; part++) {
            if (parts >> part & 1) {
                if (quantizer->weighted) {
                    weigh(quantizer, values + (part << 4), weights);
                }
                cost += heq_quantize_codes(quantizer, values + (part << 4), 16,
                                           first + (part << 5), stride, &found);
            } else {
                clear_codes(first + (part << 5), 16, stride);
            }
        }
        field->known.used |= found != 0 ? (uint32_t)1 << column : 0;
    }
    return cost;
}

HEQ_INTERNAL int32_t heq_code_columns(const heq_transform *transform,
                                      const heq_quantizer *quantizer, int size, heq_field *field,
                                      int32_t *scratch)
{
    int32_t means[4], cost;
    int each, found = 0;
    field->known.used = 0;
    if (size == 0) {
        return code_columns(transform, quantizer, 32, 0, field, means, scratch);
    }
    cost = code_columns(transform, quantizer, 16, 0, field, means, scratch);
    cost += code_columns(transform, quantizer, 16, 16, field, means + 2, scratch);
    heq_combine_means(means);
    for (each = 0; each < 4; each++) {
        int place = ((each >> 1) << 9) + ((each & 1) << 4);
        cost += heq_quantize_codes(quantizer, means + each, 1, field->values + place, 0,
                                   &found); /* their weight is 1 */
    }
    field->known.used |= found != 0 ? 0x10001u : 0;
    return cost;
}

/* ---- Cost layer -------------------------------------------------------------------------- */

/* Where a code lies: its cell, and which of the four magnitudes of it. */
typedef struct {
    int u, v, sub;
} code_place;

static code_place place_of_code(int size, int row, int column)
{
    code_place made;
    if (size == 0) {
        made.u = row >> 1;
        made.v = column >> 1;
        made.sub = ((row & 1) << 1) + (column & 1);
    } else {
        made.u = row & 15;
        made.v = column & 15;
        made.sub = ((row >> 4) << 1) + (column >> 4);
    }
    return made;
}

static int cell_of(code_place place)
{
    return heq_two_shifts(place.u + 2, 4, 2) + place.v + 2;
}

static int seen_of(int code)
{
    return code >> HEQ_CODE_SEEN_SHIFT & 3;
}

static int shifted(int value, int shift)
{
    return value < 0 ? -(-value << shift) : value << shift;
}

/* What the cost layer sees of a plane: of each frequency four magnitudes, two bits each. */
static void see(const heq_field *field, int size, uint8_t *seen)
{
    int row, column;
    memset(seen, 0, HEQ_SEEN_CELLS);
    for (column = 0; column < HEQ_SIDE; column++) {
        const int16_t *code = field->values + column;
        for (row = 0; field->known.used >> column & 1 && row < HEQ_SIDE; row++) {
            int magnitude = seen_of(*code);
            if (magnitude != 0) {
                code_place place = place_of_code(size, row, column);
                uint8_t *cell = seen + cell_of(place);
                *cell = (uint8_t)(*cell | magnitude << (place.sub << 1));
            }
            code += HEQ_SIDE;
        }
    }
}

/* Sum over the neighbours, 5x5 cells of four magnitudes. */
static int sum_near(const uint8_t *weights, const uint8_t *cell)
{
    const int8_t *sums = pair_sums;
    int sum = 0, row, there;
    HEQ_HIDE(sums);
#define ADD_CELL(column)                                                    \
    there = cell[column];                                                   \
    if (there != 0) {                                                       \
        sum += sums[weights[2 * (column)] << 4 | (there & 15)];             \
        sum += sums[weights[2 * (column) + 1] << 4 | there >> 4];           \
    }
    cell -= 2 * HEQ_SEEN_SIDE + 2;
    for (row = 0; row < 5; row++) {
        ADD_CELL(0)
        ADD_CELL(1)
        ADD_CELL(2)
        ADD_CELL(3)
        ADD_CELL(4)
        weights += 10;
        cell += HEQ_SEEN_SIDE;
    }
#undef ADD_CELL
    return sum;
}

/* A weight of another plane times the magnitude of the same level there. */
static int times_seen(int weight, int magnitude)
{
    return (magnitude & 1 ? weight : 0) + (magnitude & 2 ? weight + weight : 0);
}

/* The least number of thresholds that keeps a level of 1, less one. */
static int least_of(const heq_cost_layer *layer, int kind, int index, const uint8_t *cell,
                    int first, int second, int relief)
{
    const int8_t *cross = layer->cross + (kind << 1);
    int near = sum_near(layer->near + heq_two_shifts(kind, 5, 4) + (kind << 1), cell);
    int others = times_seen(cross[0], first) + times_seen(cross[1], second);
    int total = shifted(layer->bias[((kind >> 2) << 10) + index], 2) -
                shifted(near, layer->shifts[0]) - shifted(others, layer->shifts[1]);
    total >>= 4;
    total = (total < HEQ_THRESHOLDS ? total : HEQ_THRESHOLDS - 1) - relief;
    return total < 0 ? 0 : total;
}

static void settle_plane(const heq_cost_layer *layer, int size, int planes, int plane,
                         int relief, heq_field *const *fields)
{
    uint8_t seen[HEQ_SEEN_CELLS];
    heq_field *field = fields[plane];
    const heq_field *first = planes == 3 ? fields[plane < 2 ? plane + 1 : 0] : NULL;
    const heq_field *second = planes == 3 ? fields[plane == 0 ? 2 : plane - 1] : NULL;
    int kinds = (times_3(size) + plane) << 2, last = 0, row, column;
    see(field, size, seen);
    for (column = 0; column < HEQ_SIDE; column++) {
        int at = column;
        for (row = 0; field->known.used >> column & 1 && row < HEQ_SIDE; row++) {
            int code = field->values[at] & 0xFFFF;
            if ((code & HEQ_CODE_LEVEL) != 0) {
                code_place place = place_of_code(size, row, column);
                int index = heq_place(size, row, column), kept = 1;
                if (code & HEQ_CODE_OPEN) {
                    int least = least_of(layer, kinds + place.sub, index, seen + cell_of(place),
                                         planes == 3 ? seen_of(first->values[at]) : 0,
                                         planes == 3 ? seen_of(second->values[at]) : 0, relief);
                    kept = (code & HEQ_CODE_LEVEL) > least;
                    code &= ~(HEQ_CODE_OPEN | HEQ_CODE_LEVEL);
                    code |= kept;
                    field->values[at] = (int16_t)(code < 0x8000 ? code : code - 0x10000);
                }
                last = kept && index > last ? index : last;
            }
            at += HEQ_SIDE;
        }
    }
    field->known.last = last;
}

HEQ_INTERNAL void heq_settle_codes(const heq_cost_layer *layer, int size, int planes, int relief,
                                   heq_field *const *fields)
{
    int plane;
    for (plane = 0; plane < planes; plane++) {
        settle_plane(layer, size, planes, plane, relief, fields);
    }
}

#endif
