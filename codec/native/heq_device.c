#include "heq_device.h"

#include <string.h>

#include "heq_device_around.h"
#include "heq_device_borders.h"
#include "heq_device_levels.h"

#define LOW_LEVELS 32 /* of a plane, group 0 */

/* Level 0 of a plane, as the difference from what is expected. Returns the difference. */
static int code_dc(heq_device_strip *strip, int plane, int level, const dc_around *around,
                   int first_plane)
{
    const uint8_t *left = magnitudes_of(strip, plane);
    int difference = level - around->predicted, size = magnitude_of(difference);
    int energy = left[1] + left[2] + left[3] + left[4] + left[8] + around->gradient;
    int base, coded = 0;
    if (plane > 0) {
        energy += first_plane < 0 ? -first_plane - first_plane : first_plane + first_plane;
    }
    base = times_6(plane) + bin6(energy >> 1);
    base = AT_DC + (base << 4) - base;
    while (coded < UNARY && decide_one(strip, base + coded, size > coded)) {
        coded++;
    }
    if (coded == UNARY) {
        coded += code_escape(strip, AT_DC_ESCAPE + (plane << 4), size - UNARY);
    }
    if (coded > 0) {
        int context = AT_DC_SIGN + times_9(plane) + times_3(signs_of(strip, plane)[1] + 1) +
                      (plane > 0 ? sign_of(first_plane) + 1 : 1);
        if (!decide_one(strip, context, difference > 0)) {
            coded = -coded;
        }
    }
    return coded;
}

/* How many levels that are not 0 the groups from the next one on have: of the left patch in this
 * plane, and of this patch in planes before. */
typedef struct {
    int left, first;
} group_counts;

static group_counts count_groups(const heq_device_strip *strip, int plane)
{
    group_counts counts = {0, 0};
    int group;
    for (group = 0; group < HEQ_DEVICE_GROUPS; group++) {
        counts.left += strip->count[plane][group];
        counts.first += plane > 0 ? strip->count[0][group] : 0;
        counts.first += plane > 1 ? strip->count[1][group] : 0;
    }
    return counts;
}

/* Is any level of this or a later group not 0? */
static int code_more(heq_device_strip *strip, int plane, int size, int group, int before,
                     group_counts counts, int bit)
{
    int contexts[3];
    contexts[0] = AT_MORE + (((plane << 1) + size) << 5) + group;
    contexts[1] = AT_MORE_BEFORE + times_6(times_10(plane) + bin10(before)) + bin6(counts.left);
    contexts[2] = AT_MORE_FIRST + times_7(times_10(plane > 0) + bin10(counts.left)) +
                  bin7(counts.first);
    return decide(strip, SET_MORE + (plane << 3) + (group >> 2), 3, contexts, FAST, bit);
}

/* Where the contexts of a band's levels begin, and what they have in common. */
typedef struct {
    int kind;  /* luma or chroma, by size */
    int score; /* of both kinds of scores: those of the kind and group */
    int set;   /* of weights */
    int both, other, first;
    score_tables tables;
} band_contexts;

static band_contexts contexts_of(const heq_device_strip *strip, int plane, int size, int band)
{
    int area = zone(band), kind = ((plane > 0) << 1) + size;
    band_contexts made;
    made.kind = kind;
    made.score = (times_6(kind) + group_of(band)) << 4;
    made.set = SET_ZERO + ((times_18((plane << 1) + size) + area) << 2);
    made.both = AT_ZERO_BOTH + times_10(times_10(kind));
    made.other = AT_ZERO_OTHER + (times_6(times_9(plane) + (area >> 1)) << 2);
    made.first = AT_ZERO_FIRST + (times_6(kind) << 4);
    made.tables = scores_of(strip->tables, plane, size, band);
    return made;
}

/* The contexts of "is a level not 0?" where nothing around it is. */
static void quiet_contexts(const band_contexts *band, int sub, int *contexts)
{
    int score = score_bin(band->tables.places[sub]);
    contexts[0] = AT_ZERO_SCORE + band->score + score;
    contexts[1] = band->both;
    contexts[2] = band->other;
    contexts[3] = band->first + score;
}

/* And in general. Returns the set of weights. */
static int zero_contexts(const band_contexts *band, const surroundings *around, int plane,
                         int sub, int *contexts)
{
    int both = bin4(around->near + around->same), other = bin6(around->other);
    int score = score_of(band->tables.scores, band->tables.places[sub], around, plane);
    contexts[0] = AT_ZERO_SCORE + band->score + score;
    contexts[1] = band->both + times_10(bin10(around->near)) + bin10(around->same);
    contexts[2] = band->other + (other << 2) + both;
    contexts[3] = band->first + (other << 4) + score;
    return band->set + both;
}

