/* What the borders of the patches around say of a level. */
#ifndef HEQ_PACKED_BORDERS_H
#define HEQ_PACKED_BORDERS_H

#include <string.h>
#include "heq_packed_state.h"

/* Where a level shows on the borders of its patch or quarter. */
typedef struct {
    int own[4], other[4]; /* profiles of the four sides; other[i] < 0: the neighbour's */
    int along[4];         /* frequency along the side */
    int32_t edge[4];      /* what a level of 1 adds to the own profile */
} outline;

static outline level_outline(const coder *c, int size, int band, int sub)
{
    int u = c->u[band], v = c->v[band], row = sub >> 1, column = sub & 1;
    const int16_t *edge = c->tables->edge + size * 32;
    if (!size) {
        u = 2 * u + row;
        v = 2 * v + column;
        return (outline){{0, 1, 2, 3}, {-1, -1, -1, -1}, {u, v, u, v},
                         {edge[v], edge[u], v & 1 ? -edge[v] : edge[v], u & 1 ? -edge[u] : edge[u]}};
    }
    outline o = {{0, 1, 2, 3}, {-1, -1, -1, -1},
                 {16 * row + u, 16 * column + v, 16 * row + u, 16 * column + v},
                 {edge[v], edge[u], v & 1 ? -edge[v] : edge[v], u & 1 ? -edge[u] : edge[u]}};
    int left = column ? 0 : 2, top = row ? 1 : 3; /* which of the sides are inner ones */
    o.own[left] = column ? 6 : 4;
    o.other[left] = column ? 4 : 6;
    o.own[top] = row ? 7 : 5;
    o.other[top] = row ? 5 : 7;
    return o;
}

static void add_to_profiles(coder *c, const position *at, int index, int value)
{
    int32_t (*profiles)[32] = c->summaries[at->place].profiles;
    int band = index >> 2, sub = index & 3;
    if (band || !at->size) {
        outline o = level_outline(c, at->size, band, sub);
        for (int i = 0; i < 4; i++) {
            profiles[o.own[i]][o.along[i]] += value * o.edge[i];
        }
        return;
    }
    for (int quarter = 0; quarter < 4; quarter++) { /* the means of quarters are combined */
        outline o = level_outline(c, 1, 0, quarter);
        int minus = (sub & quarter & 1) ^ ((sub & quarter) >> 1);
        for (int i = 0; i < 4; i++) {
            profiles[o.own[i]][o.along[i]] += ((minus ? -value : value) * o.edge[i]) >> 1;
        }
    }
}

/* The neighbours' profiles along the sides of a patch, in its frequencies. */
typedef struct {
    int known[4];
    int32_t profiles[4][32];
} surroundings;

static void look_around(const coder *c, const position *at, surroundings *around)
{
    const int64_t steps[4] = {-1, -c->pitch, 1, c->pitch};
    const int edges[4] = {at->column > 0, at->row > 0, at->column + 1 < c->columns,
                          at->row + 1 < c->rows};
    const uint8_t *sizes = c->sizes + (int64_t)at->row * c->columns + at->column;
    const int64_t patches[4] = {-1, -c->columns, 1, c->columns};
    for (int i = 0; i < 4; i++) {
        around->known[i] = edges[i];
        if (!edges[i]) {
            continue;
        }
        const int32_t *from = c->summaries[at->place + steps[i]].profiles[i ^ 2];
        int32_t *to = around->profiles[i];
        int size = sizes[patches[i]];
        if (size == at->size) {
            memcpy(to, from, sizeof around->profiles[i]);
            continue;
        }
        const int16_t *halves = c->tables->halves;
        for (int j = 0; j < 32; j++) {
            int64_t sum = 2048;
            for (int k = 0; k < 32; k++) {
                sum += (int64_t)from[k] * (at->size ? halves[j * 32 + k] : halves[k * 32 + j]);
            }
            to[j] = (int32_t)(sum >> 12);
        }
    }
}

/* What the borders say of a level, in 1/256: the four differences, and the sum of their weights. */
static int expect_level(const coder *c, const position *at, int index,
                        const surroundings *around, int16_t *borders)
{
    const int32_t (*own)[32] = (const int32_t (*)[32])c->summaries[at->place].profiles;
    int band = index >> 2, sub = index & 3;
    int means = at->size && !band, row = (at->plane * 2 + at->size) * LEVELS + index;
    outline o = level_outline(c, at->size, band, means ? 0 : sub);
    int64_t sum = 2048;
    for (int i = 0; i < 4; i++) {
        int64_t difference = 0;
        int side = means ? i : o.own[i], along = o.along[i];
        if (o.other[i] >= 0 && !means) {
            difference = (int64_t)own[o.other[i]][along] - own[side][along];
        } else if (around->known[i]) {
            along = means ? 0 : along;
            difference = (int64_t)around->profiles[i][along] - own[side][along];
            if (means) { /* sub 1 is left - right, 2 top - bottom, 3 both */
                int64_t other = (int64_t)around->profiles[i][16] - own[side][16];
                difference += sub == 2 - (i & 1) || sub == 3 ? -other : other;
            }
        }
        borders[i] = (int16_t)(difference < -DIFFERENCE_LIMIT  ? -DIFFERENCE_LIMIT
                               : difference > DIFFERENCE_LIMIT ? DIFFERENCE_LIMIT
                                                               : difference);
        sum += (int64_t)c->tables->border[row * 4 + i] * borders[i];
    }
    borders[5] = (int16_t)row;
    return (int)(sum >> 12);
}

#endif
