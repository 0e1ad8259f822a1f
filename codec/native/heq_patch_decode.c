#include "heq_patch_decode.h"

#include "heq_patch_contexts.h"

enum { WINDOW = 16, UNDECIDED = -1 };

typedef struct {
    heq_patch_levels levels;
    const uint8_t *code;
    size_t bits;     /* of the code */
    size_t read;     /* bits that were read; zeros follow the code's */
    uint32_t range;  /* 2^15..2^16-1 */
    uint32_t offset; /* of the bits that were read from the low end, below the range */
    int open;        /* may the code decide another symbol? */
    const heq_patch_tables *tables;
    const heq_patch_intervals *patch;
} decoder;

/* ---- Arithmetic decoder ------------------------------------------------------------------ */

static void read_bit(decoder *from)
{
    size_t place = from->read++;
    uint32_t bit = place < from->bits ? from->code[place >> 3] >> (7 - (place & 7)) & 1u : 0;
    from->offset = from->offset << 1 | bit;
}

static void begin(decoder *from)
{
    from->range = 0xFFFF;
    from->offset = 0;
    from->read = 0;
    while (from->read < WINDOW) {
        read_bit(from);
    }
    from->open = from->offset < from->range; /* no code begins with 16 ones */
}

/* The next symbol of an open code; UNDECIDED, and the end, where the code could go on to either. */
static int symbol_of(decoder *from, int state)
{
    uint32_t width =
        state == EVEN ? from->range >> 1 : from->tables->lps[(state << 3) + (from->range >> 12 & 7)];
    uint32_t cut = from->range - width;
    uint32_t unknown = from->read > from->bits ? 1u << (from->read - from->bits) : 1;
    int bit = from->offset >= cut;
    if (bit) {
        from->offset -= cut;
        from->range = width;
    } else if (from->offset + unknown <= cut) {
        from->range = cut;
    } else {
        from->open = 0;
        return UNDECIDED;
    }
    while (from->range < 0x8000u) {
        from->range <<= 1;
        read_bit(from);
    }
    if (from->read >= from->bits + WINDOW) {
        from->open = 0; /* of the window nothing is known */
    }
    return bit;
}

/* ---- Passes ------------------------------------------------------------------------------ */

static size_t place_of(const decoder *from, const uint8_t *level)
{
    return (size_t)(level - from->levels.cells);
}

static void read_half(decoder *from, const zone *here, const uint16_t *places, int count,
                      const uint8_t *states, int bit_plane)
{
    uint8_t *levels = levels_of(&from->levels, here->plane);
    const uint8_t *first = levels_of(&from->levels, here->plane == 0 ? 1 : 0);
    const uint8_t *second = levels_of(&from->levels, here->plane == 2 ? 1 : 2);
    int place;
    states += from->levels.zones[here->number] == 1 ? 24 : 0;
    for (place = 0; place < count && from->open; place++) {
        int cell = cell_of(places[place]);
        uint8_t *level = levels + cell;
        int cross = cross_bin(first[cell], second[cell]);
        if (*level == 0 && symbol_of(from, states[(cross << 3) + near_bin(level)]) == 1) {
            int sign = from->open ? symbol_of(from, EVEN) : UNDECIDED;
            if (sign != UNDECIDED) {
                size_t found = place_of(from, level);
                *level = NOW;
                from->patch->negative[found] = (uint8_t)sign;
                from->patch->low[found] = from->patch->width[found] = (int32_t)1 << bit_plane;
            }
        }
    }
    end_half(levels, places, count);
}

/* The flag of a zone, and what becomes significant in it. */
static void read_significance(decoder *from, int number, int bit_plane)
{
    zone here = zone_of(number);
    int step = TOP_PLANE - bit_plane;
    const uint8_t *states = significance_states(from->tables, number, step);
    int coded = here.even + here.odd == 1 || from->levels.zones[number] != 0;
    if (!coded) {
        const uint8_t *flags = flag_states(from->tables, number, step);
        coded = symbol_of(from, flags[activity(&from->levels, number)]) == 1;
        from->levels.zones[number] = (uint8_t)coded;
    }
    if (coded) {
        read_half(from, &here, here.places, here.even, states, bit_plane);
        read_half(from, &here, here.places + here.even, here.odd, states, bit_plane);
    }
    if (from->open) {
        from->patch->reached[number] = (uint8_t)(step + 1);
    }
}

/* One more bit of the coefficients that were significant before this plane. */
static void read_refinement(decoder *from, int number, int bit_plane)
{
    zone here = zone_of(number);
    int place;
    uint8_t *levels = levels_of(&from->levels, here.plane);
    const uint8_t *states = refinement_states(from->tables, number, TOP_PLANE - bit_plane);
    if (here.even + here.odd > 1 && from->levels.zones[number] == 0) {
        return; /* nothing of it was significant */
    }
    for (place = 0; place < here.even + here.odd && from->open; place++) {
        const uint8_t *level = levels + cell_of(here.places[place]);
        if (*level >= 2) {
            int bit = symbol_of(from, states[*level == 2]);
            if (bit != UNDECIDED) {
                size_t found = place_of(from, level);
                from->patch->low[found] += (int32_t)bit << bit_plane;
                from->patch->width[found] = (int32_t)1 << bit_plane;
            }
        }
    }
}

void heq_patch_decode(const heq_patch_tables *tables, const uint8_t *code, size_t bytes, int planes,
                      const heq_patch_intervals *patch)
{
    decoder from = {.code = code, .bits = bytes << 3, .tables = tables, .patch = patch};
    int bit_plane, each, last = planes == 1 ? LUMA_ZONES : HEQ_ZONES;
    begin(&from);
    for (bit_plane = TOP_PLANE; bit_plane >= LAST_PLANE && from.open; bit_plane--) {
        next_plane(&from.levels);
        for (each = 0; each < HEQ_ZONES && from.open; each++) {
            if (tables->order[each] < last) {
                read_significance(&from, tables->order[each], bit_plane);
            }
        }
        for (each = 0; each < HEQ_ZONES && from.open; each++) {
            if (tables->order[each] < last) {
                read_refinement(&from, tables->order[each], bit_plane);
            }
        }
    }
}
