/* The variable-rate mode: levels of a patch, coded into the payload of a strip. */

#include "heq_device.h"
#include "heq_file.h"
#include "heq_levels.h"
#include "heq_levels_fast.h"
#include "heq_shifts.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint8_t *payload;
    size_t room;
    uint16_t step;
    int32_t steps[6]; /* by size, then plane */
    heq_device_strip strip;
    heq_levels levels;
    int16_t field[HEQ_SIDE * HEQ_SIDE];
    int32_t coefficients[HEQ_LEVELS];
} heq_state;

static const heq_device_tables device_tables = {
    device_start, device_weights, device_stretch, device_squash, device_widths,
};
static const heq_transform transform = {
    transform_large, transform_small, TRANSFORM_LAYERS, TRANSFORM_SHIFT,
};
static const heq_cost_layer cost_layer = {cost_near, cost_cross, cost_bias, cost_shifts};

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

static int choose_levels(heq_state *state, const heq_patch *patch)
{
    return heq_fast_levels(&transform, state->steps, patch, &state->levels);
}

#else

/* Coefficients of a plane in a size, to state->coefficients. */
static void transform_plane(heq_state *state, const heq_patch *patch, int size, int plane)
{
    heq_colour(patch, plane, state->field);
    heq_rate_coefficients(&transform, state->field, size, state->coefficients);
}

static int choose_levels(heq_state *state, const heq_patch *patch)
{
    int32_t costs[2] = {0, 0};
    int plane, size, planes = state->file.channels;
    /* One plane of coefficients is held at a time; those of the rarer case are made twice. */
    for (size = 1; size >= 0; size--) {
        for (plane = 0; plane < planes; plane++) {
            int32_t step = state->steps[times_3(size) + plane];
            transform_plane(state, patch, size, plane);
            costs[size] += heq_size_cost(state->coefficients, step);
            if (size == 0) {
                heq_quantize(state->coefficients, step, plane, &state->levels);
            }
        }
    }
    size = costs[1] < costs[0];
    for (plane = 0; plane < planes && size == 1; plane++) {
        transform_plane(state, patch, size, plane);
        heq_quantize(state->coefficients, state->steps[3 + plane], plane, &state->levels);
    }
    return size;
}

#endif

static void mode_patch(heq_state *state, const heq_patch *patch)
{
    int size = choose_levels(state, patch);
    heq_settle(&cost_layer, size, state->file.channels, &state->levels);
    heq_device_encode_patch(&state->strip, state->levels.levels, size, state->file.column == 0);
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
