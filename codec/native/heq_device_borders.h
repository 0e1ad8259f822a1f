/* What the patches left and above say of level 0 and of signs: part of heq_device.c.
 *
 * Pictures go on across borders. Plane 0 of a patch has a profile along each of its sides: the sum
 * of its levels as they are at that side, in quarters, by frequency along the side. How far the
 * profiles on both sides of a border are apart is what the levels to come have to make up for.
 */
#ifndef HEQ_DEVICE_BORDERS_H
#define HEQ_DEVICE_BORDERS_H

#include <string.h>

#include "heq_device_contexts.h"

enum {
    SIDE_LEFT,
    SIDE_TOP,
    SIDE_RIGHT,
    SIDE_BOTTOM
};

#define SIDE_LEVEL 127 /* largest magnitude that a profile takes */

/* The levels 0 around that of a patch, where they are known. */
typedef struct {
    int predicted;
    int gradient; /* from the patch left and above to the two beside it; 0 where there is none */
} dc_around;

static int magnitude_of(int value)
{
    return value < 0 ? -value : value;
}

typedef char columns_have_14_bytes[sizeof(heq_device_column) == 14 ? 1 : -1];

/* Of the patch above, or NULL where it was not kept. */
static heq_device_column *column_of(heq_device_strip *strip)
{
    int column = strip->column;
    if (column >= HEQ_DEVICE_COLUMNS) {
        return NULL;
    }
    /* 14 bytes each, without a product. */
    return (heq_device_column *)(void *)((uint8_t *)strip->above +
                                         heq_two_shifts(column, 3, 2) + (column << 1));
}

static int knows_above(const heq_device_strip *strip)
{
    return strip->rows > 1 && strip->column < HEQ_DEVICE_COLUMNS;
}

/* Level 0 as the median of the patch left, the one above, and the plane through all three. */
static dc_around predict_dc(heq_device_strip *strip, int plane)
{
    int left = strip->dc[plane], corner = strip->corner[plane], above, low, high;
    dc_around made = {left, 0};
    if (!knows_above(strip)) {
        return made;
    }
    above = column_of(strip)->dc[plane];
    if (strip->column == 0) {
        made.predicted = above;
        return made;
    }
    low = left < above ? left : above;
    high = left < above ? above : left;
    made.predicted = corner >= high ? low : corner <= low ? high : left + above - corner;
    made.gradient = magnitude_of(left - corner) + magnitude_of(above - corner);
    return made;
}

static void keep_dc(heq_device_strip *strip, int plane, int level)
{
    heq_device_column *column = column_of(strip);
    strip->dc[plane] = (int16_t)level;
    if (column != NULL) {
        strip->corner[plane] = column->dc[plane];
        column->dc[plane] = (int16_t)level;
    }
}

/* A level at a side, in quarters, by its frequency f across the side, 0 to 31: coarsely what the
 * basis function is at its first sample, sqrt(1/2) for f = 0 and cos(pi f / 64) for others, as 3,
 * 4, 3 and 2 quarters. */
static int at_side(int level, int frequency)
{
    int twice = level + level;
    HEQ_HIDE(twice);
    return frequency == 0 ? twice + level : frequency < 13 ? twice + twice
                                        : frequency < 23   ? twice + level
                                                           : twice;
}

static void add_level(heq_device_strip *strip, int size, int band, int sub, int level)
{
    int16_t(*side)[HEQ_DEVICE_SIDE] = strip->now.side;
    int u = band_frequency[band] >> 4, v = band_frequency[band] & 15;
    int first = 0, most = 16, at_left, at_top;
    if (size == 0) {
        u = (u << 1) + (sub >> 1);
        v = (v << 1) + (sub & 1);
        at_left = at_side(level, v);
        at_top = at_side(level, u);
    } else {
        first = sub << 3;
        most = 8;
        at_left = at_side(level, v << 1);
        at_top = at_side(level, u << 1);
    }
    if (u < most) {
        side[SIDE_LEFT][first + u] = (int16_t)(side[SIDE_LEFT][first + u] + at_left);
        at_left = v & 1 ? -at_left : at_left;
        side[SIDE_RIGHT][first + u] = (int16_t)(side[SIDE_RIGHT][first + u] + at_left);
    }
    if (v < most) {
        side[SIDE_TOP][first + v] = (int16_t)(side[SIDE_TOP][first + v] + at_top);
        at_top = u & 1 ? -at_top : at_top;
        side[SIDE_BOTTOM][first + v] = (int16_t)(side[SIDE_BOTTOM][first + v] + at_top);
    }
}

/* The means of quarters, from levels 1 to 3 (left less right, top less bottom, diagonals). */
static void add_means(heq_device_strip *strip, const int *levels)
{
    int quarter, side;
    for (quarter = 0; quarter < 4; quarter++) {
        int mean = quarter & 1 ? -levels[1] : levels[1];
        mean += quarter & 2 ? -levels[2] : levels[2];
        mean += quarter == 1 || quarter == 2 ? -levels[3] : levels[3];
        for (side = 0; side < 4; side++) {
            /* Level 0 of a quarter is half this sum, and at its sides 3 quarters a level: 3/2. */
            int16_t *place = strip->now.side[side] + (quarter << 3);
            *place = (int16_t)(*place + mean + (mean >> 1));
        }
    }
}

/* A profile in the frequencies of a patch of the other size: `half` of each quarter, twice as many
 * of a whole patch, of which those that are odd are not known. */
