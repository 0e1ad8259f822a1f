/* The variable-rate mode: levels of a patch, coded into the payload of a strip. */

#include "heq_device.h"
#include "heq_file.h"
#include "heq_levels.h"
#include "heq_levels_codes.h"
#include "heq_levels_fast.h"
#include "heq_rate_control.h"
#include "heq_shifts.h"
#include "heq_transform_tables.h"
#include "heq_weights.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint8_t *payload;
    size_t room;
    uint32_t budget; /* of the file, or 0 */
    uint32_t unsent; /* strips that had no room */
    uint32_t coarse; /* patches that had not enough */
    heq_rate_control control;
    uint16_t step; /* of the image, or of the strip */
    uint8_t tune;  /* HEQ_TUNE_PSNR and so on */
    uint8_t kept;  /* logarithm of the bytes that are kept for each patch to come, or COMES_AGAIN */
    int32_t steps[6]; /* by size, then plane */
    heq_device_strip strip;
#ifndef HEQ_KERNEL_FAST
    heq_field fields[3];
#endif
} heq_state;

#ifndef HEQ_KERNEL_FAST
typedef char scratch_is_enough[HEQ_DEVICE_SCRATCH >= HEQ_SCRATCH ? 1 : -1];
#endif

enum { NOT_SENT = 0xFFFF, /* instead of the step of a strip */
       COMES_AGAIN = 255 }; /* of a strip that can be coded again */

/* Code the patches of a row, whose first one is next, without ending it. */
static void code_row_patches(heq_state *state, const uint8_t *rows, size_t stride);

static const heq_device_tables device_tables = {
    device_start,   device_weights, device_scores, device_places,
    device_stretch, device_squash,  device_widths,
};
#ifdef HEQ_KERNEL_FAST
static const heq_cost_layer cost_layer = {cost_near, cost_cross, cost_bias, cost_shifts};
#else
static const heq_cost_layer cost_layer = {cost_pairs, cost_others, cost_bias, cost_shifts};
#endif

/* Bytes of a file but for its payloads: 44 of the header, 12 of each strip and of the end. */
static uint32_t bytes_of_heads(uint32_t strips)
{
    uint32_t eight = strips << 3;
    HEQ_HIDE(eight);
    return 56 + eight + (strips << 2);
}

/* Are coefficients weighted by frequency? */
static int is_weighted(const heq_state *state)
{
    return state->tune != HEQ_TUNE_PSNR;
}

/* Take the steps of an index. */
static void take_steps(heq_state *state, int step)
{
    int finer = is_weighted(state) ? HEQ_FINER : 0;
    heq_integer_steps(rate_steps, step > finer ? step - finer : 0, state->steps);
}

static int mode_begin(heq_state *state, const heq_image *image)
{
    uint32_t room = image->room < 0xFFFFFFFFu ? (uint32_t)image->room : 0xFFFFFFFFu;
    uint32_t heads = bytes_of_heads(state->file.rows);
    state->payload = image->payload;
    state->room = room;
    state->budget = image->budget;
    state->unsent = state->coarse = 0;
    state->step = image->rate;
    state->tune = image->tune;
    take_steps(state, image->rate & 1023);
    if (image->budget != 0) {
        if (image->progressive || image->strip_rows > 1 || state->file.rows > 65536 ||
            image->budget < heads) {
            return 0;
        }
        state->file.strip_rows = 1;
        control_begin(&state->control, image->budget - heads, state->file.rows,
                      state->file.columns, room);
    }
    return image->rate < 1024 && image->tune <= HEQ_TUNE_TEXTURE && image->payload != NULL;
}

/* Bytes that are kept for each patch to come: a quarter to a half of its share. */
static void keep_shares(heq_state *state)
{
    uint32_t patches = state->file.columns, half = (uint32_t)state->room >> 1;
    int rows = state->file.strip_rows;
    while (--rows > 0 && patches <= half) {
        patches += state->file.columns;
        HEQ_HIDE(patches);
    }
    for (state->kept = 0; state->kept < 15 && half >> (state->kept + 1) >= patches;) {
        state->kept++;
    }
}

static void mode_begin_strip(heq_state *state)
{
    heq_device_begin_encode(&state->strip, &device_tables, state->file.channels, state->step,
                            state->payload, state->room);
    state->strip.part = state->file.part;
    keep_shares(state);
}

/* What is taken off the indices of a patch's thresholds. */
static int relief_of(const heq_state *state, int32_t cost)
{
    return !is_weighted(state)
               ? 0
               : heq_relief(cost, heq_relief_limit(state->step), state->tune);
}

