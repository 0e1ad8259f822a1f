#include "heq_transform.h"

#include "heq_shifts.h"

#ifndef HEQ_KERNEL_FAST

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
                sample += patch->pixel_bytes;
                HEQ_HIDE(sample);
            }
        }
        if (y + 1 < patch->rows) {
            row += patch->stride;
        }
    }
}

/* ---- Products of weights and samples ----------------------------------------------------- */


/* The sums of all subsets of four samples, by the bits of the subset. */
static void add_up(const int32_t *samples, int32_t *sums)
{
    int32_t first = samples[0], second = samples[1], both = first + second;
    int32_t third = samples[2], fourth = samples[3], last = third + fourth;
    sums[0] = 0;
    sums[1] = first;
    sums[2] = second;
    sums[3] = both;
    sums[4] = third;
    sums[5] = first + third;
    sums[6] = second + third;
    sums[7] = both + third;
    sums[8] = fourth;
    sums[9] = first + fourth;
    sums[10] = second + fourth;
    sums[11] = both + fourth;
    sums[12] = last;
    sums[13] = first + last;
    sums[14] = second + last;
    sums[15] = both + last;
}

/* Sum of those of 4, 8 or 16 samples that a bit plane names. */
static int32_t named_4(const uint8_t *plane, const int32_t *sums)
{
    return sums[plane[0]];
}

static int32_t named_8(const uint8_t *plane, const int32_t *sums)
{
    return sums[plane[0] & 15] + sums[16 + (plane[0] >> 4)];
}

static int32_t named_16(const uint8_t *plane, const int32_t *sums)
{
    return named_8(plane, sums) + named_8(plane + 1, sums + 32);
}

/* A square of weights times 4, 8 or 16 samples, to every `stride`-th coefficient. Returns where
 * the next weights lie. The three differ in one function and in the bytes of a bit plane. */
#define DEFINE_WEIGH(count, bytes)                                                                 \
    static const uint8_t *weigh_##count(const uint8_t *weights, int layers,                        \
                                        const int32_t *samples, int32_t *coefficients, int stride) \
    {                                                                                              \
        int32_t sums[count << 2], twice = 0;                                                       \
        int place, row, layer;                                                                     \
        for (place = 0; place < count; place += 4) {                                               \
            add_up(samples + place, sums + (place << 2));                                          \
            twice += sums[(place << 2) + 15];                                                      \
        }                                                                                          \
        twice += twice;                                                                            \
        for (row = 0; row < count; row++) {                                                        \
            int32_t total = 0;                                                                     \
            for (layer = 0; layer < layers; layer++) {                                             \
                int32_t digits = named_##count(weights, sums);                                     \
                digits += digits + named_##count(weights + bytes, sums);                           \
                digits += digits + named_##count(weights + 2 * bytes, sums) - twice;               \
                weights += 3 * bytes;                                                              \
                HEQ_HIDE(weights);                                                                 \
                total += total;                                                                    \
                total += total + digits;                                                           \
            }                                                                                      \
            *coefficients = total;                                                                 \
            coefficients += stride;                                                                \
        }                                                                                          \
        return weights;                                                                            \
    }

DEFINE_WEIGH(4, 1)
DEFINE_WEIGH(8, 1)
DEFINE_WEIGH(16, 2)

static void forward(const heq_transform *transform, const int16_t *samples, int points,
                    int32_t *coefficients)
{
    const uint8_t *weights = transform->small;
    int32_t even[HEQ_SIDE], odd[HEQ_SIDE >> 1];
    int place, layers = transform->layers, half = points >> 1, stride = 1;
    for (place = 0; place < points; place++) {
        even[place] = samples[place];
    }
    for (; half >= 4; half >>= 1) {
        int32_t *begin = even, *end = even + half + half - 1;
        for (place = 0; place < half; place++) {
            int32_t before = *begin, after = *end--;
            *begin++ = before + after;
            odd[place] = before - after;
        }
        if (half == 16) {
            weigh_16(transform->large, layers, odd, coefficients + 1, 2);
        } else if (half == 8) {
            weights = weigh_8(weights, layers, odd, coefficients + stride, stride << 1);
        } else {
            weights = weigh_4(weights, layers, odd, coefficients + stride, stride << 1);
        }
        stride <<= 1;
    }
    weigh_4(weights, layers, even, coefficients, stride);
}

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

#endif
