#include "heq_transform.h"

#include "heq_shifts.h"

HEQ_INTERNAL void heq_colour(const heq_patch *patch, int plane, int16_t *field)
{
    const uint8_t *row = patch->pixels;
    int x, y;
    for (y = 0; y < HEQ_SIDE; y++) {
        const uint8_t *sample = row;
        for (x = 0; x < HEQ_SIDE; x++) {
            int value;
            if (patch->channels == 1) {
                value = times_3(sample[0]) - 384;
            } else if (plane == 0) {
                value = sample[0] + sample[1] + sample[2] - 384;
            } else if (plane == 1) {
                value = sample[0] - sample[2];
            } else {
                value = sample[0] + sample[2] - (sample[1] << 1);
            }
            *field++ = (int16_t)value;
            if (x + 1 < patch->columns) {
                sample += patch->channels;
            }
        }
        if (y + 1 < patch->rows) {
            row += patch->stride;
        }
    }
}

/* ---- Products of weights and samples ----------------------------------------------------- */

#ifdef HEQ_MULTIPLIER

static void forward(const heq_transform *transform, const int16_t *samples, int points,
                    int32_t *coefficients)
{
    const int16_t *weights = points == 32 ? transform->large : transform->small;
    int frequency, place;
    for (frequency = 0; frequency < points; frequency++) {
        int32_t sum = 0;
        for (place = 0; place < points; place++) {
            sum += weights[place] * samples[place];
        }
        coefficients[frequency] = sum;
        weights += points;
    }
}

#else

/* The sums of all subsets of four samples, by the bits of the subset. */
static void add_up(const int32_t *samples, int32_t *sums)
{
    int bit, subset, size = 1;
    sums[0] = 0;
    for (bit = 0; bit < 4; bit++) {
        for (subset = 0; subset < size; subset++) {
            sums[size + subset] = sums[subset] + samples[bit];
        }
        size <<= 1;
    }
}

/* Sum of the samples that a bit plane of `bytes` bytes names. */
static int32_t add_named(const uint8_t *plane, int bytes, const int32_t *sums)
{
    int32_t sum = 0;
    for (; bytes > 0; bytes--) {
        sum += sums[*plane & 15] + sums[16 + (*plane >> 4)];
        sums += 32;
        plane++;
    }
    return sum;
}

/* A square of weights times 4, 8 or 16 samples, to every `stride`-th coefficient. Returns where
 * the next weights lie. */
static const uint8_t *weigh(const uint8_t *weights, int layers, const int32_t *samples, int count,
                            int32_t *coefficients, int stride)
{
    int32_t sums[64], twice = 0;
    int place, row, bytes = count > 8 ? 2 : 1;
    sums[16] = 0; /* four samples fill half a byte: the other four bits are 0 */
    for (place = 0; place < count; place += 4) {
        add_up(samples + place, sums + (place << 2));
        twice += sums[(place << 2) + 15];
    }
    twice += twice;
    for (row = 0; row < count; row++) {
        int32_t total = 0;
        int layer;
        for (layer = 0; layer < layers; layer++) {
            int32_t digits = add_named(weights, bytes, sums);
            digits += digits + add_named(weights + bytes, bytes, sums);
            digits += digits + add_named(weights + bytes + bytes, bytes, sums);
            weights += times_3(bytes);
            total += total;
            total += total + digits - twice;
        }
        *coefficients = total;
        coefficients += stride;
    }
    return weights;
}

static void forward(const heq_transform *transform, const int16_t *samples, int points,
                    int32_t *coefficients)
{
    const uint8_t *weights = transform->small;
    int32_t even[HEQ_SIDE], odd[HEQ_SIDE >> 1];
    int place, stride = 1;
    for (place = 0; place < points; place++) {
        even[place] = samples[place];
    }
    while (points > 4) {
        int half = points >> 1;
        for (place = 0; place < half; place++) {
            int32_t before = even[place], after = even[points - 1 - place];
            even[place] = before + after;
            odd[place] = before - after;
        }
        if (half == 16) {
            weigh(transform->large, transform->layers, odd, half, coefficients + 1, 2);
        } else {
            weights = weigh(weights, transform->layers, odd, half, coefficients + stride,
                            stride << 1);
        }
        stride <<= 1;
        points = half;
    }
    weigh(weights, transform->layers, even, 4, coefficients, stride);
}

#endif

/* ---- Rows and columns -------------------------------------------------------------------- */

HEQ_INTERNAL void heq_transform_rows(const heq_transform *transform, int16_t *field, int points)
{
    int32_t coefficients[HEQ_SIDE], half = (int32_t)1 << (transform->shift - 1);
    int done, place;
    for (done = 0; done < HEQ_SIDE * HEQ_SIDE; done += points) {
        forward(transform, field, points, coefficients);
        for (place = 0; place < points; place++) {
            field[place] = (int16_t)((coefficients[place] + half) >> transform->shift);
        }
        field += points;
    }
}

HEQ_INTERNAL void heq_transform_column(const heq_transform *transform, const int16_t *field,
                                       int points, int top, int column, int32_t *coefficients)
{
    int32_t half = (int32_t)1 << (transform->shift - 1);
    int16_t samples[HEQ_SIDE] = {0};
    int place;
    field += (top << 5) + column;
    for (place = 0; place < points; place++) {
        samples[place] = *field;
        field += HEQ_SIDE;
    }
    forward(transform, samples, points, coefficients);
    for (place = 0; place < points; place++) {
        coefficients[place] = (coefficients[place] + half) >> transform->shift;
    }
}
