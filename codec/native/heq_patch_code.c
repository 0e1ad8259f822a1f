#include "heq_patch_code.h"

#include <string.h>

#include "heq_gains.h"
#include "heq_patch_contexts.h"

enum { NEGATIVE = 0x8000 };

typedef char shifts_floor[(-1 >> 1) == -1 ? 1 : -1];

/* A coefficient as the coder holds it: a magnitude below 2^18, without the bits below the last bit
 * plane, and its sign. */
static int16_t held(int32_t value, int plane)
{
    int32_t gain = gained(value, plane), size = gain < 0 ? -gain : gain;
    int32_t bits = (size < 2 << TOP_PLANE ? size : (2 << TOP_PLANE) - 1) >> LAST_PLANE;
    return (int16_t)(gain < 0 ? bits - NEGATIVE : bits);
}

#ifdef HEQ_KERNEL_FAST

HEQ_INTERNAL void heq_fast_held_coefficients(const heq_transform *transform,
                                              const heq_square *field, int plane,
                                              int16_t *coefficients)
{
    heq_square made;
    int place;
    heq_fast_transform(transform, field, HEQ_SIDE, &made);
    for (place = 0; place < HEQ_SIDE * HEQ_SIDE; place++) {
        coefficients[place] = held(made.all[place], plane);
    }
}

#else

HEQ_INTERNAL void heq_held_coefficients(const heq_transform *transform, const heq_patch *patch,
                                         int plane, int16_t *coefficients)
{
    int32_t column[HEQ_SIDE], scratch[HEQ_SCRATCH];
    int u, v, part;
    heq_transform_rows(transform, patch, plane, coefficients, NULL, scratch);
    for (v = 0; v < HEQ_SIDE; v++) {
        const int32_t *value = column;
        heq_transform_column(transform, coefficients + v, HEQ_SIDE, -1, column, scratch);
        for (part = 0; part < 2; part++) {
            int16_t *place = coefficients + v + (part << 5);
            for (u = part; u < HEQ_SIDE; u += 2) {
                *place = held(*value++, plane);
                place += 2 * HEQ_SIDE;
            }
        }
    }
}

#endif

/* ---- Arithmetic coder -------------------------------------------------------------------- */

/* Raise the low end by 16 bits that begin with bit `fixed`. */
static void raise(heq_patch_coder *coder, uint32_t amount)
{
    uint8_t *byte = coder->code + (coder->fixed >> 3) + 2;
    amount <<= 8 - (coder->fixed & 7);
    while (amount != 0) {
        amount += *byte;
        *byte-- = (uint8_t)(amount & 255);
        amount >>= 8;
    }
}

static void code_symbol(heq_patch_coder *coder, int state, int bit)
{
    uint32_t width;
    if (coder->fixed >= HEQ_CODE_BITS) {
        return;
    }
    width = state == EVEN ? coder->range >> 1
                          : coder->lps[(state << 3) + (int)(coder->range >> 12 & 7)];
    if (bit) {
        raise(coder, coder->range - width);
        coder->range = width;
    } else {
        coder->range -= width;
    }
    while (coder->range < 0x8000u) {
        coder->range <<= 1;
        coder->fixed++;
    }
}

/* ---- Passes ------------------------------------------------------------------------------ */

static int magnitude_of(int coefficient)
{
    return coefficient & (NEGATIVE - 1);
}

/* Find the bits that the magnitudes of each zone have. */
static void prepare(heq_patch_coder *coder, int planes)
{
    int number, last = planes == 1 ? LUMA_ZONES : HEQ_ZONES;
    for (number = 0; number < last; number++) {
        zone here = zone_of(number);
        const int16_t *coefficients = coder->coefficients[here.plane];
        const uint16_t *end = here.places + here.even + here.odd;
        int any = 0;
        while (here.places < end) {
            any |= coefficients[*here.places++];
        }
        coder->any[number] = (uint16_t)magnitude_of(any);
    }
}