#ifdef HEQ_KERNEL_FAST

/* What a patch is coded of. */
typedef struct {
    heq_levels levels;
    int size;
    int32_t cost; /* in that size */
} coded_patch;

static void quantize(heq_state *state, const heq_patch *patch, coded_patch *made)
{
    made->size = heq_fast_levels(&transform, state->steps, is_weighted(state), patch,
                                 &made->levels, &made->cost);
}

static void settle(heq_state *state, coded_patch *made)
{
    heq_settle(&cost_layer, made->size, state->file.channels, relief_of(state, made->cost),
               &made->levels);
}

static void encode_levels(heq_state *state, const coded_patch *patch, int first)
{
    heq_device_encode_patch(&state->strip, patch->levels.levels, patch->size, first);
}

static int magnitude_at(const coded_patch *patch, int plane, int index)
{
    int level = patch->levels.levels[(plane << 10) + index];
    return level < 0 ? -level : level;
}

/* The last level before one that is not 0, but for level 0. */
static int last_level(const coded_patch *patch, int plane, int end)
{
    while (--end > 0 && magnitude_at(patch, plane, end) == 0) {
    }
    return end > 0 ? end : 0;
}

static int last_of_plane(const coded_patch *patch, int plane)
{
    return last_level(patch, plane, HEQ_LEVELS);
}

/* Leave a plane the levels of so many groups, and level 0. */
static void keep_groups(coded_patch *patch, int plane, int groups)
{
    int first = groups > 0 ? groups << 5 : 1;
    memset(patch->levels.levels + (plane << 10) + first, 0,
           sizeof(int16_t) * (size_t)(HEQ_LEVELS - first));
}

#else

/* Levels of a plane in a size, to a field. Returns what they cost. */
static int32_t code_plane_levels(heq_state *state, const heq_patch *patch, int plane, int size,
                                 heq_field *field)
{
    heq_quantizer quantizer;
    int16_t *values = field->values;
    heq_transform_rows(&transform, patch, plane, size == 0 ? values : NULL,
                       size == 1 ? values : NULL, state->strip.now.scratch);
    heq_quantizer_begin(&quantizer, state->steps[times_3(size) + plane], is_weighted(state));
    return heq_code_columns(&transform, &quantizer, size, field, state->strip.now.scratch);
}

/* Levels of a plane in both sizes, to a field for each; added to the costs. */
static void code_both_sizes(heq_state *state, const heq_patch *patch, int plane,
                            heq_field *const *fields, int32_t *costs)
{
    heq_quantizer quantizer;
    int size;
    heq_transform_rows(&transform, patch, plane, fields[0]->values, fields[1]->values,
                       state->strip.now.scratch);
    for (size = 0; size < 2; size++) {
        heq_quantizer_begin(&quantizer, state->steps[times_3(size) + plane], is_weighted(state));
        costs[size] += heq_code_columns(&transform, &quantizer, size, fields[size],
                                        state->strip.now.scratch);
    }
}

/* Is a size the cheaper one, even if no more were added to the other's cost? */
static int wins(const int32_t *costs, int size)
{
    return size == 1 ? costs[1] < costs[0] : costs[1] >= costs[0];
}

/* Size and levels of a patch, to fields in the order of the planes. Three fields hold one plane in
 * both sizes and another in one. Planes 0 and 1 are coded in both, plane 2 in the size that suits
 * these: mostly that costs less than they alone do in the other size. Only else plane 2 is coded in
 * the other size, too, and what is lost of the cheaper one made again. The cost of the size that is
 * returned is whole, the other's may not be. */
static int choose_levels(heq_state *state, const heq_patch *patch, heq_field **fields,
                         int32_t *costs)
{
    heq_field *both[2];
    int size, kept;
    costs[0] = costs[1] = 0;
    both[0] = &state->fields[0];
    both[1] = &state->fields[1];
    code_both_sizes(state, patch, 0, both, costs);
    kept = costs[1] < costs[0];
    fields[0] = both[kept];
    if (state->file.channels == 1) {
        return kept;
    }
    both[kept] = &state->fields[2];
    code_both_sizes(state, patch, 1, both, costs);
    size = costs[1] < costs[0];
    fields[1] = both[size];
    fields[2] = both[!size];
    costs[size] += code_plane_levels(state, patch, 2, size, fields[2]);
    if (!wins(costs, size)) {
        costs[!size] += code_plane_levels(state, patch, 2, !size, fields[2]);
        if (wins(costs, size)) {
            code_plane_levels(state, patch, 2, size, fields[2]);
        } else {
            size = !size;
            code_plane_levels(state, patch, 1, size, fields[1]);
        }
    }
    if (kept != size) {
        code_plane_levels(state, patch, 0, size, fields[0]);
    }
    return size;
}

