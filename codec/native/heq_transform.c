#include "heq_transform.h"

#include <string.h>

#include "heq_shifts.h"

#include "heq_products.h"

#ifndef HEQ_KERNEL_FAST

static int twice(int value)
{
    value <<= 1;
    HEQ_HIDE(value);
    return value;
}

/* One loop for each kind of samples. */
#define EACH_PIXEL(value)                \
    for (;;) {                           \
        *samples++ = (int16_t)(value);   \
        if (--left == 0) {               \
            break;                       \
        }                                \
        row += next;                     \
        HEQ_HIDE(row);                   \
    }

HEQ_INTERNAL void heq_colour_row(const heq_patch *patch, int plane, const uint8_t *row,
                                 int16_t *samples)
{
    int next = patch->pixel_bytes, left = patch->columns;
    int16_t *end = samples + HEQ_SIDE;
    if (patch->channels == 1) {
        EACH_PIXEL(times_3(row[0]) - 384)
    } else if (plane == 0) {
        EACH_PIXEL(row[0] + row[1] + row[2] - 384)
    } else if (plane == 1) {
        EACH_PIXEL(row[0] - row[2])
    } else {
        EACH_PIXEL(row[0] + row[2] - twice(row[1]))
    }
    for (; samples < end; samples++) {
        *samples = samples[-1];
    }
}

/* A row of a field that is the one before, if there is a field. */
static void repeat_row(int16_t *row)
{
    if (row != NULL) {
        memcpy(row, row - HEQ_SIDE, HEQ_SIDE * sizeof *row);
    }
}

HEQ_INTERNAL void heq_transform_rows(const heq_transform *transform, const heq_patch *patch,
                                     int plane, int16_t *whole, int16_t *halves,
                                     int32_t *scratch)
{
    const uint8_t *row = patch->pixels;
    uint8_t *pixels = (uint8_t *)(scratch + HEQ_ROW_SCRATCH); /* HEQ_ROW_BYTES */
    int y;
    for (y = 0; y < HEQ_SIDE; y++) {
        if (y < patch->rows) {
            /* Samples lie where the transform of the row will. */
            int16_t *samples = whole != NULL ? whole : halves;
            heq_colour_row(patch, plane, heq_row_of(patch, row, y, pixels), samples);
            heq_transform_row(transform, samples, whole, halves, scratch);
            row += y + 1 < patch->rows ? patch->stride : 0;
            HEQ_HIDE(row);
        } else { /* as the last row */
            repeat_row(whole);
            repeat_row(halves);
        }
        whole = whole == NULL ? NULL : whole + HEQ_SIDE;
        halves = halves == NULL ? NULL : halves + HEQ_SIDE;
    }
}

/* ---- Transforms by halves ------------------------------------------------------------------ */

#ifndef HEQ_TWO_PRODUCTS

/* Two pairs at equal distance from the ends and from the middle: sums to the first half of the
 * samples, differences to the second, both from the ends on. */
#define FOLD(place)                                      \
    outer = samples[place];                              \
    inner = samples[7 - (place)];                        \
    across = samples[15 - (place)];                      \
    beside = samples[8 + (place)];                       \
    samples[place] = outer + across;                     \
    samples[7 - (place)] = inner + beside;               \
    samples[8 + (place)] = outer - across;               \
    samples[15 - (place)] = inner - beside;

/* The transform of 16 samples, which are lost, by frequency. */
static void forward_16(const heq_transform *transform, int32_t *samples, int32_t *sums)
{
    int32_t outer, inner, across, beside;
    FOLD(0)
    FOLD(1)
    FOLD(2)
    FOLD(3)
    heq_products_even(transform->weights, samples, sums);
    heq_products_8(transform->weights, samples + 8, sums);
}

HEQ_INTERNAL void heq_transform_row(const heq_transform *transform, const int16_t *samples,
                                    int16_t *whole, int16_t *halves, int32_t *scratch)
{
    int32_t part[16], *first = scratch, *last = scratch + 16;
    int32_t half = (int32_t)1 << (transform->shift - 1);
    int place, shift = transform->shift;
    for (place = 0; place < 16; place++) {
        part[place] = samples[place];
    }
    forward_16(transform, part, first);
    for (place = 0; place < 16; place++) {
        part[place] = samples[16 + place];
    }
    forward_16(transform, part, last);
    if (halves != NULL) {
        for (place = 0; place < 16; place++) {
            halves[place] = (int16_t)((first[place] + half) >> shift);
            halves[16 + place] = (int16_t)((last[place] + half) >> shift);
        }
    }
    if (whole != NULL) { /* the samples may lie there */
        int32_t odd[16];
        for (place = 0; place < 16; place++) {
            part[place] = samples[place] - samples[31 - place];
        }
        heq_products_16(transform->weights, part, odd);
        /* Turned round, the odd frequencies of the second half change their sign. */
        for (place = 0; place < 16; place += 2) {
            int32_t even = first[place] + last[place];
            int32_t turned = first[place + 1] - last[place + 1];
            whole[0] = (int16_t)((even + half) >> shift);
            whole[1] = (int16_t)((odd[place] + half) >> shift);
            whole[2] = (int16_t)((turned + half) >> shift);
            whole[3] = (int16_t)((odd[place + 1] + half) >> shift);
            whole += 4;
        }
    }
}

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* Round sums to coefficients. */
static void round_sums(int32_t *sums, int shift)
{
    int32_t half = (int32_t)1 << (shift - 1);
    const int32_t *end = sums + 16;
    for (; sums < end; sums++) {
        *sums = (*sums + half) >> shift;
    }
}

