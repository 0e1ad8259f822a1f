#include "heq_device.h"

#include <string.h>

#include "heq_device_contexts.h"

/* Level 0 of a plane, as the difference from the left patch's. Returns the difference. */
static int code_dc(heq_device_strip *strip, int plane, int level, int first_plane)
{
    const uint8_t *left = magnitudes_of(strip, plane);
    int difference = level - strip->dc[plane];
    int size = difference < 0 ? -difference : difference;
    int energy = left[1] + left[2] + left[3] + left[4] + left[8];
    int base, coded = 0;
    if (plane > 0) {
        energy += first_plane < 0 ? -first_plane - first_plane : first_plane + first_plane;
    }
    base = times_6(plane) + bin6(energy >> 1);
    base = AT_DC + (base << 4) - base;
    while (coded < UNARY) {
        int context = base + coded;
        if (!decide(strip, SET_ONE, 1, &context, FAST, size > coded)) {
            break;
        }
        coded++;
    }
    if (coded == UNARY) {
        coded += code_escape(strip, AT_DC_ESCAPE + (plane << 4), size - UNARY);
    }
    if (coded > 0) {
        int context = AT_DC_SIGN + times_9(plane) + times_3(signs_of(strip, plane)[1] + 1) +
                      (plane > 0 ? sign_of(first_plane) + 1 : 1);
        if (!decide(strip, SET_ONE, 1, &context, FAST, difference > 0)) {
            coded = -coded;
        }
    }
    return coded;
}

/* Is any level of this or a later group not 0? */
static int code_more(heq_device_strip *strip, int plane, int size, int group, int before, int bit)
{
    int left = 0, first = 0, colour = plane > 0, contexts[3], other;
    for (other = group; other < HEQ_DEVICE_GROUPS; other++) {
        left += strip->count[plane][other];
        if (plane > 0) {
            first += strip->count[0][other];
        }
        if (plane > 1) {
            first += strip->count[1][other];
        }
    }
    contexts[0] = AT_MORE + (((plane << 1) + size) << 5) + group;
    contexts[1] = AT_MORE_BEFORE + times_6(times_10(plane) + bin10(before)) + bin6(left);
    contexts[2] = AT_MORE_FIRST + times_7(times_10(colour) + bin10(left)) + bin7(first);
    return decide(strip, SET_MORE + (plane << 3) + (group >> 2), 3, contexts, FAST, bit);
}

static int code_magnitude(heq_device_strip *strip, const surroundings *around, int plane, int size,
                          int band, int value)
{
    int near = bin10(around->near), same = bin10(around->same);
    int area = zone(band), kind = (plane << 1) + size, merged = ((plane > 0) << 1) + size;
    int row = times_18(merged) + area, both = around->near + around->same;
    int lower = times_7((plane > 0 ? 7 : 0) + bin7(around->lower)) + bin7(around->close);
    int contexts[HEQ_DEVICE_INPUTS], coded;
    contexts[0] = AT_ZERO + times_10(row) + near;
    contexts[1] = AT_ZERO_SAME + times_10(row) + same;
    contexts[2] = AT_ZERO_BOTH + times_10(times_10(merged) + near) + same;
    contexts[3] = AT_ZERO_OTHER +
                  ((times_6(times_9(plane) + (area >> 1)) + bin6(around->other)) << 2) + bin4(both);
    contexts[4] = AT_ZERO_BAND + (plane << 7) + (band < 64 ? band : 64 + third[band - 64]);
    contexts[5] = AT_ZERO_LOWER + times_7(lower) + bin7(around->rest);
    if (!decide(strip, SET_ZERO + times_18(kind) + area, 6, contexts, SLOW, value > 0)) {
        return 0;
    }
    near = bin10(around->near >> 1);
    same = bin10(around->same >> 1);
    for (coded = 1; coded < UNARY; coded++) {
        int level = coded < 4 ? coded - 1 : coded < 8 ? 3 : 4;
        contexts[0] = AT_LARGER + times_5(row) + level;
        contexts[1] = AT_LARGER_BOTH + times_10(times_10(level) + near) + same;
        contexts[2] = AT_LARGER_OTHER + times_6(times_10(level) + bin10(both >> 1)) +
                      bin6(around->other >> 1);
        if (!decide(strip, SET_LARGER + times_3(level) + plane, 3, contexts, FAST, value > coded)) {
            return coded;
        }
    }
    return UNARY + code_escape(strip, AT_ESCAPE, value - UNARY);
}

