/* What a level is expected to be from the levels around it: part of heq_device.c.
 *
 * Sums of magnitudes, and the score of a level: log odds added up from trained tables, one entry
 * for each sum by its bin. Tables hold 0 in bin 0, so where nothing is around the score is that of
 * the place alone.
 */
#ifndef HEQ_DEVICE_AROUND_H
#define HEQ_DEVICE_AROUND_H

#include <string.h>

#include "heq_device_contexts.h"

/* The bands around a band, four magnitudes each; of those outside all are 0. */
typedef struct {
    const uint32_t *up, *left, *up_left, *up_right, *down_left, *down, *right, *up_up, *left_left;
    const uint32_t *base_own, *base_up, *base_left; /* of plane 0 */
    const uint32_t *other_own;                      /* of plane 1, for plane 2 */
} band_neighbours;

static band_neighbours neighbours_of(heq_device_strip *strip, int plane, int band)
{
    int u = band_frequency[band] >> 4, v = band_frequency[band] & 15;
    const uint16_t *rank = band_rank + times_18(u + 1) + v + 1;
    const uint32_t *bands = bands_of(strip, plane), *base = strip->magnitude;
    band_neighbours made;
    made.up = bands + rank[-18];
    made.left = bands + rank[-1];
    made.up_left = bands + rank[-19];
    made.up_right = bands + rank[-17];
    made.down_left = bands + rank[17];
    made.down = bands + rank[18];
    made.right = bands + rank[1];
    made.up_up = bands + (u > 1 ? rank[-36] : HEQ_DEVICE_BANDS - 1);
    made.left_left = bands + (v > 1 ? rank[-2] : HEQ_DEVICE_BANDS - 1);
    made.base_own = base + band;
    made.base_up = base + rank[-18];
    made.base_left = base + rank[-1];
    made.other_own = plane > 1 ? bands_of(strip, 1) + band : base + HEQ_DEVICE_BANDS - 1;
    return made;
}

/* Is a band surrounded by nothing but levels of 0, `own` ones of the left patch among them? */
static int is_quiet(const band_neighbours *near, uint32_t own, int plane)
{
    uint32_t any = own | *near->up | *near->left | *near->up_left | *near->up_right |
                   *near->down_left | *near->down | *near->right | *near->up_up |
                   *near->left_left;
    if (plane > 0) {
        any |= *near->base_own | *near->base_up | *near->base_left | *near->other_own;
    }
    return any == 0;
}

static int at(const uint32_t *band, int sub)
{
    return ((const uint8_t *)band)[sub];
}

static int sum_of(const uint32_t *band)
{
    return at(band, 0) + at(band, 1) + at(band, 2) + at(band, 3);
}

/* Sums whose bins a score is made of. Those before LUMA are all there is in plane 0. */
enum {
    SUM_EDGES,    /* the next lower frequencies of this quarter */
    SUM_DIAGONAL, /* the next lower one both ways */
    SUM_FAR,      /* two lower, and lower one way but higher the other */
    SUM_HIGHER,   /* the next higher ones: of the left patch */
    SUM_OWN,      /* this level of the left patch */
    SUM_DONE,     /* the levels of this band that are coded */
    SUM_AHEAD,    /* those after this one: of the left patch */
    SUM_LOWER,    /* the next lower bands, all four levels */
    SUM_BEYOND,   /* the bands two lower */
    SUM_LUMA,     /* in planes 1 and 2: this level of plane 0 */
    SUM_LUMA_EDGES, /* the next lower frequencies of plane 0 */
    SUM_CHROMA      /* in plane 2: this level of plane 1 */
};

typedef char sums_agree[SUM_CHROMA + 1 == HEQ_DEVICE_SUMS ? 1 : -1];

/* What surrounds a level. */
typedef struct {
    int near;  /* weighted sum over neighbouring frequencies of the same quarter */
    int same;  /* over the same frequency of other quarters, and of the left patch */
    int other; /* over the other colour planes; in plane 0, higher bands of the left patch */
    uint8_t bins[HEQ_DEVICE_SUMS];
} surroundings;