/* A magnitude of 1 or more. */
static int code_larger(heq_device_strip *strip, const band_contexts *band,
                       const surroundings *around, int plane, int sub, int value)
{
    int near = bin10(around->near >> 1), same = bin10(around->same >> 1);
    int half = (around->near + around->same) >> 1, other = bin6(around->other >> 1);
    int both = bin10(half), set = SET_LARGER + bin4(half), contexts[3], coded;
    int score = score_of(band->tables.scores + LARGER_SCORES,
                         band->tables.places[LARGER_PLACES + sub], around, plane);
    for (coded = 1; coded < UNARY; coded++) {
        int level = coded < 4 ? coded - 1 : coded < 8 ? 3 : 4;
        contexts[0] = AT_LARGER_SCORE + (times_3(level) << 7) + band->score + score;
        contexts[1] = AT_LARGER_BOTH + times_10(times_10(level) + near) + same;
        contexts[2] = AT_LARGER_OTHER + times_6(times_10(level) + both) + other;
        if (!decide(strip, set + ((times_3(level) + plane) << 2), 3, contexts, FAST,
                    value > coded)) {
            return coded;
        }
    }
    return UNARY + code_escape(strip, AT_ESCAPE, value - UNARY);
}

/* Is a level of a known magnitude positive? By its place among the lowest bands, and in plane 0 by
 * the borders. */
static int code_sign(heq_device_strip *strip, int plane, int size, int index, int magnitude,
                     int bit)
{
    const int8_t *sign = signs_of(strip, plane);
    int band = index >> 2, sub = index & 3;
    /* The means of quarters have no border of their own. */
    int border = plane == 0 && band < BORDER_BANDS && (size == 0 || band > 0);
    int across, along, row, contexts[2];
    if (border) {
        int area = band < SIGNED_BANDS ? 0 : band < 24 ? 1 : 2;
        int bin = gap_bin(border_gap(strip, size, band, sub));
        if (band >= SIGNED_BANDS && bin == NO_GAP) {
            return code_bit(strip, 0, bit);
        }
        area = times_3(area) + (magnitude < 3 ? magnitude - 1 : 2);
        contexts[1] = AT_SIGN_BORDER + heq_two_shifts(area, 4, 0) + bin;
    }
    if (band >= SIGNED_BANDS) {
        return border ? decide(strip, SET_ONE, 1, contexts + 1, SLOW, bit)
                      : code_bit(strip, 0, bit);
    }
    across = 1 + (size == 0 ? sign[index] : sub & 1 ? sign[index - 1] : sign[index + 1]);
    along = 1 + (size == 0 ? sign[0] : sub & 2 ? sign[index - 2] : 0);
    row = times_3(((plane > 0) << 1) + size) + band; /* SIGNED_BANDS a colour and size */
    contexts[0] = AT_SIGN + times_3(times_3((row << 2) + sub) + across) + along;
    if (border) {
        return decide(strip, SET_BORDER + times_3(size) + band, 2, contexts, FAST, bit);
    }
    row = times_3(plane) + band;
    contexts[1] = AT_SIGN_LUMA + times_3(times_3(row) + across) +
                  (plane > 0 ? signs_of(strip, 0)[index] + 1 : 1);
    return decide(strip, SET_SIGN + row, 2, contexts, FAST, bit);
}

/* Keep what later levels are expected from. Returns the magnitude as it is kept. */
static inline int keep_level(heq_device_strip *strip, int plane, int size, int band, int sub,
                             int level, int *means)
{
    int value = level < 0 ? -level : level, kept = value < 255 ? value : 255;
    magnitudes_of(strip, plane)[(band << 2) + sub] = (uint8_t)kept;
    if (band < SIGNED_BANDS) {
        signs_of(strip, plane)[(band << 2) + sub] = (int8_t)sign_of(level);
    }
    if (plane == 0 && level != 0) {
        int limited = value < SIDE_LEVEL ? value : SIDE_LEVEL;
        limited = level < 0 ? -limited : limited;
        if (band == 0 && size != 0) {
            means[sub] = limited;
        } else {
            add_level(strip, size, band, sub, limited);
        }
    }
    return kept;
}