/* Is a level positive? By context in the lowest bands. */
static int code_sign(heq_device_strip *strip, int plane, int size, int index, int bit)
{
    const int8_t *sign = signs_of(strip, plane);
    int band = index >> 2, sub = index & 3;
    int across, along, row, contexts[2];
    if (band >= SIGNED_BANDS) {
        return code_bit(strip, 0, bit);
    }
    across = 1 + (size == 0 ? sign[index] : sub & 1 ? sign[index - 1] : sign[index + 1]);
    along = 1 + (size == 0 ? sign[0] : sub & 2 ? sign[index - 2] : 0);
    row = times_3(((plane > 0) << 1) + size) + band; /* SIGNED_BANDS a colour and size */
    contexts[0] = AT_SIGN + times_3(times_3((row << 2) + sub) + across) + along;
    row = times_3(plane) + band;
    contexts[1] = AT_SIGN_LUMA + times_3(times_3(row) + across) +
                  (plane > 0 ? signs_of(strip, 0)[index] + 1 : 1);
    return decide(strip, SET_SIGN + row, 2, contexts, FAST, bit);
}

static void code_band(heq_device_strip *strip, int plane, int size, int band, int16_t *levels,
                      int *before, int *count)
{
    uint8_t *magnitudes = magnitudes_of(strip, plane);
    uint8_t *own = magnitudes + (band << 2);
    const uint8_t *base = magnitudes_of(strip, 0);
    int u = band_frequency[band] >> 4, v = band_frequency[band] & 15;
    int place = times_18(u + 1) + v + 1;
    const uint8_t *up = levels_at(magnitudes, place, -1, 0);
    const uint8_t *left = levels_at(magnitudes, place, 0, -1);
    const uint8_t *up_left = levels_at(magnitudes, place, -1, -1);
    const uint8_t *up_right = levels_at(magnitudes, place, -1, 1);
    const uint8_t *down_left = levels_at(magnitudes, place, 1, -1);
    const uint8_t *down = levels_at(magnitudes, place, 1, 0);
    const uint8_t *right = levels_at(magnitudes, place, 0, 1);
    const uint8_t *up_up = u > 1 ? levels_at(magnitudes, place - 18, -1, 0) : magnitudes + 1024;
    const uint8_t *left_left = v > 1 ? levels_at(magnitudes, place, 0, -2) : magnitudes + 1024;
    const uint8_t *base_up = levels_at(base, place, -1, 0);
    const uint8_t *base_left = levels_at(base, place, 0, -1);
    int lower = up[0] + up[1] + up[2] + up[3] + left[0] + left[1] + left[2] + left[3];
    int done = 0; /* sum of the levels of this band so far */
    int sub;
    for (sub = band == 0; sub < 4; sub++) {
        int index = (band << 2) + sub;
        int level = DECODING(strip) ? 0 : levels[index];
        int beside = sub & 1 ? own[sub - 1] : own[sub + 1];
        int above = sub & 2 ? own[sub - 2] : 0;
        int higher = down[sub] + right[sub];
        int edges = up[sub] + left[sub];
        int value;
        surroundings around;
        around.near = edges + edges + up_left[sub] + up_up[sub] + left_left[sub] + up_right[sub] +
                      down_left[sub];
        around.same = ((beside + above) << 1) + done + own[sub] + own[sub ^ 1];
        around.other = higher;
        if (plane > 0) {
            int same = base[index] + (plane > 1 ? magnitudes_of(strip, 1)[index] : 0);
            around.other = same + same + base_up[sub] + base_left[sub];
        }
        around.lower = lower;
        around.close = edges << 1;
        around.rest = (done << 1) + higher;
        value = code_magnitude(strip, &around, plane, size, band, level < 0 ? -level : level);
        if (value > 0 && !code_sign(strip, plane, size, index, level > 0)) {
            level = -value;
        } else {
            level = value;
        }
        if (value > 32767) {
            strip->failed = 1;
            value = level = 0;
        }
#ifndef HEQ_ENCODE_ONLY
        if (strip->decoding) {
            levels[index] = (int16_t)level;
        }
#endif
        own[sub] = (uint8_t)(value < 255 ? value : 255);
        if (band < SIGNED_BANDS) {
            signs_of(strip, plane)[index] = (int8_t)sign_of(level);
        }
        done += own[sub];
        *before += own[sub];
        *count += value > 0;
    }
}