/* Of a band: the bins that all its levels share. */
static void begin_surroundings(surroundings *made, const band_neighbours *near)
{
    memset(made, 0, sizeof *made);
    made->bins[SUM_LOWER] = (uint8_t)bin16(sum_of(near->up) + sum_of(near->left));
    made->bins[SUM_BEYOND] = (uint8_t)bin16(sum_of(near->up_up) + sum_of(near->left_left));
}

/* And of a level; `done` is the sum of the levels of this band before it, `ahead` of the left
 * patch's after it. */
static void surround(surroundings *made, const band_neighbours *near, const uint8_t *own, int plane,
                     int sub, int done, int ahead)
{
    int beside = sub & 1 ? own[sub - 1] : own[sub + 1], above = sub & 2 ? own[sub - 2] : 0;
    int higher = at(near->down, sub) + at(near->right, sub), diagonal = at(near->up_left, sub);
    int edges = at(near->up, sub) + at(near->left, sub);
    int far = at(near->up_up, sub) + at(near->left_left, sub) + at(near->up_right, sub) +
              at(near->down_left, sub);
    made->near = (edges << 1) + diagonal + far;
    made->same = ((beside + above) << 1) + done + own[sub] + own[sub ^ 1];
    made->other = higher;
    made->bins[SUM_EDGES] = (uint8_t)bin16(edges);
    made->bins[SUM_DIAGONAL] = (uint8_t)bin16(diagonal);
    made->bins[SUM_FAR] = (uint8_t)bin16(far);
    made->bins[SUM_HIGHER] = (uint8_t)bin16(higher);
    made->bins[SUM_OWN] = (uint8_t)bin16(own[sub]);
    made->bins[SUM_DONE] = (uint8_t)bin16(done);
    made->bins[SUM_AHEAD] = (uint8_t)bin16(ahead);
    if (plane > 0) {
        int luma = at(near->base_own, sub), chroma = at(near->other_own, sub);
        int luma_edges = at(near->base_up, sub) + at(near->base_left, sub);
        made->other = ((luma + chroma) << 1) + luma_edges;
        made->bins[SUM_LUMA] = (uint8_t)bin16(luma);
        made->bins[SUM_LUMA_EDGES] = (uint8_t)bin16(luma_edges);
        made->bins[SUM_CHROMA] = (uint8_t)bin16(chroma);
    }
}

/* Of 6, by rank of the band. */
static int group_of(int band)
{
    return (band >= 1) + (band >= 4) + (band >= 12) + (band >= 32) + (band >= 96);
}

/* The tables that the scores of a band's levels come from, for "is it 0?"; those for "larger yet?"
 * stand so far behind. */
typedef struct {
    const int8_t *scores, *places;
} score_tables;

enum {
    LARGER_SCORES = HEQ_DEVICE_CLASSES * HEQ_DEVICE_SUMS * 16,
    LARGER_PLACES = 6 * HEQ_DEVICE_PLACES * 4
};

static score_tables scores_of(const heq_device_tables *tables, int plane, int size, int band)
{
    int kind = (plane << 1) + size, row = times_6(kind) + group_of(band);
    score_tables made;
    made.scores = tables->scores + heq_two_shifts(row, 7, 6); /* SUMS * 16 each */
    made.places = tables->places + (kind << 9) + ((band < 64 ? band : 64 + third[band - 64]) << 2);
    return made;
}

/* Of 16: half a natural logarithm each. */
static inline int score_bin(int score)
{
    return score < -64 ? 0 : score > 63 ? 15 : (score + 64) >> 3;
}

/* The score of a level from bins of sums, as a bin. */
static inline int score_of(const int8_t *scores, int place, const surroundings *around, int plane)
{
    int sum, score = place;
    for (sum = 0; sum < SUM_LUMA; sum++) {
        score += scores[(sum << 4) + around->bins[sum]];
    }
    if (plane > 0) {
        for (; sum < HEQ_DEVICE_SUMS; sum++) {
            score += scores[(sum << 4) + around->bins[sum]];
        }
    }
    return score_bin(score);
}

#endif
