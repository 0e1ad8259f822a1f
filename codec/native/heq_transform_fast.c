#include "heq_transform_fast.h"

#include "heq_shifts.h"
#include "heq_vectors.h"

#ifdef HEQ_KERNEL_FAST

HEQ_INTERNAL void heq_fast_colour(const heq_patch *patch, heq_square *fields)
{
    const uint8_t *row = patch->pixels;
    size_t next = patch->pixel_bytes == 3 ? 3 : 1;
    uint8_t pixels[HEQ_ROW_BYTES];
    int gray = patch->channels == 1, x, y;
    for (y = 0; y < HEQ_SIDE; y++) {
        int there = y < patch->rows ? y : patch->rows - 1;
        const uint8_t *sample = heq_row_of(patch, row, there, pixels);
        for (x = 0; x < HEQ_SIDE; x++) {
            int first = sample[0];
            if (gray) {
                fields[0].at[x][y] = times_3(first) - 384;
            } else {
                int second = sample[1], third = sample[2];
                fields[0].at[x][y] = first + second + third - 384;
                fields[1].at[x][y] = first - third;
                fields[2].at[x][y] = first + third - (second << 1);
            }
            if (x + 1 < patch->columns) {
                sample += next;
            }
        }
        if (y + 1 < patch->rows) {
            row += patch->stride;
        }
    }
}

/* ---- Products of weights and samples ----------------------------------------------------- */

/* A block of lanes: numbers of the same kind from neighbouring columns. */
typedef struct {
    lanes part[4];
} __attribute__((may_alias)) lane_block;

#define EACH_PART(...)                                                                             \
    do {                                                                                           \
        enum { P = 0 };                                                                            \
        __VA_ARGS__;                                                                               \
    } while (0);                                                                                   \
    do {                                                                                           \
        enum { P = 1 };                                                                            \
        __VA_ARGS__;                                                                               \
    } while (0);                                                                                   \
    do {                                                                                           \
        enum { P = 2 };                                                                            \
        __VA_ARGS__;                                                                               \
    } while (0);                                                                                   \
    do {                                                                                           \
        enum { P = 3 };                                                                            \
        __VA_ARGS__;                                                                               \
    } while (0)

/* The sums of all subsets of four samples, by the bits of the subset. */
static void add_up_blocks(const lane_block *samples, lane_block *sums)
{
    EACH_PART({
        lanes first = samples[0].part[P], second = samples[1].part[P], both = first + second;
        lanes third = samples[2].part[P], fourth = samples[3].part[P], last = third + fourth;
        sums[0].part[P] = every_lane(0);
        sums[1].part[P] = first;
        sums[2].part[P] = second;
        sums[3].part[P] = both;
        sums[4].part[P] = third;
        sums[5].part[P] = first + third;
        sums[6].part[P] = second + third;
        sums[7].part[P] = both + third;
        sums[8].part[P] = fourth;
        sums[9].part[P] = first + fourth;
        sums[10].part[P] = second + fourth;
        sums[11].part[P] = both + fourth;
        sums[12].part[P] = last;
        sums[13].part[P] = first + last;
        sums[14].part[P] = second + last;
        sums[15].part[P] = both + last;
    });
}

/* Where results go: rounded, a row of HEQ_SIDE lanes for each frequency. */
typedef struct {
    int32_t *first;
    int shift;
} results;

/* Of the places of a byte's two halves among the sums; masked before the shift, since a block is a
 * power of two of bytes. */
#define LOW_HALF(byte) ((byte) & 15)
#define HIGH_HALF(byte) (16 + ((byte) >> 4))

#define NAMED_4(plane, sums, part_) (sums)[(plane)[0]].part[part_]
#define NAMED_8(plane, sums, part_)                                                                \
    ((sums)[LOW_HALF((plane)[0])].part[part_] + (sums)[HIGH_HALF((plane)[0])].part[part_])
#define NAMED_16(plane, sums, part_)                                                               \
    (NAMED_8(plane, sums, part_) + NAMED_8((plane) + 1, (sums) + 32, part_))

/* A square of weights times 4, 8 or 16 samples, to every `stride`-th frequency: `weigh_` of the
 * scalar kernel for a block of columns. */