/* What a patch is coded of: fields of the state. */
typedef struct {
    heq_field *fields[3];
    int size;
    int32_t cost; /* in that size */
} coded_patch;

static void quantize(heq_state *state, const heq_patch *patch, coded_patch *made)
{
    int32_t costs[2];
    made->size = choose_levels(state, patch, made->fields, costs);
    made->cost = costs[made->size];
}

/* Apart, as what comes before and after, so that one's stack lies where the other's was. */
HEQ_APART static void settle(heq_state *state, coded_patch *made)
{
    heq_settle_codes(&cost_layer, made->size, state->file.channels, relief_of(state, made->cost),
                     made->fields);
}

HEQ_APART static void encode_levels(heq_state *state, const coded_patch *patch, int first)
{
    heq_device_encode_patch(&state->strip, (const heq_field *const *)patch->fields, patch->size,
                            first);
}

static int16_t *code_at(const coded_patch *patch, int plane, int index)
{
    int frequency = band_frequency[index >> 2], u = frequency >> 4, v = frequency & 15;
    int sub = index & 3;
    return patch->fields[plane]->values +
           (patch->size == 0 ? (u << 6) + (v << 1) + ((sub >> 1) << 5) + (sub & 1)
                             : (u << 5) + v + ((sub >> 1) << 9) + ((sub & 1) << 4));
}

static int magnitude_at(const coded_patch *patch, int plane, int index)
{
    return *code_at(patch, plane, index) & HEQ_CODE_LEVEL;
}

/* The last level before one that is not 0, but for level 0. */
static int last_level(const coded_patch *patch, int plane, int end)
{
    while (--end > 0 && magnitude_at(patch, plane, end) == 0) {
    }
    return end > 0 ? end : 0;
}

static int last_of_plane(const coded_patch *patch, int plane)
{
    return patch->fields[plane]->known.last;
}

/* Leave a plane the levels of so many groups, and level 0. */
static void keep_groups(coded_patch *patch, int plane, int groups)
{
    patch->fields[plane]->known.last = groups > 0 ? last_level(patch, plane, groups << 5) : 0;
}

#endif

/* ---- Patches that come once ----------------------------------------------------------------- */

enum { LEVEL_0_COST = 96, LEVEL_COST = 8 }; /* half bits, see cost_of_group */

/* Bytes that the buffer has for the next patch. */
static uint32_t room_for_patch(const heq_state *state)
{
    const heq_file *file = &state->file;
    size_t used = state->strip.place + state->strip.run + 3;
    uint32_t left = used < state->room ? (uint32_t)(state->room - used) : 0;
    uint32_t rest = file->columns - 1 - file->column, below = file->rows - 1 - file->row;
    uint32_t rows = (uint32_t)file->strip_rows - 1 - file->row_of_strip;
    for (rows = rows < below ? rows : below; rows > 0 && rest <= left; rows--) {
        rest += file->columns;
        HEQ_HIDE(rest);
    }
    return rest < left >> state->kept ? left - (rest << state->kept) : 0;
}

/* Half bits that a group of levels takes, which are never too few: nearly one and a half times what
 * photographs and noise take. */
static uint32_t cost_of_group(const coded_patch *patch, int plane, int group)
{
    uint32_t cost = 0;
    int index = group << 5, end = index + 32;
    for (index += group == 0; index < end; index++) {
        int magnitude = magnitude_at(patch, plane, index);
        cost += magnitude != 0 ? LEVEL_COST : 1;
        for (; magnitude > 1; magnitude >>= 1) {
            cost += 4;
        }
    }
    return cost;
}

/* Has a plane whose last level is known levels in this group, or beyond? */
static int reaches(int last, int group)
{
    return last > 0 && last >> 5 >= group;
}

/* Leave a patch the groups of its levels for which there is room, before it is coded. Of a
 * progressive file the second part alone, since it takes the levels of the first for known. */
