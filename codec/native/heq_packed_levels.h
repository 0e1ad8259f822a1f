/* Flags, levels and signs of the packed coder. */
#ifndef HEQ_PACKED_LEVELS_H
#define HEQ_PACKED_LEVELS_H

#include <stdlib.h>
#include "heq_packed_borders.h"
#include "heq_packed_networks.h"

static const int16_t no_border[6] = {0, 0, 0, 0, 0, -1};

static inline int sum_of_four(const uint8_t *values)
{
    return values[0] + values[1] + values[2] + values[3];
}

/* Bin 0..7 of a sum of neighbours: fine near 0, one for all that is large. */
static inline int coarse(int value)
{
    return value < 4 ? value : value < 6 ? 4 : value < 9 ? 5 : value < 14 ? 6 : 7;
}

static inline int sign_of(int value)
{
    return (value > 0) - (value < 0);
}

/* Is anything in the slice (whole), or in one of its segments? */
static int code_flag(coder *c, const position *at, int segment, int whole, int before, int flag)
{
    const summary *own = c->summaries + at->place;
    const int64_t around[4] = {-1, -c->pitch, 1, c->pitch};
    int slice = at->slice, n = 0, p = at->plane;
    uint8_t x[INPUTS] = {0};
    for (int i = 1; i <= 4; i++) {
        x[n++] = segment >= i ? own->segments[segment - i] : 0;
    }
    for (int i = 0; i <= 2; i++) {
        x[n++] = own->slices[slice - i];
    }
    for (int i = 0; i < 6; i++) {
        int64_t step = i < 4 ? around[i] : ((p + 6 - i) % 3 - p) * c->field;
        const summary *other = own + step;
        x[n++] = other->segments[segment];
        x[n++] = other->slices[slice];
        x[n++] = other->slices[slice - 1];
        x[n++] = other->segments[segment - 1];
    }
    x[n++] = own[-c->pitch - 1].slices[slice];
    x[n++] = own[-c->pitch + 1].slices[slice];
    /* Sums that decay by 1/8 and 1/32 a level reach 8 and 32 times 63; small numbers are spread,
     * too, over the bytes that networks take. */
    x[n++] = (uint8_t)clamp(own->run[0] >> 1, 0, 255);
    x[n++] = (uint8_t)clamp(own->run[1] >> 3, 0, 255);
    x[n++] = (uint8_t)(at->size * 64);
    x[n++] = (uint8_t)(c->step >> 2);
    x[n++] = (uint8_t)((segment - slice_segment[slice]) * 8);
    x[n++] = (uint8_t)(before * 64);
    x[n++] = (uint8_t)(slice * 32);
    int net = FLAG_NETS + p * 2 + !whole; /* two a plane: of slices, of segments */
    keep_sample(c->samples, x, net, flag, no_border);
    int16_t last[SECOND];
    run_network(c->tables, net, x, last);
    prediction with = {run_head(c->tables, net, 0, last), c->mixing + net * 4 * MIXED, 3, {0}};
    with.given[0] = c->corrections + BY_SEGMENT + ((p * 2 + at->size) * 2 + whole) * 24 + segment;
    /* 32 bins, 0 in the middle: of half a natural logarithm, for logits have 12 bits of fraction,
     * and of 1/16 of surprise, which has 16. */
    correction *by_logit = c->corrections + BY_LOGIT + net * 4 * 32;
    with.given[1] = by_logit + clamp((with.logit >> 11) + 16, 0, 31);
    with.given[2] = by_logit + 32 + clamp((own->surprise >> 12) + 16, 0, 31);
    return decide(c, flag, &with);
}

/* A sign, against the one expected from the borders, and against those of the other planes' levels
 * at the same place. */
static int code_sign(coder *c, const position *at, int magnitude, int expected, int first,
                     int second, int sign)
{
    /* SURE_BOUNDS of tables.py: magnitudes of `expected`, in 1/256 of a level. */
    static const int16_t bounds[8] = {13, 38, 77, 128, 205, 307, 512, 768};
    int sure = 0, strength = clamp(magnitude, 1, 3) - 1, p = at->plane;
    while (sure < 8 && abs(expected) >= bounds[sure]) {
        sure++;
    }
    first = sign_of(first);
    second = sign_of(second);
    int which = first ? 0 : 1, reference = first ? first : second;
    int guess = sure ? sign_of(expected) : reference;
    if (!guess) {
        return code_bit(c, sign < 0, 32768) ? -1 : 1;
    }
    summary *own = c->summaries + at->place;
    int32_t logit = c->tables->sign[(p * 9 + sure) * 3 + strength];
    prediction with = {logit, c->mixing + (SIGN_MIX * 4 + (p > 0)) * MIXED, 2, {0}};
    int turn = guess * reference;
    int here = own->agreement[which] * turn;
    int there = (own[-1].agreement[which] + own[-c->pitch].agreement[which]) * turn;
    /* Agreement is -64 to 64: nine bins of 16, of the sum of two patches five of 32. */
    with.given[0] = c->corrections + BY_AGREEMENT +
                    ((p * 2 + which) * 9 + clamp(((here + 8) >> 4) + 4, 0, 8)) * 5 +
                    clamp(((there + 16) >> 5) + 2, 0, 4);
    with.given[1] = c->corrections + BY_SIGNS + ((p * 9 + sure) * 3 + strength) * 9 +
                    (guess * first + 1) * 3 + guess * second + 1;
    sign = decide(c, sign != guess, &with) ? -guess : guess;
    /* Moves a quarter of the way to 64 where signs agree, to -64 where they do not. */
    if (first) {
        own->agreement[0] += ((sign == first ? 64 : -64) - own->agreement[0]) >> 2;
    }
    if (second) {
        own->agreement[1] += ((sign == second ? 64 : -64) - own->agreement[1]) >> 2;
    }
    return sign;
}