static void code_band(heq_device_strip *strip, int plane, int size, int band,
                      const plane_levels *levels, int *before, int *count)
{
    uint8_t *own = magnitudes_of(strip, plane) + (band << 2);
    band_neighbours near = neighbours_of(strip, plane, band);
    band_contexts places = contexts_of(strip, plane, size, band);
    int contexts[HEQ_DEVICE_INPUTS];
    int done = 0; /* sum of the levels of this band so far */
    int ahead = sum_of(bands_of(strip, plane) + band); /* of those to come, of the left patch */
    int means[4] = {0, 0, 0, 0};
    int quiet = is_quiet(&near, bands_of(strip, plane)[band], plane), sub;
    surroundings around;
    begin_surroundings(&around, &near);
    for (sub = band == 0; sub < 4; sub++) {
        int index = (band << 2) + sub;
        int level = DECODING(strip) ? 0 : level_of(levels, size, band, sub);
        int value = level < 0 ? -level : level;
        int set = places.set;
        ahead -= own[sub];
        if (!quiet || done > 0) {
            surround(&around, &near, own, plane, sub, done, ahead);
            set = zero_contexts(&places, &around, plane, sub, contexts);
        } else {
            quiet_contexts(&places, sub, contexts);
        }
        TRACE_SCORE(strip, places.tables.places + sub, around.bins);
        if (!decide(strip, set, 4, contexts, SLOW, value > 0)) {
            own[sub] = 0;
            if (band < SIGNED_BANDS) {
                signs_of(strip, plane)[index] = 0;
            }
            continue;
        }
        value = code_larger(strip, &places, &around, plane, sub, value);
        level = code_sign(strip, plane, size, index, value, level > 0) ? value : -value;
        if (value > 32767) {
            strip->failed = 1;
            value = level = 0;
        }
        set_level(strip, levels, index, level);
        done += keep_level(strip, plane, size, band, sub, level, means);
        *count += value > 0;
    }
    if (plane == 0 && band == 0 && size != 0) {
        add_means(strip, means);
    }
    TRACE_SCORE(strip, NULL, NULL);
    *before += done;
}

/* The same for a band whose levels are known: nothing is coded. */
static void keep_band(heq_device_strip *strip, int plane, int size, int band,
                      const plane_levels *levels, int *before, int *count)
{
    int means[4] = {0, 0, 0, 0}, sub;
    for (sub = band == 0; sub < 4; sub++) {
        int level = level_of(levels, size, band, sub);
        *before += keep_level(strip, plane, size, band, sub, level, means);
        *count += level != 0;
    }
    if (plane == 0 && band == 0 && size != 0) {
        add_means(strip, means);
    }
}

/* Is any level of group 0 but the first not 0? */
static int any_low_level(const plane_levels *levels, int size)
{
    int index, any = 0;
    for (index = 1; index < LOW_LEVELS; index++) {
        any |= level_of(levels, size, index >> 2, index & 3);
    }
    return any != 0;
}

static void code_plane(heq_device_strip *strip, int plane, int size,
                       const plane_levels *levels, int *first_plane)
{
    int band = 0, last = DECODING(strip) ? 0 : last_of(levels), before = 0, group;
    int known = strip->part == HEQ_DEVICE_HIGH; /* level 0 and group 0 */
    int groups = strip->part == HEQ_DEVICE_LOW ? 1 : HEQ_DEVICE_GROUPS;
    int wanted = DECODING(strip) && !known ? 0 : level_of(levels, size, 0, 0);
    dc_around around = predict_dc(strip, plane);
    int difference = known ? wanted - around.predicted
                           : code_dc(strip, plane, wanted, &around, *first_plane);
    int level = around.predicted + difference;
    uint8_t *magnitudes = magnitudes_of(strip, plane);
    int8_t *signs = signs_of(strip, plane);
    group_counts counts = count_groups(strip, plane);
    if (level > 32767 || level < -32767) {
        strip->failed = 1;
        level = 0;
    }
    if (!known) {
        clear_levels(strip, levels);
        set_level(strip, levels, 0, level);
    }
    if (last >= LOW_LEVELS && groups == 1) {
        last = any_low_level(levels, size);
    }
    if (plane == 0) {
        *first_plane = difference;
        begin_borders(strip, size, level);
    }
    keep_dc(strip, plane, level);
    magnitudes[0] = 0;
    signs[0] = (int8_t)sign_of(difference);
    for (group = 0; group < groups; group++) {
        int more = last > 0 && (last >> 5) >= group;
        int end = band + 8, sum = 0, count = 0;
        if (known && group == 0) {
            for (; band < end; band++) {
                keep_band(strip, plane, size, band, levels, &sum, &count);
            }
        } else if (!code_more(strip, plane, size, group, before, counts, more)) {
            break;
        }
        for (; band < end; band++) {
            code_band(strip, plane, size, band, levels, &sum, &count);
        }
        counts.left -= strip->count[plane][group];
        counts.first -= plane > 0 ? strip->count[0][group] : 0;
        counts.first -= plane > 1 ? strip->count[1][group] : 0;
        strip->count[plane][group] = (uint8_t)count;
        before = sum;
    }
    if (group < groups) {
        size_t from = group > 0 ? (size_t)band << 2 : 1;
        memset(magnitudes + from, 0, HEQ_DEVICE_LEVELS - from);
        memset(strip->count[plane] + group, 0, (size_t)(HEQ_DEVICE_GROUPS - group));
        if (group == 0) {
            memset(signs + 1, 0, HEQ_DEVICE_SIGNED - 1);
        }
    }
    if (plane == 0) {
        end_borders(strip, size);
    }
}

