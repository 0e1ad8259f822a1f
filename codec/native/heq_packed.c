#include "heq_packed.h"

#include <stdlib.h>
#include <string.h>

/* `>>` of negative numbers is taken to be arithmetic, as every compiler of Python's has it. */

enum {
    INPUTS = HEQ_PACKED_INPUTS,
    LISTED = HEQ_PACKED_LISTED,
    HIDDEN = HEQ_PACKED_HIDDEN,
    SECOND = HEQ_PACKED_SECOND,
    HEADS = HEQ_PACKED_HEADS,
    MIXED = HEQ_PACKED_MIXED,
    LEVELS = 1024,
    SEGMENTS = 23,
    SIDE = 20, /* 16 frequencies and a border: three below, one above */
    MAP = SIDE * SIDE * 4,
    FLAG_NETS = 48,
    SIGN_MIX = HEQ_PACKED_NETS,
    PLANES = 3,
    BORDERED = HEQ_PACKED_BORDERED,
    DIFFERENCE_LIMIT = 2047,
    LOGIT_LIMIT = 49000
};

/* Sets of corrections; see the contexts in `code_level`, `code_flag` and `code_sign`. */
enum {
    BY_LEVEL = 0,
    BY_LOGIT = BY_LEVEL + PLANES * 2 * LEVELS * 4,
    BY_AROUND = BY_LOGIT + HEQ_PACKED_NETS * 4 * 32,
    BY_RING = BY_AROUND + PLANES * 4 * 512,
    BY_PATCH = BY_RING + PLANES * 2 * 4 * 24 * 4,
    BY_NEIGHBOURS = BY_PATCH + PLANES * 6 * 4 * 16,
    BY_SEGMENT = BY_NEIGHBOURS + PLANES * 6 * 4 * 16,
    BY_AGREEMENT = BY_SEGMENT + PLANES * 2 * 2 * 24,
    BY_SIGNS = BY_AGREEMENT + PLANES * 2 * 9 * 5,
    CORRECTIONS = BY_SIGNS + PLANES * 9 * 3 * 9
};

/* How corrections and mixes learn: 1/1024 of information, and a shift. */
enum {
    PRIOR = 1500,
    SEEN_LIMIT = 60000,
    BIAS_LIMIT = 400000,
    MIX_SHIFT = 19,
    MIX_LIMIT = 1 << 20
};

static const int16_t slice_start[HEQ_PACKED_SLICES + 1] = {0, 1, 16, 64, 160, 384, 1024};
static const uint8_t slice_segment[HEQ_PACKED_SLICES + 1] = {0, 1, 2, 3, 6, 13, 23};
static const int16_t segment_start[SEGMENTS + 1] = {
    0,   1,   16,  64,  96,  128, 160, 192, 224, 256, 288, 320,
    352, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960, 1024};

typedef struct {
    int32_t bias;  /* log odds in 1/65536 */
    uint32_t seen; /* information so far in 1/1024 */
} correction;

/* What is known of a plane of a patch. */
typedef struct {
    uint8_t segments[24];
    uint8_t slices[8];
    int32_t run[2];
    int32_t surprise;
    int32_t agreement[2];
    /* Along the sides left, top, right, bottom of a patch, in frequencies of its size; then along
     * the inner sides of quarters: right of the left ones, bottom of the upper ones, left of the
     * right ones, top of the lower ones. */
    int32_t profiles[8][32];
} summary;

typedef struct {
    const heq_packed_tables *tables;
    int rows, columns, planes, step, decoding;
    int64_t pitch, field; /* patches a row, patches a plane, with a border of one */
    int64_t offsets[PLANES][LISTED];
    uint8_t sub[LISTED];
    uint8_t *map; /* (PLANES, rows + 2, columns + 2, SIDE, SIDE, 4): magnitudes */
    summary *summaries;
    correction *corrections;
    int32_t *mixing;
    uint8_t u[256], v[256], angle[256], ring[256];
    uint32_t low, high, window;
    const uint8_t *in;
    uint8_t *out;
    int64_t at, end;
    heq_packed_samples *samples;
    const uint8_t *sizes; /* of the strip, as far as they are known */
} coder;