HEQ_INTERNAL int heq_transform_column(const heq_transform *transform, const int16_t *samples,
                                      int points, int32_t least, int32_t *coefficients,
                                      int32_t *scratch)
{
    int32_t *even = scratch, *odd = scratch + 16, evens = 0, odds = 0, limit;
    int place, shift = transform->shift, parts = 0;
    if (points == 16) {
        for (place = 0; place < 16; place++) {
            even[place] = *samples;
            evens += magnitude(even[place]);
            samples += HEQ_SIDE;
        }
    } else {
        const int16_t *opposite = samples + (31 << 5);
        for (place = 0; place < 16; place++) {
            even[place] = *samples + *opposite;
            odd[place] = *samples - *opposite;
            evens += magnitude(even[place]);
            odds += magnitude(odd[place]);
            samples += HEQ_SIDE;
            opposite -= HEQ_SIDE;
            HEQ_HIDE(opposite);
        }
    }
    /* A sum has at most the largest weight times all magnitudes. */
    limit = ((least + 1) << shift) - ((int32_t)1 << (shift - 1));
    if (heq_two_shifts(evens, 5, 3) >= limit) {
        forward_16(transform, even, coefficients);
        round_sums(coefficients, shift);
        parts |= 1;
    }
    if (points == 32 && heq_two_shifts(odds, 5, 3) >= limit) {
        heq_products_16(transform->weights, odd, coefficients + 16);
        round_sums(coefficients + 16, shift);
        parts |= 2;
    }
    return parts;
}

#else

HEQ_INTERNAL void heq_transform_row(const heq_transform *transform, const int16_t *samples,
                                    int16_t *whole, int16_t *halves, int32_t *scratch)
{
    uint32_t even[8], odd[8];
    int32_t *sums[4]; /* of each half the even and the odd frequencies */
    int32_t half = (int32_t)1 << (transform->shift - 1);
    int place, shift = transform->shift;
    for (place = 0; place < 4; place++) {
        sums[place] = scratch + (place << 3);
    }
    for (place = 0; place < 2; place++) {
        fold(samples + (place << 4), 4, even, odd);
        products_8(transform->weights + EVEN_OF_16, even, half, sums[place << 1]);
        products_8(transform->weights + ODD_OF_16, odd, half, sums[(place << 1) + 1]);
    }
    if (halves != NULL) {
        for (place = 0; place < 8; place++) {
            halves[0] = (int16_t)(sums[0][place] >> shift);
            halves[1] = (int16_t)(sums[1][place] >> shift);
            halves[16] = (int16_t)(sums[2][place] >> shift);
            halves[17] = (int16_t)(sums[3][place] >> shift);
            halves += 2;
        }
    }
    if (whole != NULL) {
        int32_t between[16];
        fold(samples, 8, NULL, odd);
        products_16(transform->weights + ODD_OF_32, odd, half, shift, between);
        /* Turned round, the odd frequencies of the second half change their sign. */
        for (place = 0; place < 8; place++) {
            whole[0] = (int16_t)((sums[0][place] + sums[2][place] - half) >> shift);
            whole[1] = (int16_t)between[place << 1];
            whole[2] = (int16_t)((sums[1][place] - sums[3][place] + half) >> shift);
            whole[3] = (int16_t)between[(place << 1) + 1];
            whole += 4;
        }
    }
}

/* Can a product of these samples with weights reach a limit? By Cauchy and Schwarz: neither has
 * more energy than the other allows. */
static int can_reach(const uint32_t *samples, int words, int32_t limit)
{
    uint64_t energy = 0, square;
    if (limit < 0) {
        return 1;
    }
    square = (uint64_t)(uint32_t)limit * (uint32_t)limit;
    for (; words > 0; words--) {
        energy = (uint64_t)__smlald((int16x2_t)*samples, (int16x2_t)*samples, (int64_t)energy);
        samples++;
    }
    return energy << HEQ_LARGEST_ENERGY >= square;
}

HEQ_INTERNAL int heq_transform_column(const heq_transform *transform, const int16_t *samples,
                                      int points, int32_t least, int32_t *coefficients,
                                      int32_t *scratch)
{
    uint32_t even[8], odd[8];
    int32_t half = (int32_t)1 << (transform->shift - 1);
    int32_t limit = ((least + 1) << transform->shift) - half;
    int place, shift = transform->shift, parts = 0;
    fold_column(samples, points, even, odd);
    if (points == 32) {
        if (can_reach(even, 8, limit)) {
            products_16(transform->weights + ALL_OF_16, even, half, shift, coefficients);
            parts |= 1;
        }
        if (can_reach(odd, 8, limit)) {
            products_16(transform->weights + ODD_OF_32, odd, half, shift, coefficients + 16);
            parts |= 2;
        }
    } else if (can_reach(even, 4, limit) || can_reach(odd, 4, limit)) {
        products_8(transform->weights + EVEN_OF_16, even, half, scratch);
        products_8(transform->weights + ODD_OF_16, odd, half, scratch + 8);
        for (place = 0; place < 8; place++) {
            coefficients[0] = scratch[place] >> shift;
            coefficients[1] = scratch[8 + place] >> shift;
            coefficients += 2;
        }
        parts = 1;
    }
    return parts;
}

#endif
#endif
