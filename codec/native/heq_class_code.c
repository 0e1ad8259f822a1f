#include "heq_class_code.h"

#include <string.h>

enum { LUMA_SUM = 16, CHROMA_SUM = 8, CELL_BITS = 7, FRACTION = 4, TOP_PRIORITY = 15 << 3 };

HEQ_INTERNAL void heq_class_begin(heq_class_coder *coder)
{
    coder->known = 0;
    memset(coder->sums, 0, sizeof coder->sums);
    memset(coder->given, 0, sizeof coder->given);
}

static uint32_t magnitude_of(int32_t value)
{
    return (uint32_t)(value < 0 ? -value : value);
}

/* The band of a coefficient that is not the mean of luma. */
static int band_of(int plane, int u, int v)
{
    int largest = u > v ? u : v;
    int direction = u > v + v ? 0 : v > u + u ? 1 : 2;
    int ring = largest < 2 ? 0 : largest < 4 ? 1 : largest < 6 ? 2 : largest < 9 ? 3 : 4;
    if (plane == 0) {
        return ring + ring + ring + direction;
    }
    ring = largest < 2 ? largest : largest < 4 ? 2 : 3;
    return plane == 1 ? 15 + ring : 19 + ring;
}

HEQ_INTERNAL void heq_class_plane(heq_class_coder *coder, int plane, const int32_t *coefficients)
{
    int reach = plane == 0 ? LUMA_SUM : CHROMA_SUM, u, v;
    for (u = 0; u <= reach; u++) {
        for (v = 0; u + v <= reach; v++) {
            int32_t value = coefficients[(u << 5) + v];
            coder->values[coder->known++] = value;
            if (plane + u + v > 0) {
                coder->sums[band_of(plane, u, v)] += magnitude_of(value);
            }
        }
    }
}

/* ---- The class --------------------------------------------------------------------------- */

/* Twice the length of a number in bits, and one more where the bit below the first is set. */
static int level_of(uint32_t number)
{
    int level = 0;
    uint32_t below = 0;
    while (number != 0) {
        below = number == 2 || number == 3 ? number & 1 : below;
        number >>= 1;
        level += 2;
    }
    return level + (int)below;
}

/* From sums of bands to means, nearly, without what is too fine to matter. */
static const uint8_t band_shifts[HEQ_BANDS] = {
    4, 4, 4, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 8, 4, 6, 8, 9, 4, 6, 8, 9,
};

static int class_of(const heq_class_tables *tables, const int16_t *totals, const int *levels)
{
    const uint8_t *planes = tables->bands;
    int label, band, found = 0;
    int32_t best = INT32_MIN;
    for (label = 0; label < HEQ_CLASSES; label++) {
        int32_t score = 0;
        for (band = 0; band < HEQ_BANDS; band++) {
            const uint8_t *byte = planes + (band >> 3);
            int bit = band & 7, level = levels[band];
            if (((byte[3] | byte[6]) >> bit & 1) == 0) {
                continue;
            }
            level = byte[6] >> bit & 1 ? level + level : level;
            score = byte[0] >> bit & 1 ? score - level : score + level;
        }
        planes += 9;
        score = score < 0 ? -(-score << tables->band_shift) : score << tables->band_shift;
        score += totals[label] + tables->bias[label];
        if (score > best) {
            best = score;
            found = label;
        }
    }
    return found;
}

/* ---- The code ---------------------------------------------------------------------------- */

/* Scale of a coefficient, half octaves, from the place of its class's first one. */
static int scale_of(const heq_class_tables *tables, int place, int index)
{
    int both = tables->scales[(place + index) >> 1];
    return (place + index) & 1 ? both >> 4 : both & 15;
}

/* The cell of a magnitude: how many thresholds it reaches, by halves. */
static unsigned cell_of(const uint16_t *cuts, uint32_t magnitude, int scale)
{
    unsigned cell = 0, half = 1u << (CELL_BITS - 1);
    magnitude <<= FRACTION;
    for (; half != 0; half >>= 1) {
        uint32_t cut = cuts[cell + half - 1];
        if (scale & 1) {
            cut += (cut >> 2) + (cut >> 3) + (cut >> 5);
        }
        if (magnitude >= cut << (scale >> 1)) {
            cell += half;
        }
    }
    return cell;
}

HEQ_INTERNAL void heq_class_code(heq_class_coder *coder, const heq_class_tables *tables,
                                 const int16_t *totals, int length, uint8_t *code)
{
    const int8_t *gains = tables->gains;
    int levels[HEQ_BANDS], priority = TOP_PRIORITY + gains[0], left = length << 3;
    int label, place, index;
    unsigned byte;
    for (index = 0; index < HEQ_BANDS; index++) {
        levels[index] = level_of(coder->sums[index] >> band_shifts[index]);
    }
    label = class_of(tables, totals, levels);
    place = (label << 8) - (label << 3) - (label << 2) - label; /* 243 times */
    for (index = 0; index < coder->known; index++) {
        int32_t value = coder->values[index];
        int scale = scale_of(tables, place, index);
        unsigned cell = cell_of(tables->cuts, magnitude_of(value), scale);
        coder->words[index] = (uint8_t)((value < 0 ? 1u << CELL_BITS : 0u) | cell);
    }
    byte = (unsigned)label;
    left -= HEQ_CLASS_BITS;
    for (; left > 0; priority--) {
        for (index = 0; index < coder->known && left > 0; index++) {
            int given = coder->given[index];
            if (given > CELL_BITS ||
                (scale_of(tables, place, index) << 3) + gains[given] != priority) {
                continue;
            }
            coder->given[index] = (uint8_t)(given + 1);
            byte += byte + ((unsigned)coder->words[index] >> (CELL_BITS - given) & 1u);
            left--;
            if ((left & 7) == 0) {
                *code++ = (uint8_t)byte;
                byte = 0;
            }
        }
    }
}