static void turn_profile(int16_t *profile, int half, int size)
{
    int16_t from[16];
    int i;
    for (i = 0; i < half + half; i++) {
        from[i] = profile[i];
    }
    for (i = 0; i < half; i++) {
        if (size == 0) {
            int second = i & 1 ? -from[half + i] : from[half + i];
            profile[i << 1] = (int16_t)(from[i] + second);
        } else {
            int even = from[i << 1] >> 1;
            profile[i] = (int16_t)even;
            profile[half + i] = (int16_t)(i & 1 ? -even : even);
        }
    }
}

/* Before the levels of plane 0 from 1 on: the profiles of the patches left and above. `dc` is level
 * 0, which is not yet kept. Profiles are without it, and its differences stand apart. */
static void begin_borders(heq_device_strip *strip, int size, int dc)
{
    memset(strip->now.side, 0, sizeof strip->now.side);
    strip->left_step = strip->dc[0] - dc;
    strip->turned = 0;
    if (strip->left_size != size) {
        turn_profile(strip->left, 8, size);
        strip->turned = 1;
    }
    if (knows_above(strip)) {
        const heq_device_column *column = column_of(strip);
        int i;
        strip->top_step = column->dc[0] - dc;
        for (i = 0; i < 8; i++) {
            strip->top[i] = column->bottom[i];
        }
        if ((int)(strip->above_sizes >> strip->column & 1) != size) {
            turn_profile(strip->top, 4, size);
            strip->turned |= 2;
        }
    }
}

/* After plane 0: keep the profiles of the sides right and below. */
static void end_borders(heq_device_strip *strip, int size)
{
    heq_device_column *column = column_of(strip);
    const int16_t *bottom = strip->now.side[SIDE_BOTTOM], *right = strip->now.side[SIDE_RIGHT];
    int i;
    for (i = 0; i < 16; i++) {
        /* Of quarters those of the right ones, 1 and 3. */
        strip->left[i] = right[size == 0 ? i : i + 8 + (i & 8)];
    }
    strip->left_size = (uint8_t)size;
    if (column != NULL) {
        for (i = 0; i < 8; i++) {
            /* And of the lower ones, 2 and 3, four each. */
            int value = bottom[size == 0 ? i : i + 16 + (i & 4)];
            column->bottom[i] = (int8_t)(value < -127 ? -127 : value > 127 ? 127 : value);
        }
        strip->above_sizes &= ~((uint32_t)1 << strip->column);
        strip->above_sizes |= (uint32_t)size << strip->column;
    }
}

/* What a difference of levels 0 is, in quarters, at the border of a whole patch: 3 a level as
 * `at_side` has it; or of quarters, whose own levels 0 are half of it: 3/2. */
static int mean_gap(int size, int step)
{
    int more = size == 0 ? step + step : step >> 1;
    HEQ_HIDE(more);
    return step + more;
}

/* How far the profiles are apart that a level adds to, with the sign that it would have. */
static int border_gap(const heq_device_strip *strip, int size, int band, int sub)
{
    const int16_t(*side)[HEQ_DEVICE_SIDE] = (const int16_t(*)[HEQ_DEVICE_SIDE])strip->now.side;
    int u = band_frequency[band] >> 4, v = band_frequency[band] & 15, gap = 0, inner;
    int first = size == 0 ? 0 : sub << 3, inside_left = 0, inside_top = 0, most = 16;
    int at_left, at_top;
    if (size == 0) {
        u = (u << 1) + (sub >> 1);
        v = (v << 1) + (sub & 1);
        at_left = u;
        at_top = v;
    } else {
        most = 8;
        inside_left = sub & 1;
        inside_top = sub >> 1;
        at_left = (inside_top << 3) + u;
        at_top = (inside_left << 2) + v;
    }
    if (u < most) {
        if (inside_left) {
            gap += side[SIDE_RIGHT][first - 8 + u] - side[SIDE_LEFT][first + u];
        } else if (strip->column > 0 && !(size == 0 && (strip->turned & 1) && (u & 1))) {
            gap += strip->left[at_left] - side[SIDE_LEFT][first + u];
            gap += u == 0 ? mean_gap(size, strip->left_step) : 0;
        }
        if (size != 0 && !inside_left) {
            inner = side[SIDE_LEFT][first + 8 + u] - side[SIDE_RIGHT][first + u];
            gap += v & 1 ? -inner : inner;
        }
    }
    if (v < most) {
        if (inside_top) {
            gap += side[SIDE_BOTTOM][first - 16 + v] - side[SIDE_TOP][first + v];
        } else if (v < most >> 1 && knows_above(strip) &&
                   !(size == 0 && (strip->turned & 2) && (v & 1))) {
            gap += strip->top[at_top] - side[SIDE_TOP][first + v];
            gap += v == 0 ? mean_gap(size, strip->top_step) : 0;
        }
        if (size != 0 && !inside_top) {
            inner = side[SIDE_TOP][first + 16 + v] - side[SIDE_BOTTOM][first + v];
            gap += u & 1 ? -inner : inner;
        }
    }
    return gap;
}

#define NO_GAP 8

/* Of 17. */
static int gap_bin(int gap)
{
    int size = magnitude_of(gap);
    int bin = size < 4    ? (size < 1 ? 0 : size < 2 ? 1 : 2)
              : size < 14 ? (size < 6 ? 3 : size < 9 ? 4 : 5)
              : size < 24 ? 6
              : size < 40 ? 7
                          : 8;
    return gap < 0 ? NO_GAP - bin : NO_GAP + bin;
}

#endif