static inline int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* ---- binary arithmetic coder ---------------------------------------------------------------- */

static void put_byte(coder *c, uint32_t byte)
{
    if (c->at < c->end) {
        c->out[c->at] = (uint8_t)byte;
    }
    c->at++;
}

static uint32_t get_byte(coder *c)
{
    uint32_t byte = c->at < c->end ? c->in[c->at] : 0;
    c->at++;
    return byte;
}

static void start_code(coder *c)
{
    c->low = 0;
    c->high = 0xFFFFFFFFu;
    c->window = 0;
    for (int i = 0; c->decoding && i < 4; i++) {
        c->window = c->window << 8 | get_byte(c);
    }
}

/* The fewest bytes that, followed by zeros, lie in the interval. */
static void finish_code(coder *c)
{
    int count = c->low ? 1 : 0;
    uint64_t value = 0;
    for (; count; count++) {
        uint64_t unit = (uint64_t)1 << (32 - 8 * count);
        value = (c->low + unit - 1) / unit * unit;
        if (value <= c->high) {
            break;
        }
    }
    for (int i = 0; i < count; i++) {
        put_byte(c, (uint32_t)(value >> (24 - 8 * i)) & 255);
    }
}

/* Code a bit of which `ones` / 65536 is the probability of 1. */
static inline int code_bit(coder *c, int bit, uint32_t ones)
{
    uint32_t middle = c->low + (uint32_t)((uint64_t)(c->high - c->low) * ones >> 16);
    if (c->decoding) {
        bit = c->window <= middle;
    }
    if (bit) {
        c->high = middle;
    } else {
        c->low = middle + 1;
    }
    while ((c->low ^ c->high) < 0x1000000u) {
        if (c->decoding) {
            c->window = c->window << 8 | get_byte(c);
        } else {
            put_byte(c, c->high >> 24);
        }
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
    return bit;
}

/* ---- predictions ---------------------------------------------------------------------------- */

static inline uint32_t squash(const coder *c, int32_t logit)
{
    return c->tables->squash[clamp((logit >> 4) + HEQ_PACKED_SQUASH / 2, 0, HEQ_PACKED_SQUASH - 1)];
}

typedef struct {
    int32_t logit; /* the network's, in 1/4096 */
    int32_t *mix;
    int count;
    correction *given[MIXED - 1];
} prediction;

static inline int decide(coder *c, int bit, const prediction *p)
{
    int32_t inputs[MIXED];
    inputs[0] = p->logit;
    int64_t sum = (int64_t)p->mix[0] * p->logit;
    for (int i = 0; i < p->count; i++) {
        inputs[i + 1] = p->given[i]->bias >> 4;
        sum += (int64_t)p->mix[i + 1] * inputs[i + 1];
    }
    sum >>= 16;
    int32_t logit = sum < -LOGIT_LIMIT ? -LOGIT_LIMIT : sum > LOGIT_LIMIT ? LOGIT_LIMIT : (int)sum;
    uint32_t ones = squash(c, logit);
    bit = code_bit(c, bit, ones);
    int32_t error = (bit << 16) - (int32_t)ones;
    for (int i = 0; i <= p->count; i++) {
        p->mix[i] = clamp(p->mix[i] + (int32_t)((int64_t)error * inputs[i] >> MIX_SHIFT),
                          -MIX_LIMIT, MIX_LIMIT);
    }
    for (int i = 0; i < p->count; i++) {
        correction *given = p->given[i];
        uint32_t own = squash(c, p->logit + inputs[i + 1]);
        int32_t move = ((bit << 16) - (int32_t)own) * 1024 / (int32_t)(given->seen + PRIOR);
        given->bias = clamp(given->bias + move, -BIAS_LIMIT, BIAS_LIMIT);
        uint32_t seen = given->seen + (uint32_t)((uint64_t)own * (65536 - own) >> 22) + 1;
        given->seen = seen > SEEN_LIMIT ? SEEN_LIMIT : seen;
    }
    return bit;
}

/* The layers of a network up to its heads. */
static void run_network(const heq_packed_tables *t, int net, const uint8_t *inputs, int16_t *out)
{
    int32_t sums[HIDDEN];
    int16_t hidden[HIDDEN];
    memcpy(sums, t->first_bias + net * HIDDEN, sizeof sums);
    const int16_t *weights = t->first + (int64_t)net * INPUTS * HIDDEN;
    for (int i = 0; i < INPUTS; i++, weights += HIDDEN) {
        int16_t input = inputs[i];
        for (int j = 0; input && j < HIDDEN; j++) {
            sums[j] += weights[j] * input;
        }
    }
    for (int j = 0; j < HIDDEN; j++) {
        hidden[j] = (int16_t)clamp(sums[j] >> 6, 0, 4095);
    }
    weights = t->second + (int64_t)net * SECOND * HIDDEN;
    for (int i = 0; i < SECOND; i++, weights += HIDDEN) {
        int32_t sum = 0;
        for (int j = 0; j < HIDDEN; j++) {
            sum += weights[j] * hidden[j];
        }
        out[i] = (int16_t)clamp((sum + t->second_bias[net * SECOND + i]) >> 10, 0, 4095);
    }
}

static int32_t run_head(const heq_packed_tables *t, int net, int head, const int16_t *inputs)
{
    const int16_t *weights = t->third + ((int64_t)net * HEADS + head) * SECOND;
    int32_t sum = t->third_bias[net * HEADS + head];
    for (int i = 0; i < SECOND; i++) {
        sum += weights[i] * inputs[i];
    }
    return clamp(sum >> 6, -LOGIT_LIMIT, LOGIT_LIMIT);
}

static void keep_sample(heq_packed_samples *s, const uint8_t *inputs, int net, int value,
                        const int16_t *borders)
{
    if (s && s->inputs && s->count < s->capacity) {
        memcpy(s->inputs + s->count * INPUTS, inputs, INPUTS);
        memcpy(s->borders + s->count * 6, borders, 6 * sizeof *borders);
        s->nets[s->count] = (uint8_t)net;
        s->values[s->count++] = (uint8_t)(value > 255 ? 255 : value);
    }
}

static const int16_t no_border[6] = {0, 0, 0, 0, 0, -1};

static inline int sum_of_four(const uint8_t *values)
{
    return values[0] + values[1] + values[2] + values[3];
}

static inline int coarse(int value)
{
    return value < 4 ? value : value < 6 ? 4 : value < 9 ? 5 : value < 14 ? 6 : 7;
}

/* ---- the parts of a patch ------------------------------------------------------------------- */

/* Where a patch and a plane of it stand. */
typedef struct {
    int row, column, plane, slice, size;
    int64_t place; /* in map and summaries */
} position;

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
    x[n++] = (uint8_t)clamp(own->run[0] >> 1, 0, 255);
    x[n++] = (uint8_t)clamp(own->run[1] >> 3, 0, 255);
    x[n++] = (uint8_t)(at->size * 64);
    x[n++] = (uint8_t)(c->step >> 2);
    x[n++] = (uint8_t)((segment - slice_segment[slice]) * 8);
    x[n++] = (uint8_t)(before * 64);
    x[n++] = (uint8_t)(slice * 32);
    int net = FLAG_NETS + p * 2 + !whole;
    keep_sample(c->samples, x, net, flag, no_border);
    int16_t last[SECOND];
    run_network(c->tables, net, x, last);
    prediction with = {run_head(c->tables, net, 0, last), c->mixing + net * 4 * MIXED, 3, {0}};
    with.given[0] = c->corrections + BY_SEGMENT + ((p * 2 + at->size) * 2 + whole) * 24 + segment;
    correction *by_logit = c->corrections + BY_LOGIT + net * 4 * 32;
    with.given[1] = by_logit + clamp((with.logit >> 11) + 16, 0, 31);
    with.given[2] = by_logit + 32 + clamp((own->surprise >> 12) + 16, 0, 31);
    return decide(c, flag, &with);
}

