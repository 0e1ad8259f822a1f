/* What encoder and decoder of the patch code both hold of a patch, and its contexts. */
#ifndef HEQ_PATCH_CONTEXTS_H
#define HEQ_PATCH_CONTEXTS_H

#include <string.h>

#include "heq_patch_code.h"
#include "heq_shifts.h"
#include "heq_zones.h"

enum { TOP_PLANE = 17, LAST_PLANE = 5 };
enum { LUMA_ZONES = 28, CHROMA_ZONES = 7, EVEN = 127, NOW = 4 };

typedef char planes_agree[TOP_PLANE - HEQ_BIT_PLANES + 1 == LAST_PLANE ? 1 : -1];
typedef char levels_in_fours[3 * HEQ_CODE_CELLS % 4 == 0 ? 1 : -1];
typedef char zones_agree[LUMA_ZONES + 2 * CHROMA_ZONES == HEQ_ZONES ? 1 : -1];

/* ---- Zones ------------------------------------------------------------------------------- */

typedef struct {
    const uint16_t *places; /* frequencies, 32 u + v: the even half, then the odd one */
    int even, odd;          /* how many of each */
    int plane;
    int number;
} zone;

static zone zone_of(int number)
{
    int plane = number < LUMA_ZONES ? 0 : number < LUMA_ZONES + CHROMA_ZONES ? 1 : 2;
    int within = number - (plane == 0   ? 0
                           : plane == 1 ? LUMA_ZONES
                                        : LUMA_ZONES + CHROMA_ZONES);
    const uint16_t *starts = (plane == 0 ? luma_halves : chroma_halves) + (within << 1);
    zone made;
    made.places = (plane == 0 ? luma_places : chroma_places) + starts[0];
    made.even = starts[1] - starts[0];
    made.odd = starts[2] - starts[1];
    made.plane = plane;
    made.number = number;
    return made;
}

static int cells_before(int plane)
{
    return heq_two_shifts(plane, 10, 8) + (plane << 4); /* HEQ_CODE_CELLS each */
}

/* The levels of a plane, whose places are at `cell_of`. */
static uint8_t *levels_of(heq_patch_levels *levels, int plane)
{
    return levels->cells + cells_before(plane) + (2 * HEQ_CODE_SIDE + 2);
}

static int cell_of(int place)
{
    return place + (place >> 5 << 2);
}

/* ---- Contexts ---------------------------------------------------------------------------- */

/* States of a zone in a bit plane, by new, cross, near. */
static const uint8_t *significance_states(const heq_patch_tables *tables, int number, int step)
{
    return tables->significance + heq_two_shifts(number, 9, 6) + heq_two_shifts(number, 5, 4) +
           heq_two_shifts(step, 5, 4);
}

/* By activity. */
static const uint8_t *flag_states(const heq_patch_tables *tables, int number, int step)
{
    return tables->flag + heq_two_shifts(number, 6, 5) + (number << 3) + (step << 3);
}

/* By first. */
static const uint8_t *refinement_states(const heq_patch_tables *tables, int number, int step)
{
    return tables->refinement + heq_two_shifts(number, 4, 3) + (number << 1) + (step << 1);
}

static int activity(heq_patch_levels *levels, int number)
{
    const uint8_t *near = zones_near[number];
    int total = 0, each;
    for (each = 0; each < 4 && near[each] != NO_ZONE; each++) {
        zone there = zone_of(near[each]);
        if (there.even + there.odd > 1) {
            total += levels->zones[near[each]];
        } else {
            int level = levels_of(levels, there.plane)[cell_of(there.places[0])];
            total += level < 2 ? level : 2;
        }
    }
    return total < 7 ? total : 7;
}

/* Which bin the levels around a cell give; what became significant in this half is not seen yet. */
static int near_bin(const uint8_t *level)
{
    const uint8_t *up = level - HEQ_CODE_SIDE, *down = level + HEQ_CODE_SIDE;
    int edges = (up[0] & 3) + (down[0] & 3) + (level[-1] & 3) + (level[1] & 3);
    int sum = edges + edges + (up[-1] & 3) + (up[1] & 3) + (down[-1] & 3) + (down[1] & 3) +
              (level[-2] & 3) + (level[2] & 3) + (level[-2 * HEQ_CODE_SIDE] & 3) +
              (level[2 * HEQ_CODE_SIDE] & 3);
    return sum < 3 ? sum : sum < 5 ? 3 : sum < 8 ? 4 : sum < 12 ? 5 : sum < 18 ? 6 : 7;
}

/* The larger of the levels at the same place in the other planes, at most 2. */
static int cross_bin(int first, int second)
{
    int larger = first > second ? first : second;
    return larger < 2 ? larger : 2;
}

/* What became significant in this half is seen from now on. */
static void end_half(uint8_t *levels, const uint16_t *places, int count)
{
    int place;
    for (place = 0; place < count; place++) {
        uint8_t *level = levels + cell_of(places[place]);
        *level = *level == NOW ? 1 : *level;
    }
}

static void next_plane(heq_patch_levels *levels)
{
    size_t each;
    /* Levels of 1 and 2 become 2 and 3, four at a time: the bits of no others differ. */
    for (each = 0; each < sizeof levels->cells; each += sizeof(uint32_t)) {
        uint32_t four;
        memcpy(&four, levels->cells + each, sizeof four);
        four += (four ^ four >> 1) & 0x01010101u;
        memcpy(levels->cells + each, &four, sizeof four);
    }
    for (each = 0; each < HEQ_ZONES; each++) {
        levels->zones[each] = levels->zones[each] != 0 ? 2 : 0;
    }
}

#endif
