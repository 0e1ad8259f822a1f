/* The functions of heq_encoder.h, for either mode. */

#include "heq_file.h"

typedef char encoder_holds_state[sizeof(heq_state) <= HEQ_ENCODER_BYTES ? 1 : -1];
typedef char int_is_wide_enough[sizeof(int) >= 4 ? 1 : -1];

static uint32_t at_most_32(uint32_t count)
{
    return count < HEQ_PATCH ? count : HEQ_PATCH;
}

heq_status heq_begin(heq_encoder *encoder, const heq_image *image)
{
    heq_state *state = (heq_state *)encoder;
    heq_file_begin(&state->file, image);
    if (state->file.status == HEQ_OK && !mode_begin(state, image)) {
        heq_file_fail(&state->file, HEQ_BAD_IMAGE);
    }
    heq_file_put_header(&state->file, image->rate);
    return (heq_status)state->file.status;
}

/* A patch by its upper left sample, where the file is at. */
static void patch_at(const heq_file *file, const uint8_t *pixels, size_t stride, heq_patch *patch)
{
    patch->pixels = pixels;
    patch->stride = stride;
    patch->channels = file->channels;
    patch->pixel_bytes = file->pixel_bytes;
    patch->columns = (int)at_most_32(file->width - (file->column << 5));
    patch->rows = (int)at_most_32(file->height - (file->row << 5));
}

heq_status heq_encode_patch(heq_encoder *encoder, const uint8_t *pixels, size_t stride)
{
    heq_state *state = (heq_state *)encoder;
    heq_file *file = &state->file;
    heq_patch patch;
    uint32_t strip = file->strip;
    if (file->row >= file->rows) {
        heq_file_fail(file, HEQ_TOO_MANY);
    }
    if (file->status != HEQ_OK) {
        return (heq_status)file->status;
    }
    patch_at(file, pixels, stride, &patch);
    if (file->column == 0 && file->row_of_strip == 0) {
        mode_begin_strip(state);
    }
    mode_patch(state, &patch);
    if (heq_file_advance(file)) {
        mode_end_strip(state, strip);
    }
    return (heq_status)file->status;
}

heq_status heq_encode_rows(heq_encoder *encoder, const uint8_t *rows, size_t stride)
{
    heq_state *state = (heq_state *)encoder;
    size_t across = state->file.pixel_bytes == 1 ? HEQ_PATCH : 3 * HEQ_PATCH;
    uint32_t left;
    if (state->file.column != 0) {
        heq_file_fail(&state->file, HEQ_TOO_FEW);
    }
    for (left = state->file.columns; left > 0; left--) {
        if (heq_encode_patch(encoder, rows, stride) != HEQ_OK) {
            break;
        }
        if (left > 1) {
            rows += across;
        }
    }
    return (heq_status)state->file.status;
}

heq_status heq_end(heq_encoder *encoder)
{
    heq_state *state = (heq_state *)encoder;
    heq_file_end(&state->file);
    return (heq_status)state->file.status;
}

heq_status heq_encode(heq_encoder *encoder, const heq_image *image, const uint8_t *pixels,
                      size_t stride)
{
    heq_state *state = (heq_state *)encoder;
    heq_begin(encoder, image);
    while (state->file.status == HEQ_OK && state->file.row < state->file.rows) {
        heq_encode_rows(encoder, pixels, stride);
        if (state->file.row < state->file.rows) {
            pixels += stride << 5;
        }
    }
    return heq_end(encoder);
}