static void code_half(heq_patch_coder *coder, const zone *here, const uint16_t *places, int count,
                      const uint8_t *states, int planes, int least)
{
    const int16_t *coefficients = coder->coefficients[here->plane];
    uint8_t *levels = levels_of(&coder->levels, here->plane);
    const uint8_t *first = levels_of(&coder->levels, here->plane == 0 ? 1 : 0);
    const uint8_t *second = levels_of(&coder->levels, here->plane == 2 ? 1 : 2);
    int place;
    states += coder->levels.zones[here->number] == 1 ? 24 : 0;
    for (place = 0; place < count; place++) {
        int cell = cell_of(places[place]);
        uint8_t *level = levels + cell;
        if (*level == 0) {
            int value = coefficients[places[place]];
            int now = magnitude_of(value) >= least;
            int cross = planes == 1 ? 0 : cross_bin(first[cell], second[cell]);
            code_symbol(coder, states[(cross << 3) + near_bin(level)], now);
            if (now) {
                code_symbol(coder, EVEN, value < 0);
                *level = NOW;
            }
        }
    }
    end_half(levels, places, count);
}

/* The flag of a zone, and what becomes significant in it. */
static void code_significance(heq_patch_coder *coder, const heq_patch_tables *tables, int number,
                              int planes, int bit_plane)
{
    zone here = zone_of(number);
    int step = TOP_PLANE - bit_plane;
    int least = 1 << (bit_plane - LAST_PLANE);
    const uint8_t *states = significance_states(tables, number, step);
    if (here.even + here.odd > 1) {
        if (coder->levels.zones[number] == 0) {
            const uint8_t *flags = flag_states(tables, number, step);
            int active = coder->any[number] >= least;
            code_symbol(coder, flags[activity(&coder->levels, number)], active);
            coder->levels.zones[number] = (uint8_t)active;
        }
        if (coder->levels.zones[number] == 0) {
            return;
        }
    }
    code_half(coder, &here, here.places, here.even, states, planes, least);
    code_half(coder, &here, here.places + here.even, here.odd, states, planes, least);
}

/* One more bit of the coefficients that were significant before this plane. */
static void code_refinement(heq_patch_coder *coder, const heq_patch_tables *tables, int number,
                            int bit_plane)
{
    zone here = zone_of(number);
    int step = TOP_PLANE - bit_plane, place;
    const uint8_t *levels = levels_of(&coder->levels, here.plane);
    const uint8_t *states = refinement_states(tables, number, step);
    if (here.even + here.odd > 1 && coder->levels.zones[number] < 2) {
        return; /* nothing of it was significant */
    }
    for (place = 0; place < here.even + here.odd; place++) {
        int level = levels[cell_of(here.places[place])];
        if (level >= 2) {
            int value = coder->coefficients[here.plane][here.places[place]];
            code_symbol(coder, states[level == 2], value >> (bit_plane - LAST_PLANE) & 1);
        }
    }
}

/* Can nothing that follows change the first `length` bytes? A carry stops at any bit of 0. */
static int is_settled(const heq_patch_coder *coder, int length)
{
    int last = coder->fixed >> 3;
    while (length < last && coder->code[length] == 255) {
        length++;
    }
    return length < last || coder->fixed >= HEQ_CODE_BITS;
}

HEQ_INTERNAL void heq_patch_encode(heq_patch_coder *coder, const heq_patch_tables *tables,
                                   int planes, int length)
{
    int bit_plane, each, last = planes == 1 ? LUMA_ZONES : HEQ_ZONES;
    memset(&coder->levels, 0, sizeof coder->levels);
    memset(coder->code, 0, sizeof coder->code);
    coder->range = 0xFFFF;
    coder->fixed = 0;
    coder->lps = tables->lps;
    prepare(coder, planes);
    for (bit_plane = TOP_PLANE; bit_plane > TOP_PLANE - HEQ_BIT_PLANES; bit_plane--) {
        next_plane(&coder->levels);
        for (each = 0; each < HEQ_ZONES && !is_settled(coder, length); each++) {
            if (tables->order[each] < last) {
                code_significance(coder, tables, tables->order[each], planes, bit_plane);
            }
        }
        for (each = 0; each < HEQ_ZONES && !is_settled(coder, length); each++) {
            if (tables->order[each] < last) {
                code_refinement(coder, tables, tables->order[each], bit_plane);
            }
        }
    }
}