static void code_patch(heq_device_strip *strip, heq_device_levels *levels, int *size, int first)
{
    int plane, first_plane = 0;
    if (strip->part != HEQ_DEVICE_HIGH) {
        *size = decide_one(strip, AT_SIZE + strip->size, *size);
    }
    strip->size = (uint8_t)*size;
    if (first) {
        strip->rows = (uint8_t)(strip->rows < 2 ? strip->rows + 1 : 2);
        strip->column = 0;
    } else if (strip->column < HEQ_DEVICE_COLUMNS) {
        strip->column++;
    }
    for (plane = 0; plane < strip->planes; plane++) {
        plane_levels own = plane_levels_of(levels, plane);
        code_plane(strip, plane, *size, &own, &first_plane);
    }
}

static void begin(heq_device_strip *strip, const heq_device_tables *tables, int planes, int step)
{
    int after = step < 320 ? 0 : step > 831 ? 511 : step - 320;
    const int8_t *lower = tables->start, *upper;
    int part = (after & 127) >> 4, knot, context;
    memset(strip, 0, sizeof *strip);
    strip->tables = tables;
    strip->planes = (uint8_t)planes;
    strip->range = RANGE_START;
    for (knot = after >> 7; knot > 0; knot--) {
        lower += CONTEXTS;
        HEQ_HIDE(lower);
    }
    upper = lower + CONTEXTS;
    for (context = 0; context < CONTEXTS; context++) {
        int odds = (product(8 - part, lower[context]) + product(part, upper[context]) + 4) >> 3;
        strip->state[context] = tables->squash[odds + 128];
    }
}

HEQ_INTERNAL void heq_device_begin_encode(heq_device_strip *strip, const heq_device_tables *tables,
                                          int planes, int step, uint8_t *bytes, size_t room)
{
    begin(strip, tables, planes, step);
    strip->out = bytes;
    strip->room = room;
    strip->cache = -1;
}

HEQ_INTERNAL void heq_device_encode_patch(heq_device_strip *strip, const heq_device_levels *levels,
                                          int size, int first)
{
    /* Nothing is written to the levels while encoding. */
    code_patch(strip, (heq_device_levels *)levels, &size, first);
}

HEQ_INTERNAL size_t heq_device_end_encode(heq_device_strip *strip)
{
    /* The number in the last interval with the most zeros at its end; 8 bits hold what is left. */
    strip->low = (strip->low + 0x7FFF) & ~(uint32_t)0x7FFF;
    shift_out(strip, 8 - strip->bits);
    if (strip->cache >= 0) {
        store(strip, strip->cache);
    }
    for (; strip->run > 0; strip->run--) {
        store(strip, 0xFF);
    }
    return strip->place - strip->ahead; /* zeros at the end are left out */
}

#ifndef HEQ_ENCODE_ONLY
void heq_device_begin_decode(heq_device_strip *strip, const heq_device_tables *tables, int planes,
                             int step, const uint8_t *bytes, size_t length)
{
    begin(strip, tables, planes, step);
    strip->decoding = 1;
    strip->in = bytes;
    strip->room = length;
    shift_in(strip, WINDOW);
    if (strip->low >= strip->range) {
        strip->failed = 1;
        strip->low = 0;
    }
}

void heq_device_decode_patch(heq_device_strip *strip, int16_t *levels, int *size, int first)
{
    *size = strip->part == HEQ_DEVICE_HIGH ? *size : 0;
    code_patch(strip, levels, size, first);
}

int heq_device_end_decode(heq_device_strip *strip)
{
    /* How many bytes the encoder had before it left out zeros at the end. */
    size_t most = strip->place - 2 - (size_t)((strip->bits + 7) >> 3) + 1;
    if (strip->failed || strip->room > most) {
        return -1;
    }
    return strip->room > 0 && strip->in[strip->room - 1] == 0 ? -1 : 0;
}
#endif