static void code_plane(heq_device_strip *strip, int plane, int size, int first, int16_t *levels,
                       int *first_plane)
{
    int band = 0, last = 0, before = 0, group;
    int difference = code_dc(strip, plane, DECODING(strip) ? 0 : levels[0], *first_plane);
    int32_t level = strip->dc[plane] + difference;
    uint8_t *magnitudes;
    int8_t *signs;
    if (level > 32767 || level < -32767) {
        strip->failed = 1;
        level = 0;
    }
#ifndef HEQ_ENCODE_ONLY
    if (strip->decoding) {
        levels[0] = (int16_t)level;
    }
#endif
    strip->dc[plane] = level;
    if (first) {
        strip->dc_first[plane] = level;
    }
    if (plane == 0) {
        *first_plane = difference;
    }
    magnitudes = magnitudes_of(strip, plane);
    signs = signs_of(strip, plane);
    magnitudes[0] = 0;
    signs[0] = (int8_t)sign_of(difference);
    if (!DECODING(strip)) {
        for (last = HEQ_DEVICE_LEVELS - 1; last > 0 && levels[last] == 0; last--) {
        }
    }
    for (group = 0; group < HEQ_DEVICE_GROUPS; group++) {
        int more = last > 0 && (last >> 5) >= group;
        int end = band + 8, sum = 0, count = 0;
        if (!code_more(strip, plane, size, group, before, more)) {
            break;
        }
        for (; band < end; band++) {
            code_band(strip, plane, size, band, levels, &sum, &count);
        }
        strip->count[plane][group] = (uint8_t)count;
        before = sum;
    }
    if (group < HEQ_DEVICE_GROUPS) {
        size_t from = group > 0 ? (size_t)band << 2 : 1;
        memset(magnitudes + from, 0, HEQ_DEVICE_LEVELS - from);
        memset(strip->count[plane] + group, 0, (size_t)(HEQ_DEVICE_GROUPS - group));
        if (group == 0) {
            memset(signs + 1, 0, HEQ_DEVICE_SIGNED - 1);
        }
#ifndef HEQ_ENCODE_ONLY
        if (strip->decoding) {
            memset(levels + from, 0, (HEQ_DEVICE_LEVELS - from) * sizeof *levels);
        }
#endif
    }
}

static void code_patch(heq_device_strip *strip, int16_t *levels, int *size, int first)
{
    int plane, first_plane = 0, context = AT_SIZE + strip->size;
    *size = decide(strip, SET_ONE, 1, &context, FAST, *size);
    strip->size = (uint8_t)*size;
    if (first) {
        memcpy(strip->dc, strip->dc_first, sizeof strip->dc);
    }
    for (plane = 0; plane < strip->planes; plane++) {
        code_plane(strip, plane, *size, first, levels + (plane << 10), &first_plane);
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

HEQ_INTERNAL void heq_device_encode_patch(heq_device_strip *strip, const int16_t *levels, int size,
                                          int first)
{
    /* Nothing is written to the levels while encoding. */
    code_patch(strip, (int16_t *)levels, &size, first);
}

HEQ_INTERNAL size_t heq_device_end_encode(heq_device_strip *strip)
{
    size_t length;
    /* The number in the last interval with the most zeros at its end; 8 bits hold what is left. */
    strip->low = (strip->low + 0x7FFF) & ~(uint32_t)0x7FFF;
    shift_out(strip, 8 - strip->bits);
    if (strip->cache >= 0) {
        store(strip, strip->cache);
    }
    for (; strip->run > 0; strip->run--) {
        store(strip, 0xFF);
    }
    length = strip->place;
    if (length <= strip->room) {
        while (length > 0 && strip->out[length - 1] == 0) {
            length--;
        }
    }
    return length;
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
    *size = 0;
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
