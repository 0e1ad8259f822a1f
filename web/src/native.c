/* What the JavaScript package calls: the coders of codec/native, and the plain inverse transform of docs/DECODER.md.
 *
 * Pointers come from heq_alloc; nothing else is kept between calls. Levels are int16 [planes][1024], of patches one
 * after the other; a matrix has one row a line of samples or frequencies.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heq_device.h"
#include "heq_packed.h"
#include "heq_weights.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum { LEVELS = 1024, SIDE = 32, HALF = 16, OUT_OF_MEMORY = -1, DAMAGED = -2 };

EXPORT(heq_alloc) void *heq_alloc(size_t bytes) { return malloc(bytes); }
EXPORT(heq_free) void heq_free(void *pointer) { free(pointer); }

/* Strips: 0, OUT_OF_MEMORY or DAMAGED. Tables are pointers in the order of the structures. A part is one of
 * HEQ_DEVICE_WHOLE and the rest; of HEQ_DEVICE_HIGH the levels and sizes of HEQ_DEVICE_LOW are given. */

EXPORT(heq_decode_device)
int decode_device(const uint8_t *payload, size_t length, int rows, int columns, int planes, int step,
                  int part, const void *const *tables, int16_t *levels, uint8_t *sizes)
{
    heq_device_tables taken = {tables[0], tables[1], tables[2], tables[3],
                               tables[4], tables[5], tables[6]};
    heq_device_strip *strip = malloc(sizeof *strip);
    int result;
    if (!strip) {
        return OUT_OF_MEMORY;
    }
    heq_device_begin_decode(strip, &taken, planes, step, payload, length);
    strip->part = (uint8_t)part;
    for (int patch = 0; patch < rows * columns; patch++) {
        int size = sizes[patch];
        heq_device_decode_patch(strip, levels, &size, patch % columns == 0);
        sizes[patch] = (uint8_t)size;
        levels += planes * LEVELS;
    }
    result = heq_device_end_decode(strip) ? DAMAGED : 0;
    free(strip);
    return result;
}

/* Slice i is code[ends[i - 1]] to code[ends[i] - 1]. */
EXPORT(heq_decode_packed)
int decode_packed(const uint8_t *code, const int32_t *ends, int slices, int rows, int columns, int planes, int step,
                  const void *const *t, int16_t *levels, uint8_t *sizes)
{
    heq_packed_tables taken = {t[0], t[1], t[2],  t[3],  t[4],  t[5],  t[6],  t[7], t[8],
                               t[9], t[10], t[11], t[12], t[13], t[14], t[15]};
    int64_t wide[HEQ_PACKED_SLICES];
    for (int i = 0; i < slices; i++) {
        wide[i] = ends[i];
    }
    return (int)heq_packed_decode(code, wide, slices, rows, columns, planes, step, &taken, levels, sizes);
}

/* The frequency of each level in a patch: 32 U + V of a whole one, 256 quarter + 16 u + v of quarters. */
static uint16_t places[2][LEVELS];
static uint8_t zones[256], diagonals[256];

static void find_places(void)
{
    static const uint8_t ends[7] = {1, 4, 12, 25, 49, 81, 144}; /* 12.25: no square sum lies between */
    int band = 0;
    for (int square = 0; band < 256; square++) {
        for (int u = 0; u < 16; u++) {
            for (int v = 0; v < 16; v++) {
                if (u * u + v * v != square) {
                    continue;
                }
                for (int sub = 0; sub < 4; sub++) {
                    places[0][4 * band + sub] = (uint16_t)(32 * (2 * u + (sub >> 1)) + 2 * v + (sub & 1));
                    places[1][4 * band + sub] = (uint16_t)(256 * sub + 16 * u + v);
                }
                for (int i = 0; i < 7; i++) {
                    zones[band] += square > ends[i];
                }
                diagonals[band] = (uint8_t)(u + v);
                band++;
            }
        }
    }
}