HEQ_APART static void fit_patch(heq_state *state, coded_patch *patch)
{
    uint32_t room, cost = LEVEL_0_COST, whole;
    int planes = state->file.channels, last[3] = {0, 0, 0}, plane, group;
    if (state->kept == COMES_AGAIN || state->strip.part == HEQ_DEVICE_LOW) {
        return;
    }
    for (plane = 0; plane < planes; plane++) {
        last[plane] = last_of_plane(patch, plane);
    }
    room = room_for_patch(state);
    whole = (uint32_t)(last[0] + last[1] + last[2]);
    if (room > whole + (whole >> 3)) { /* nine bits for each level */
        return;
    }
    room = room < 0x0FFFFFFFu ? room << 4 : 0xFFFFFFFFu;
    for (group = state->strip.part == HEQ_DEVICE_HIGH; group < HEQ_DEVICE_GROUPS; group++) {
        for (plane = 0; plane < planes; plane++) {
            if (reaches(last[plane], group)) {
                cost += cost_of_group(patch, plane, group);
            }
        }
        if (cost > room) {
            break;
        }
    }
    state->coarse += reaches(last[0], group) || reaches(last[1], group) || reaches(last[2], group);
    for (plane = 0; plane < planes; plane++) {
        if (reaches(last[plane], group)) {
            keep_groups(patch, plane, group);
        }
    }
}

/* ---- Strips --------------------------------------------------------------------------------- */

/* Write a strip of so many bytes, or say that there was no room for it. */
static void put_strip(heq_state *state, uint32_t index, int sent, uint32_t length)
{
    if (!sent) {
        state->unsent++;
    }
    heq_file_put_strip_head(&state->file, index, sent ? state->step : NOT_SENT, sent ? length : 0);
    heq_file_put(&state->file, state->payload, sent ? length : 0);
    heq_file_put_checksum(&state->file);
}

static uint32_t end_strip(heq_state *state)
{
    size_t length = heq_device_end_encode(&state->strip);
    return length < 0xFFFFFFFFu ? (uint32_t)length : 0xFFFFFFFFu;
}

static void mode_end_strip(heq_state *state, uint32_t index)
{
    uint32_t length = end_strip(state);
    put_strip(state, index, length <= state->room, length);
}

/* ---- Strips whose pixels are still there ---------------------------------------------------- */

typedef struct {
    heq_state *state;
    const uint8_t *rows;
    size_t stride;
    uint32_t count; /* rows of patches */
} given_strip;

static uint32_t code_given(void *context, int step)
{
    given_strip *strip = context;
    heq_state *state = strip->state;
    const uint8_t *rows = strip->rows;
    uint32_t first = state->file.row, left = strip->count;
    state->step = (uint16_t)step;
    take_steps(state, step);
    mode_begin_strip(state);
    state->kept = COMES_AGAIN;
    for (;;) {
        code_row_patches(state, rows, strip->stride);
        if (--left == 0) {
            break;
        }
        state->file.row++;
        rows += strip->stride << 5;
        HEQ_HIDE(rows);
    }
    state->file.row = first;
    return end_strip(state);
}

/* Can a strip be coded again? Both parts of a progressive file need the same step. */
static int mode_codes_again(const heq_state *state)
{
    return state->file.part == 0;
}

/* Code a strip at the image's step, or within its budget; coarser where it does not fit. */
static void mode_strip(heq_state *state, const uint8_t *rows, size_t stride, uint32_t count)
{
    uint32_t length = 0, room = (uint32_t)state->room;
    int step, given = state->step;
    given_strip strip;
    strip.state = state;
    strip.rows = rows;
    strip.stride = stride;
    strip.count = count;
    if (state->budget != 0) {
        given = control_next_step(&state->control);
        step = control_strip(&state->control, code_given, &strip, &length);
        if (state->file.row == 0) {
            heq_file_put_header(&state->file, (uint16_t)(step < 0 ? given : step));
        }
    } else {
        step = control_fit(code_given, &strip, given, room, room, 0, &length);
        step = length <= room ? step : -1;
    }
    put_strip(state, state->file.strip, step >= 0, length);
    if (state->budget == 0 && state->step != given) {
        state->step = (uint16_t)given;
        take_steps(state, given);
    }
}

uint32_t heq_unsent_strips(const heq_encoder *encoder)
{
    return ((const heq_state *)encoder)->unsent;
}

uint32_t heq_coarse_patches(const heq_encoder *encoder)
{
    return ((const heq_state *)encoder)->coarse;
}

uint16_t heq_step_of_quality(int quality)
{
    int step = 912 - (quality << 3);
    return (uint16_t)(quality < 1 ? 904 : quality > 100 ? 112 : step);
}
