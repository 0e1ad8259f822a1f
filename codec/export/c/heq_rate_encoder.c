/* The variable-rate mode: levels of a patch, coded into the payload of a strip. */

#include "heq_device.h"
#include "heq_file.h"
#include "heq_levels.h"
#include "heq_levels_codes.h"
#include "heq_levels_fast.h"
#include "heq_shifts.h"
#include "heq_transform_tables.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint8_t *payload;
    size_t room;
    uint16_t step;
    int32_t steps[6]; /* by size, then plane */
    heq_device_strip strip;
#ifndef HEQ_KERNEL_FAST
    heq_field fields[3];
#endif
} heq_state;

static const heq_device_tables device_tables = {
    device_start, device_weights, device_stretch, device_squash, device_widths,
};
#ifdef HEQ_KERNEL_FAST
static const heq_cost_layer cost_layer = {cost_near, cost_cross, cost_bias, cost_shifts};
#else
static const heq_cost_layer cost_layer = {cost_pairs, cost_others, cost_bias, cost_shifts};
#endif

static int mode_begin(heq_state *state, const heq_image *image)
{
    state->payload = image->payload;
    state->room = image->room;
    state->step = image->rate;
    heq_integer_steps(rate_steps, image->rate & 1023, state->steps);
    return image->rate < 1024 && image->payload != NULL;
}

static void mode_begin_strip(heq_state *state)
{
    heq_device_begin_encode(&state->strip, &device_tables, state->file.channels, state->step,
                            state->payload, state->room);
}

#ifdef HEQ_KERNEL_FAST

/* What a patch is coded of. */
typedef struct {
    heq_levels levels;
    int size;
} coded_patch;

static void make_levels(heq_state *state, const heq_patch *patch, coded_patch *made)
{
    made->size = heq_fast_levels(&transform, state->steps, patch, &made->levels);
    heq_settle(&cost_layer, made->size, state->file.channels, &made->levels);
}

static void encode_levels(heq_state *state, const coded_patch *patch, int first)
{
    heq_device_encode_patch(&state->strip, patch->levels.levels, patch->size, first);
}

#else

/* Levels of a plane in a size, to a field. Returns what they cost. */
static int32_t code_plane_levels(heq_state *state, const heq_patch *patch, int plane, int size,
                                 heq_field *field)
{
    heq_quantizer quantizer;
    int16_t *values = field->values;
    heq_transform_rows(&transform, patch, plane, size == 0 ? values : NULL,
                       size == 1 ? values : NULL);
    heq_quantizer_begin(&quantizer, state->steps[times_3(size) + plane]);
    return heq_code_columns(&transform, &quantizer, size, field);
}

/* Levels of a plane in both sizes, to a field for each; added to the costs. */
static void code_both_sizes(heq_state *state, const heq_patch *patch, int plane,
                            heq_field *const *fields, int32_t *costs)
{
    heq_quantizer quantizer;
    int size;
    heq_transform_rows(&transform, patch, plane, fields[0]->values, fields[1]->values);
    for (size = 0; size < 2; size++) {
        heq_quantizer_begin(&quantizer, state->steps[times_3(size) + plane]);
        costs[size] += heq_code_columns(&transform, &quantizer, size, fields[size]);
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
 * the other size, too, and what is lost of the cheaper one made again. */
static int choose_levels(heq_state *state, const heq_patch *patch, heq_field **fields)
{
    int32_t costs[2] = {0, 0};
    heq_field *both[2];
    int size, kept;
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
} coded_patch;

static void make_levels(heq_state *state, const heq_patch *patch, coded_patch *made)
{
    made->size = choose_levels(state, patch, made->fields);
    heq_settle_codes(&cost_layer, made->size, state->file.channels, made->fields);
}

static void encode_levels(heq_state *state, const coded_patch *patch, int first)
{
    heq_device_encode_patch(&state->strip, (const heq_field *const *)patch->fields, patch->size,
                            first);
}

#endif

static void mode_patch(heq_state *state, const heq_patch *patch)
{
    coded_patch coded;
    make_levels(state, patch, &coded);
    encode_levels(state, &coded, state->file.column == 0);
}

static void mode_end_strip(heq_state *state, uint32_t index)
{
    size_t length = heq_device_end_encode(&state->strip);
    if (length > state->room || length > 0xFFFFFFFFu) {
        heq_file_fail(&state->file, HEQ_NO_ROOM);
        return;
    }
    heq_file_put_strip_head(&state->file, index, state->step, (uint32_t)length);
    heq_file_put(&state->file, state->payload, length);
    heq_file_put_checksum(&state->file);
}

uint16_t heq_step_of_quality(int quality)
{
    int step = 912 - (quality << 3);
    return (uint16_t)(quality < 1 ? 904 : quality > 100 ? 112 : step);
}