/* out = a field b: a is [n][n], b [n][n], field [n][n] with nothing from row `high` and column `wide` on. */
static void separable_transform(const float *a, const float *field, const float *b, int n, int high,
                                int wide, float *out, int stride)
{
    float half[SIDE * SIDE];
    for (int u = 0; u < high; u++) {
        float *row = half + u * n;
        memset(row, 0, sizeof(float) * (size_t)n);
        for (int v = 0; v < wide; v++) {
            float value = field[u * n + v];
            for (int x = 0; value != 0 && x < n; x++) {
                row[x] += value * b[v * n + x];
            }
        }
    }
    for (int y = 0; y < n; y++) {
        float sums[SIDE] = {0};
        for (int u = 0; u < high; u++) {
            float value = a[y * n + u];
            for (int x = 0; x < n; x++) {
                sums[x] += value * half[u * n + x];
            }
        }
        memcpy(out + y * stride, sums, sizeof(float) * (size_t)n);
    }
}

/* Sums and differences of four numbers, halved: the means of quarters to band 0, and back. */
static void combine(float *first, int stride)
{
    float a = first[0], b = first[stride], c = first[2 * stride], d = first[3 * stride];
    first[0] = (a + b + c + d) / 2;
    first[stride] = (a - b + c - d) / 2;
    first[2 * stride] = (a + b - c - d) / 2;
    first[3 * stride] = (a - b - c + d) / 2;
}

/* Transforms of a model: forward [n][n] by frequency, then transposed; inverse likewise. */
typedef struct {
    const float *forward[2], *forward_transposed[2], *inverse[2], *inverse_transposed[2];
} transforms;

/* By what the step of a level is larger than the quantizer's. */
static float step_factor(int index, int weighted)
{
    return weighted ? 16.f / frequency_weights[diagonals[index >> 2]] : 1;
}

static void plain_plane(const transforms *with, const int16_t *levels, int size, const float *points, float step,
                        int weighted, float *samples)
{
    float field[LEVELS];
    int high = 0, wide = 0;
    memset(field, 0, sizeof field);
    for (int i = 0; i < LEVELS; i++) {
        if (levels[i]) {
            int magnitude = levels[i] < 0 ? -levels[i] : levels[i];
            float value = ((float)magnitude + points[3 * zones[i >> 2] + (magnitude < 3 ? magnitude : 3) - 1]) * step;
            int place = places[size][i], u = size ? place >> 4 & 15 : place >> 5;
            int v = size ? place & 15 : place & 31;
            value *= step_factor(i, weighted);
            field[place] = levels[i] < 0 ? -value : value;
            high = u >= high ? u + 1 : high;
            wide = v >= wide ? v + 1 : wide;
        }
    }
    if (size == 0) {
        separable_transform(with->inverse[0], field, with->inverse_transposed[0], SIDE, high, wide,
                            samples, SIDE);
        return;
    }
    combine(field, 256);
    for (int quarter = 0; quarter < 4; quarter++) {
        separable_transform(with->inverse[1], field + 256 * quarter, with->inverse_transposed[1],
                            HALF, high, wide,
                            samples + HALF * (SIDE * (quarter >> 1) + (quarter & 1)), SIDE);
    }
}

/* Colour planes of a patch to grey, or R, G and B. */
static void to_samples(float colours[3][LEVELS], int planes, float *out, int plane_stride, int row_stride)
{
    for (int i = 0; i < LEVELS; i++) {
        float *to = out + (i >> 5) * row_stride + (i & 31), first = colours[0][i] + 384;
        if (planes == 1) {
            *to = first / 3;
            continue;
        }
        float green = (first - colours[2][i]) / 3;
        to[0] = (first - green + colours[1][i]) / 2;
        to[plane_stride] = green;
        to[2 * plane_stride] = (first - green - colours[1][i]) / 2;
    }
}

/* The other way. */
static void from_samples(const float *samples, int planes, int plane_stride, int row_stride, float colours[3][LEVELS])
{
    for (int i = 0; i < LEVELS; i++) {
        const float *from = samples + (i >> 5) * row_stride + (i & 31);
        if (planes == 1) {
            colours[0][i] = 3 * from[0] - 384;
            continue;
        }
        float red = from[0], green = from[plane_stride], blue = from[2 * plane_stride];
        colours[0][i] = red + green + blue - 384;
        colours[1][i] = red - blue;
        colours[2][i] = red - 2 * green + blue;
    }
}

/* The plain inverse of patches, samples around 0 to 255, into planes at out, `plane_stride` numbers apart, of rows
 * `row_stride` apart: one plane of grey, or R, G and B. Patches lie beside each other.
 *
 * points: [2][8][3], reconstruction points of the step's octave by size, zone and magnitude; steps: [2][3]; are
 * coefficients weighted by frequency? */