/* What the levels of the patches left and above say of a mean. Input LISTED + 7 tells how much
 * that is: 0 with both neighbours, 32 with one, 128 with none. */
static int predict_mean(coder *c, const position *at, const int16_t *levels, uint8_t *inputs)
{
    int64_t patch = (int64_t)c->planes * LEVELS;
    if (!at->row && !at->column) {
        inputs[LISTED + 7] = 128;
        return 0;
    }
    if (!at->row || !at->column) {
        inputs[LISTED + 7] = 32;
        return at->column ? levels[-patch] : levels[-patch * c->columns];
    }
    int left = levels[-patch], above = levels[-patch * c->columns];
    int corner = levels[-patch * (c->columns + 1)];
    int far = at->column + 1 < c->columns ? levels[-patch * (c->columns - 1)] : above;
    const int pairs[4] = {left - corner, above - corner, above - far, left - above};
    for (int i = 0; i < 4; i++) {
        inputs[i] = c->tables->magnitude[clamp(abs(pairs[i]), 0, 255)];
    }
    int low = left < above ? left : above, high = left < above ? above : left;
    return clamp(left + above - corner, low, high); /* the median of the three */
}

/* Code a level; returns 0, or HEQ_PACKED_DAMAGED. `seen`: anything yet in this segment? */
static int code_level(coder *c, const position *at, int index, int segment,
                      const surroundings *around, int *seen, int16_t *level)
{
    const heq_packed_tables *t = c->tables;
    int p = at->plane, slice = at->slice, size = at->size, band = index >> 2, sub = index & 3;
    summary *own = c->summaries + at->place;
    uint8_t *cell = c->map + at->place * MAP + ((c->u[band] + 3) * SIDE + c->v[band] + 3) * 4;
    uint8_t x[INPUTS];
    const int64_t *offsets = c->offsets[p];
    for (int i = 0; i < LISTED; i++) {
        const uint8_t *from = cell + offsets[i];
        x[i] = c->sub[i] < 4 ? from[sub ^ c->sub[i]] : (uint8_t)sum_of_four(from);
    }
    /* Scaled to the bytes that networks take, as in `code_flag`. Input LISTED + 6 is the place in a
     * segment in which all levels so far are 0, from 16 on, and 0 once one is not. */
    x[LISTED + 0] = (uint8_t)clamp(own->run[0] >> 1, 0, 255);
    x[LISTED + 1] = (uint8_t)clamp(own->run[1] >> 3, 0, 255);
    x[LISTED + 2] = (uint8_t)(c->u[band] * 16);
    x[LISTED + 3] = (uint8_t)(c->v[band] * 16);
    x[LISTED + 4] = (uint8_t)((index - slice_start[slice]) >> 2);
    x[LISTED + 5] = (uint8_t)(c->step >> 2);
    x[LISTED + 6] = (uint8_t)(*seen || slice < 2 ? 0 : 16 + (index - segment_start[segment]) * 3);
    x[LISTED + 7] = (uint8_t)(p && !size ? sub * 32 : 0);
    int mean = index ? 0 : predict_mean(c, at, level, x), expected = 0;
    int value = *level - mean, magnitude = abs(value);
    /* Nine kinds a slice: luma of 32 points by sub 0..3, luma of 16 points 4, chroma 5..8 by plane
     * and size. Networks 0..2 are slice 0, by plane. */
    int kind = p ? 3 + p * 2 + size : size ? 4 : sub;
    int net = slice ? 3 + (slice - 1) * 9 + kind : p;
    int16_t borders[6] = {0, 0, 0, 0, (int16_t)clamp(value, -255, 255), -1};
    if (index) {
        expected = expect_level(c, at, index, around, borders);
    }
    x[LISTED + 8] = (uint8_t)clamp(abs(expected) >> 4, 0, 255); /* 1/256 to 1/16 of a level */
    /* Differences of profiles are at most DIFFERENCE_LIMIT, 11 bits. */
    for (int i = 0; i < 4; i++) {
        x[LISTED + 9 + i] = (uint8_t)(abs(borders[i]) >> 3);
    }
    const uint8_t *sizes = c->sizes + (int64_t)at->row * c->columns + at->column;
    x[LISTED + 13] = (uint8_t)(at->column ? 64 + 64 * sizes[-1] : 0);
    x[LISTED + 14] = (uint8_t)(at->row ? 64 + 64 * sizes[-c->columns] : 0);
    keep_sample(c->samples, x, net, magnitude, borders);

    int16_t last[SECOND];
    run_network(t, net, x, last);
    int64_t to_first = ((p + 2) % 3 - p) * c->field, to_second = ((p + 1) % 3 - p) * c->field;
    const uint8_t *first = cell + to_first * MAP, *second = cell + to_second * MAP;
    /* Kept magnitudes have 3 bits of fraction in logarithms to the base 2. */
    int near = coarse((x[0] + x[1] + x[2] + x[3] + x[4] + x[5]) >> 3);
    int cross = coarse((first[sub] + second[sub] + (sum_of_four(first) >> 1)) >> 3);
    int environs = (near * 8 + coarse(own->run[0] >> 3)) * 8 + cross;
    /* 16 bins of 1/16, 0 in the middle: of this patch, and of the mean of two neighbours. */
    int here = clamp((own->surprise >> 12) + 8, 0, 15);
    int there = clamp(((own[-1].surprise + own[-c->pitch].surprise) >> 13) + 8, 0, 15);
    int count = 0; /* decisions so far */
    for (int more = 1; more && count < LONGEST; count++) {
        int rank = count < 3 ? count : 3;
        prediction with = {run_head(t, net, count < 7 ? count : 7, last),
                           c->mixing + (net * 4 + rank) * MIXED, MIXED - 1, {0}};
        correction *all = c->corrections;
        with.given[0] = all + BY_LEVEL + ((p * 2 + size) * LEVELS + index) * 4 + rank;
        /* 32 bins of a quarter of a natural logarithm, from -6 to 2: most levels are 0. */
        with.given[1] = all + BY_LOGIT + (net * 4 + rank) * 32 + clamp((with.logit >> 10) + 24, 0, 31);
        with.given[2] = all + BY_AROUND + (p * 4 + rank) * 512 + environs;
        with.given[3] = all + BY_RING +
                        (((p * 2 + size) * 4 + c->angle[band]) * 24 + c->ring[band]) * 4 + rank;
        with.given[4] = all + BY_PATCH + ((p * 6 + slice) * 4 + rank) * 16 + here;
        with.given[5] = all + BY_NEIGHBOURS + ((p * 6 + slice) * 4 + rank) * 16 + there;
        /* From 5 on: has magnitude - 4 more than count - 4 bits? */
        more = count < 5 ? magnitude > count : magnitude - 4 >= 2 << (count - 5);
        more = decide(c, more, &with);
        if (!count) {
            /* Mean of bit minus probability, in 1/65536, over about 16 decisions. */
            int32_t ones = (int32_t)squash(c, with.logit);
            own->surprise += ((more << 16) - ones - own->surprise) >> 4;
        }
        if (!more) {
            break;
        }
    }
    if (count < 5) {
        magnitude = count;
    } else { /* magnitude - 4 has count - 4 bits, the first of them 1 */
        int rest = 1;
        for (int i = count - 6; i >= 0; i--) {
            int bit = (magnitude - 4) >> i & 1;
            if (rest == 1) { /* the lower half is the likelier one */
                prediction with = {0, c->mixing + (SIGN_MIX * 4 + 2) * MIXED, 1, {0}};
                with.given[0] = c->corrections + BY_REST + p * LONGEST + count - 1;
                bit = decide(c, bit, &with);
            } else {
                bit = code_bit(c, bit, 32768);
            }
            rest = rest << 1 | bit;
        }
        magnitude = rest + 4;
    }
    value = magnitude ? sign_of(value) : 0;
    if (magnitude) {
        int one = 0, two = 0;
        if (p && index) { /* coded before in this slice */
            one = level[-LEVELS];
            two = p == 2 ? level[-2 * LEVELS] : 0;
        }
        value = code_sign(c, at, magnitude, expected, one, two, value) * magnitude;
        *seen = 1;
    }
    value += mean;
    if (value < -32767 || value > 32767) {
        return HEQ_PACKED_DAMAGED;
    }
    if (c->decoding) {
        *level = (int16_t)value;
    }
    if (value) {
        add_to_profiles(c, at, index, value);
    }
    int kept = t->magnitude[magnitude > 255 ? 255 : magnitude];
    cell[sub] = (uint8_t)kept;
    own->run[0] += kept - (own->run[0] >> 3);
    own->run[1] += kept - (own->run[1] >> 5);
    return kept;
}

#endif
