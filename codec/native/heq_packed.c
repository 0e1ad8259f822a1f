#include "heq_packed.h"

#include <stdlib.h>
#include <string.h>

#include "heq_packed_levels.h"

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
    if (at->slice) {
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