static inline int sign_of(int value)
{
    return (value > 0) - (value < 0);
}

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
    int means = at->size && !band, row = (at->plane * 2 + at->size) * BORDERED + index;
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

/* A sign, against the one expected from the borders, and against those of the other planes' levels
 * at the same place. */
static int code_sign(coder *c, const position *at, int magnitude, int expected, int first,
                     int second, int sign)
{
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
    with.given[0] = c->corrections + BY_AGREEMENT +
                    ((p * 2 + which) * 9 + clamp(((here + 8) >> 4) + 4, 0, 8)) * 5 +
                    clamp(((there + 16) >> 5) + 2, 0, 4);
    with.given[1] = c->corrections + BY_SIGNS + ((p * 9 + sure) * 3 + strength) * 9 +
                    (guess * first + 1) * 3 + guess * second + 1;
    sign = decide(c, sign != guess, &with) ? -guess : guess;
    if (first) {
        own->agreement[0] += ((sign == first ? 64 : -64) - own->agreement[0]) >> 2;
    }
    if (second) {
        own->agreement[1] += ((sign == second ? 64 : -64) - own->agreement[1]) >> 2;
    }
    return sign;
}

/* What the levels of the patches left and above say of a mean. */
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
    const int16_t *weights = c->tables->dc + at->plane * 4;
    int64_t sum = (int64_t)weights[0] * left + (int64_t)weights[1] * above +
                  (int64_t)weights[2] * corner + (int64_t)weights[3] * far + 2048;
    sum >>= 12;
    return sum < -32767 ? -32767 : sum > 32767 ? 32767 : (int)sum;
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
    int kind = p ? 3 + p * 2 + size : size ? 4 : sub;
    int net = slice ? 3 + (slice - 1) * 9 + kind : p;
    int16_t borders[6] = {0, 0, 0, 0, (int16_t)clamp(value, -255, 255), -1};
    if (index && index < BORDERED) {
        expected = expect_level(c, at, index, around, borders);
    }
    x[LISTED + 8] = (uint8_t)clamp(abs(expected) >> 4, 0, 255);
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
    int near = coarse((x[0] + x[1] + x[2] + x[3] + x[4] + x[5]) >> 3);
    int cross = coarse((first[sub] + second[sub] + (sum_of_four(first) >> 1)) >> 3);
    int environs = (near * 8 + coarse(own->run[0] >> 3)) * 8 + cross;
    int here = clamp((own->surprise >> 12) + 8, 0, 15);
    int there = clamp(((own[-1].surprise + own[-c->pitch].surprise) >> 13) + 8, 0, 15);
    int count = 0; /* decisions so far */
    for (int more = 1; more && count < 22; count++) {
        int rank = count < 3 ? count : 3;
        prediction with = {run_head(t, net, count < 7 ? count : 7, last),
                           c->mixing + (net * 4 + rank) * MIXED, MIXED - 1, {0}};
        correction *all = c->corrections;
        with.given[0] = all + BY_LEVEL + ((p * 2 + size) * LEVELS + index) * 4 + rank;
        with.given[1] = all + BY_LOGIT + (net * 4 + rank) * 32 + clamp((with.logit >> 10) + 24, 0, 31);
        with.given[2] = all + BY_AROUND + (p * 4 + rank) * 512 + environs;
        with.given[3] = all + BY_RING +
                        (((p * 2 + size) * 4 + c->angle[band]) * 24 + c->ring[band]) * 4 + rank;
        with.given[4] = all + BY_PATCH + ((p * 6 + slice) * 4 + rank) * 16 + here;
        with.given[5] = all + BY_NEIGHBOURS + ((p * 6 + slice) * 4 + rank) * 16 + there;
        more = count < 5 ? magnitude > count : magnitude - 4 >= 2 << (count - 5);
        more = decide(c, more, &with);
        if (!count) {
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
            rest = rest << 1 | code_bit(c, (magnitude - 4) >> i & 1, 32768);
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
    if (index < BORDERED && value) {
        add_to_profiles(c, at, index, value);
    }
    int kept = t->magnitude[magnitude > 255 ? 255 : magnitude];
    cell[sub] = (uint8_t)kept;
    own->run[0] += kept - (own->run[0] >> 3);
    own->run[1] += kept - (own->run[1] >> 5);
    return kept;
}

/* Code what a slice holds of a plane of a patch. */
static int code_part(coder *c, const position *at, int16_t *levels)
{
    int first = slice_segment[at->slice], last = slice_segment[at->slice + 1], any = 0, total = 0;
    surroundings around;
    summary *own = c->summaries + at->place;
    if (at->slice >= 2) {
        for (int i = slice_start[at->slice]; !c->decoding && i < slice_start[at->slice + 1]; i++) {
            any |= levels[i] != 0;
        }
        if (!code_flag(c, at, first, 1, 0, any)) {
            return 0;
        }
    }
    if (at->slice && slice_start[at->slice] < BORDERED) {
        look_around(c, at, &around);
    }
    any = 0;
    for (int segment = first; segment < last; segment++) {
        int start = segment_start[segment], stop = segment_start[segment + 1], flag = 1;
        if (last - first > 1 && (any || segment < last - 1)) {
            flag = 0;
            for (int i = start; !c->decoding && i < stop; i++) {
                flag |= levels[i] != 0;
            }
            flag = code_flag(c, at, segment, 0, any, flag);
        }
        if (!flag) {
            own->run[0] = 0;
            own->run[1] >>= (stop - start) / 32;
            continue;
        }
        any = 1;
        int energy = 0, seen = 0;
        for (int i = start; i < stop; i++) {
            int kept = code_level(c, at, i, segment, &around, &seen, levels + i);
            if (kept < 0) {
                return kept;
            }
            energy += kept;
        }
        own->segments[segment] = c->tables->energy[energy > 2047 ? 2047 : energy];
        total += own->segments[segment];
        own->slices[at->slice] =
            (uint8_t)clamp(total >> (last - first > 4 ? 2 : last - first > 1 ? 1 : 0), 0, 255);
    }
    return 0;
}

static int code_slice(coder *c, int slice, int16_t *levels, uint8_t *sizes)
{
    for (int row = 0; row < c->rows; row++) {
        for (int column = 0; column < c->columns; column++) {
            uint8_t *size = sizes + (int64_t)row * c->columns + column;
            if (!slice) {
                int near = (column ? size[-1] : 0) + (row ? size[-c->columns] : 0);
                int32_t logit = c->tables->size[(c->step >> 7) * 3 + near];
                int bit = code_bit(c, *size, squash(c, logit));
                if (c->decoding) {
                    *size = (uint8_t)bit;
                }
            }
            for (int plane = 0; plane < c->planes; plane++) {
                int64_t place = plane * c->field + (row + 1) * c->pitch + column + 1;
                position at = {row, column, plane, slice, *size, place};
                int64_t from = ((int64_t)row * c->columns + column) * c->planes + plane;
                int result = code_part(c, &at, levels + from * LEVELS);
                if (result < 0) {
                    return result;
                }
            }
        }
    }
    return 0;
}

static void order_bands(coder *c)
{
    int band = 0;
    for (int square = 0; band < 256; square++) {
        int ring = band ? c->ring[band - 1] : 0;
        ring += (ring + 1) * (ring + 1) <= square;
        for (int i = 0; i < 256; i++) {
            int u = i >> 4, v = i & 15;
            if (u * u + v * v == square) {
                c->u[band] = (uint8_t)u;
                c->v[band] = (uint8_t)v;
                c->angle[band] = (uint8_t)(v >= 3 * u ? 0 : v > u ? 1 : u < 3 * v ? 2 : 3);
                c->ring[band++] = (uint8_t)ring;
            }
        }
    }
}

static int open_coder(coder *c)
{
    const heq_packed_tables *t = c->tables;
    size_t mixing = sizeof(int32_t) * HEQ_PACKED_MIXES * 4 * MIXED;
    c->pitch = c->columns + 2;
    c->field = (c->rows + 2) * c->pitch;
    for (int p = 0; p < PLANES; p++) {
        for (int i = 0; i < LISTED; i++) {
            const int8_t *from = t->sources + i * 6;
            int64_t plane = (p + (3 - from[0])) % 3 - p;
            int64_t patch = plane * c->field + from[1] * c->pitch + from[2];
            c->offsets[p][i] = patch * MAP + (from[3] * SIDE + from[4]) * 4;
            c->sub[i] = (uint8_t)from[5];
        }
    }
    order_bands(c);
    c->map = calloc((size_t)(PLANES * c->field), MAP);
    c->summaries = calloc((size_t)(PLANES * c->field), sizeof(summary));
    c->corrections = calloc(CORRECTIONS, sizeof(correction));
    c->mixing = malloc(mixing);
    if (!c->map || !c->summaries || !c->corrections || !c->mixing) {
        return HEQ_PACKED_NO_MEMORY;
    }
    memcpy(c->mixing, t->mixing, mixing);
    return 0;
}

static void close_coder(coder *c)
{
    free(c->map);
    free(c->summaries);
    free(c->corrections);
    free(c->mixing);
}

int64_t heq_packed_encode(const int16_t *levels, const uint8_t *sizes, int rows, int columns,
                          int planes, int step, const heq_packed_tables *tables, uint8_t *out,
                          int64_t capacity, int64_t *ends, heq_packed_samples *samples)
{
    coder c = {.tables = tables, .rows = rows, .columns = columns, .planes = planes, .step = step,
               .out = out, .end = capacity, .samples = samples,
               .sizes = sizes};
    int64_t result = open_coder(&c);
    for (int slice = 0; slice < HEQ_PACKED_SLICES && result >= 0; slice++) {
        start_code(&c);
        /* Not written to while encoding. */
        result = code_slice(&c, slice, (int16_t *)levels, (uint8_t *)sizes);
        finish_code(&c);
        ends[slice] = c.at;
    }
    if (samples && samples->mixing && result >= 0) {
        memcpy(samples->mixing, c.mixing, sizeof(int32_t) * HEQ_PACKED_MIXES * 4 * MIXED);
    }
    close_coder(&c);
    return result < 0 ? result : c.at;
}

int64_t heq_packed_decode(const uint8_t *code, const int64_t *ends, int slices, int rows,
                          int columns, int planes, int step, const heq_packed_tables *tables,
                          int16_t *levels, uint8_t *sizes)
{
    coder c = {.tables = tables, .rows = rows, .columns = columns, .planes = planes, .step = step,
               .decoding = 1, .in = code, .sizes = sizes};
    int64_t count = (int64_t)rows * columns;
    memset(levels, 0, (size_t)(count * planes * LEVELS) * sizeof *levels);
    memset(sizes, 0, (size_t)count);
    int64_t result = open_coder(&c);
    for (int slice = 0; slice < slices && result >= 0; slice++) {
        c.at = slice ? ends[slice - 1] : 0;
        c.end = ends[slice];
        start_code(&c);
        result = code_slice(&c, slice, levels, sizes);
    }
    close_coder(&c);
    return result < 0 ? result : 0;
}