#define DEFINE_WEIGH_BLOCKS(count, bytes)                                                          \
    static const uint8_t *weigh_blocks_##count(const uint8_t *weights, int layers,                 \
                                               const lane_block *samples, results to, int stride)  \
    {                                                                                              \
        lane_block sums[count << 2];                                                               \
        lanes twice[4] = {{0}, {0}, {0}, {0}};                                                     \
        lanes half = every_lane((int32_t)1 << (to.shift - 1));                                     \
        int place, row, layer;                                                                     \
        for (place = 0; place < count; place += 4) {                                               \
            add_up_blocks(samples + place, sums + (place << 2));                                   \
            EACH_PART(twice[P] += sums[(place << 2) + 15].part[P]);                                \
        }                                                                                          \
        EACH_PART(twice[P] += twice[P]);                                                           \
        for (row = 0; row < count; row++) {                                                        \
            lanes total[4] = {{0}, {0}, {0}, {0}};                                                 \
            lanes *to_row = (lanes *)to.first;                                                     \
            for (layer = 0; layer < layers; layer++) {                                             \
                EACH_PART({                                                                        \
                    lanes digits = NAMED_##count(weights, sums, P);                                \
                    digits += digits + NAMED_##count(weights + bytes, sums, P);                    \
                    digits += digits + NAMED_##count(weights + 2 * bytes, sums, P) - twice[P];     \
                    total[P] += total[P];                                                          \
                    total[P] += total[P] + digits;                                                 \
                });                                                                                \
                weights += 3 * bytes;                                                              \
            }                                                                                      \
            EACH_PART(to_row[P] = (total[P] + half) >> to.shift);                                  \
            to.first += (size_t)stride << 5;                                                       \
        }                                                                                          \
        return weights;                                                                            \
    }

DEFINE_WEIGH_BLOCKS(4, 1)
DEFINE_WEIGH_BLOCKS(8, 1)
DEFINE_WEIGH_BLOCKS(16, 2)

/* Transform a block of columns of `points` samples; see `forward` of the scalar kernel. */
static void forward_block(const heq_transform *transform, const int32_t *samples, int points,
                          int32_t *coefficients)
{
    const uint8_t *weights = transform->small;
    lane_block even[HEQ_SIDE], odd[HEQ_SIDE >> 1];
    int place, layers = transform->layers, half = points >> 1, stride = 1;
    results to;
    to.shift = transform->shift;
    for (place = 0; place < points; place++) {
        even[place] = *(const lane_block *)samples;
        samples += HEQ_SIDE;
    }
    for (; half >= 4; half >>= 1) {
        lane_block *begin = even, *end = even + half + half - 1;
        for (place = 0; place < half; place++) {
            EACH_PART({
                lanes before = begin->part[P], after = end->part[P];
                begin->part[P] = before + after;
                odd[place].part[P] = before - after;
            });
            begin++;
            end--;
        }
        to.first = coefficients + ((size_t)stride << 5);
        if (half == 16) {
            weigh_blocks_16(transform->large, layers, odd, to, 2);
        } else if (half == 8) {
            weights = weigh_blocks_8(weights, layers, odd, to, stride << 1);
        } else {
            weights = weigh_blocks_4(weights, layers, odd, to, stride << 1);
        }
        stride <<= 1;
    }
    to.first = coefficients;
    weigh_blocks_4(weights, layers, even, to, stride);
}

/* ---- Both directions --------------------------------------------------------------------- */

static void transform_columns(const heq_transform *transform, const heq_square *field, int points,
                              heq_square *coefficients)
{
    int top, column;
    for (top = 0; top < HEQ_SIDE; top += points) {
        for (column = 0; column < HEQ_SIDE; column += LANE_BLOCK) {
            int place = (top << 5) + column;
            forward_block(transform, field->all + place, points, coefficients->all + place);
        }
    }
}

static void transpose(const heq_square *from, heq_square *to)
{
    int row, column;
    for (row = 0; row < HEQ_SIDE; row++) {
        for (column = 0; column < HEQ_SIDE; column++) {
            to->at[column][row] = from->at[row][column];
        }
    }
}

HEQ_INTERNAL void heq_fast_transform(const heq_transform *transform, const heq_square *field,
                                     int points, heq_square *coefficients)
{
    heq_square turned;
    transform_columns(transform, field, points, coefficients);
    transpose(coefficients, &turned);
    transform_columns(transform, &turned, points, coefficients);
}

#endif
