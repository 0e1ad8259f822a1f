#include "heq_levels_fast.h"

#include "heq_shifts.h"
#include "heq_vectors.h"
#include "heq_weights.h"

#ifdef HEQ_KERNEL_FAST

HEQ_INTERNAL void heq_fast_coefficients(const heq_transform *transform, const heq_square *field,
                                        int size, heq_square *coefficients)
{
    heq_fast_transform(transform, field, size == 0 ? 32 : 16, coefficients);
    if (size == 1) {
        int32_t means[4];
        int each;
        for (each = 0; each < 4; each++) {
            means[each] = coefficients->at[(each >> 1) << 4][(each & 1) << 4];
        }
        heq_combine_means(means);
        for (each = 0; each < 4; each++) {
            coefficients->at[(each >> 1) << 4][(each & 1) << 4] = means[each];
        }
    }
}

/* Is any lane of a result of comparisons true? */
static int any_lane(lanes truths)
{
    union {
        lanes vector;
        uint64_t words[LANE_BYTES / 8];
    } both;
    both.vector = truths;
#if LANES == 8
    return (both.words[0] | both.words[1] | both.words[2] | both.words[3]) != 0;
#else
    return (both.words[0] | both.words[1]) != 0;
#endif
}

static lanes magnitudes(lanes values)
{
    lanes signs = values >> 31;
    return (values ^ signs) - signs;
}

HEQ_INTERNAL int32_t heq_size_cost(const int32_t *coefficients, int32_t step)
{
    int32_t quarter = step >> 2, half = step >> 1, most = half + quarter, more = step + half;
    const loose_lanes *values = (const loose_lanes *)coefficients;
    /* A comparison that holds is -1. */
    lanes ones = every_lane(0), twos = every_lane(0);
    int32_t cost = 0;
    int index, shift;
    for (index = 0; index < HEQ_LEVELS / LANES; index++) {
        lanes size = magnitudes(values[index]);
        lanes some = size > quarter;
        if (any_lane(some)) {
            lanes larger = (size > most) + (size > more);
            ones += some + larger;
            twos += (size > half) + larger;
            for (shift = 1; shift < 5; shift++) {
                twos += size > (more << shift);
            }
        }
    }
    ones += twos + twos;
    for (index = 0; index < LANES; index++) {
        cost -= ones[index];
    }
    return cost;
}

HEQ_INTERNAL void heq_fast_quantize(const int32_t *coefficients, int32_t step, int size, int plane,
                                    heq_levels *levels)
{
    const loose_lanes *values = (const loose_lanes *)coefficients;
    heq_quantizer quantizer;
    int index, lane;
    heq_quantize_begin(&quantizer, step, plane, levels);
    for (index = 0; index < HEQ_LEVELS; index += LANES) {
        lanes value = *values++;
        lanes reaching = magnitudes(value) >= quantizer.thresholds[0];
        if (any_lane(reaching)) {
            for (lane = 0; lane < LANES; lane++) {
                if (reaching[lane]) {
                    int place = index + lane;
                    place = size < 0 ? place : heq_place(size, place >> 5, place & 31);
                    heq_quantize_level(&quantizer, value[lane], place);
                }
            }
        }
    }
}

/* Weight the coefficients of a plane by frequency. */
static void weigh(int size, heq_square *coefficients)
{
    int row, column, bit;
    for (row = 0; row < HEQ_SIDE; row++) {
        loose_lanes *values = (loose_lanes *)coefficients->at[row];
        int32_t weights[HEQ_SIDE];
        int u = size == 0 ? row >> 1 : row & 15;
        for (column = 0; column < HEQ_SIDE; column++) {
            weights[column] = frequency_weights[u + (size == 0 ? column >> 1 : column & 15)];
        }
        for (column = 0; column < HEQ_SIDE; column += LANES) {
            const loose_lanes *weight = (const loose_lanes *)(weights + column);
            lanes value = *values, signs = value >> 31, magnitude = magnitudes(value);
            lanes sum = every_lane(8);
            for (bit = 0; bit < 5; bit++) {
                sum += (magnitude << bit) & -(*weight >> bit & 1);
            }
            sum >>= 4;
            *values++ = (sum ^ signs) - signs;
        }
    }
}

HEQ_INTERNAL int heq_fast_levels(const heq_transform *transform, const int32_t *steps,
                                 int weighted, const heq_patch *patch, heq_levels *levels,
                                 int32_t *cost)
{
    heq_square fields[3], coefficients[2][3];
    int32_t costs[2] = {0, 0};
    int size, plane, planes = patch->channels;
    heq_fast_colour(patch, fields);
    for (size = 0; size < 2; size++) {
        for (plane = 0; plane < planes; plane++) {
            heq_square *made = &coefficients[size][plane];
            heq_fast_coefficients(transform, &fields[plane], size, made);
            if (weighted) {
                weigh(size, made);
            }
            costs[size] += heq_size_cost(made->all, steps[times_3(size) + plane]);
        }
    }
    size = costs[1] < costs[0];
    *cost = costs[size];
    for (plane = 0; plane < planes; plane++) {
        heq_fast_quantize(coefficients[size][plane].all, steps[times_3(size) + plane], size, plane,
                          levels);
    }
    return size;
}

#endif