EXPORT(heq_plain)
void plain(const int16_t *levels, const uint8_t *sizes, int patches, int planes, const transforms *with,
           const float *points, const float *steps, int weighted, float *out, int plane_stride, int row_stride)
{
    static float samples[3][LEVELS];
    if (!places[0][1]) {
        find_places();
    }
    for (int patch = 0; patch < patches; patch++, levels += planes * LEVELS, out += SIDE) {
        int size = sizes[patch];
        for (int plane = 0; plane < planes; plane++) {
            plain_plane(with, levels + plane * LEVELS, size, points + 24 * size, steps[3 * size + plane],
                        weighted, samples[plane]);
        }
        to_samples(samples, planes, out, plane_stride, row_stride);
    }
}

/* The inverse transform of size 0, of coefficients [patches][planes][32][32]; samples as those of heq_plain. */
EXPORT(heq_inverse)
void inverse(const float *coefficients, int patches, int planes, const transforms *with, float *out, int plane_stride,
             int row_stride)
{
    static float samples[3][LEVELS];
    for (int patch = 0; patch < patches; patch++, out += SIDE) {
        for (int plane = 0; plane < planes; plane++, coefficients += LEVELS) {
            int high = 0, wide = 0;
            for (int i = 0; i < LEVELS; i++) {
                if (coefficients[i] != 0) {
                    high = (i >> 5) + 1;
                    wide = (i & 31) >= wide ? (i & 31) + 1 : wide;
                }
            }
            separable_transform(with->inverse[0], coefficients, with->inverse_transposed[0], SIDE,
                                high, wide, samples[plane], SIDE);
        }
        to_samples(samples, planes, out, plane_stride, row_stride);
    }
}

/* The other way, of one patch: coefficients [planes][32][32]. */
EXPORT(heq_forward)
void forward(const float *samples, int plane_stride, int row_stride, int planes, const transforms *with,
             float *coefficients)
{
    static float colours[3][LEVELS];
    from_samples(samples, planes, plane_stride, row_stride, colours);
    for (int plane = 0; plane < planes; plane++) {
        separable_transform(with->forward[0], colours[plane], with->forward_transposed[0], SIDE,
                            SIDE, SIDE, coefficients + LEVELS * plane, SIDE);
    }
}

/* How far a decoded patch is from what its levels can describe: the sum of the guard, in squared steps.
 *
 * samples: 0 to 255, planes `plane_stride` apart, rows `row_stride`. */
EXPORT(heq_violation)
float violation(const float *samples, int plane_stride, int row_stride, const int16_t *levels, int size, int planes,
                const transforms *with, const float *steps, int weighted)
{
    static float fields[3][LEVELS], found[LEVELS];
    float sum = 0;
    if (!places[0][1]) {
        find_places();
    }
    from_samples(samples, planes, plane_stride, row_stride, fields);
    for (int plane = 0; plane < planes; plane++) {
        float unit = 1 / steps[3 * size + plane];
        if (size == 0) {
            separable_transform(with->forward[0], fields[plane], with->forward_transposed[0], SIDE,
                                SIDE, SIDE, found, SIDE);
        } else {
            for (int quarter = 0; quarter < 4; quarter++) {
                float block[HALF * HALF];
                for (int y = 0; y < HALF; y++) {
                    memcpy(block + HALF * y,
                           fields[plane] + SIDE * (HALF * (quarter >> 1) + y) + HALF * (quarter & 1),
                           sizeof(float) * HALF);
                }
                separable_transform(with->forward[1], block, with->forward_transposed[1], HALF,
                                    HALF, HALF, found + 256 * quarter, HALF);
            }
            combine(found, 256);
        }
        for (int i = 0; i < LEVELS; i++) {
            int level = levels[plane * LEVELS + i], magnitude = level < 0 ? -level : level;
            float value = found[places[size][i]] * unit / step_factor(i, weighted), outside;
            float along = level == 0 ? (value < 0 ? -value : value) : level < 0 ? -value : value;
            float high = level == 0 ? 23 / 16.f : (float)magnitude + 9 / 16.f;
            float low = magnitude > 1 ? (float)magnitude - 7 / 16.f : magnitude / 2.f;
            outside = along > high ? along - high : low > along ? low - along : 0;
            sum += outside * outside;
        }
    }
    return sum;
}
