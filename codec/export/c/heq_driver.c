/* The functions of heq_encoder.h, for either mode. */

#include "heq_file.h"

typedef char encoder_holds_state[sizeof(heq_state) <= HEQ_ENCODER_BYTES ? 1 : -1];
typedef char int_is_wide_enough[sizeof(int) >= 4 ? 1 : -1];

/* Rows of a patch that a reader of the caller's takes. */
typedef struct {
    heq_row row;
    uint32_t top;
    heq_reader read;
} row_source;

static void read_row(void *source, const uint8_t *samples, int y, uint8_t *pixels)
{
    row_source *from = source;
    from->row.samples = samples;
    from->row.y = from->top + (uint32_t)y;
    from->read(&from->row, pixels);
}

static void begin_source(row_source *source, const heq_file *file, const heq_patch *patch)
{
    source->row.samples = patch->pixels;
    source->row.stride = patch->stride;
    source->row.width = file->width;
    source->row.height = file->height;
    source->row.x = file->column << 5;
    source->row.y = source->top = file->row << 5;
    source->row.columns = patch->columns;
    source->row.format = file->format;
    source->read = file->read;
}

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
#if HEQ_VARIABLE_RATE
    if (image->budget != 0) { /* the header has the step of the first strip */
        return (heq_status)state->file.status;
    }
#endif
    heq_file_put_header(&state->file, image->rate);
    return (heq_status)state->file.status;
}

/* A patch of the caller's, and what its rows come by. */
typedef struct {
    heq_patch patch;
    row_source source;
} given_patch;

/* The patch that the file is at, by its upper left sample, or by its rows for a reader. */
static void patch_at(const heq_file *file, const uint8_t *pixels, size_t stride, given_patch *given)
{
    heq_patch *patch = &given->patch;
    patch->pixels = pixels;
    patch->stride = stride;
    patch->channels = file->channels;
    patch->pixel_bytes = file->pixel_bytes;
    patch->columns = (int)at_most_32(file->width - (file->column << 5));
    patch->rows = (int)at_most_32(file->height - (file->row << 5));
    patch->read = file->read == NULL ? NULL : read_row;
    patch->source = &given->source;
    begin_source(&given->source, file, patch);
}

#if HEQ_VARIABLE_RATE

/* Apart: see settle(). */
HEQ_APART static void quantize_patch_at(heq_state *state, const uint8_t *pixels, size_t stride,
                                        coded_patch *made)
{
    given_patch given;
    patch_at(&state->file, pixels, stride, &given);
    quantize(state, &given.patch, made);
}

/* Code the next patch. */
static void code_patch_at(heq_state *state, const uint8_t *pixels, size_t stride)
{
    coded_patch coded;
    quantize_patch_at(state, pixels, stride, &coded);
    settle(state, &coded);
    fit_patch(state, &coded);
    encode_levels(state, &coded, state->file.column == 0);
}

#else

/* Code the next patch. */
static void code_patch_at(heq_state *state, const uint8_t *pixels, size_t stride)
{
    given_patch given;
    patch_at(&state->file, pixels, stride, &given);
    heq_file_put(&state->file, mode_code(state, &given.patch), state->bytes);
}

#endif

/* Bytes from a patch to the next one in rows. */
static size_t bytes_across(const heq_file *file)
{
    /* A reader begins at column 0. */
    return file->read != NULL ? 0 : file->pixel_bytes == 1 ? HEQ_PATCH : 3 * HEQ_PATCH;
}

#if HEQ_VARIABLE_RATE
static void code_row_patches(heq_state *state, const uint8_t *rows, size_t stride)
{
    heq_file *file = &state->file;
    size_t across = bytes_across(file);
    for (file->column = 0;;) {
        code_patch_at(state, rows, stride);
        if (++file->column == file->columns) {
            break;
        }
        rows += across;
    }
    file->column = 0;
}

/* Code the next strip, all of whose rows are there. Returns how many rows of patches it has. */
static uint32_t code_strip(heq_state *state, const uint8_t *rows, size_t stride)
{
    heq_file *file = &state->file;
    uint32_t left = file->rows - file->row, done;
    uint32_t count = left < file->strip_rows ? left : file->strip_rows;
    mode_strip(state, rows, stride, count);
    for (done = 0; done < count; done++) {
        file->column = file->columns - 1;
        heq_file_advance(file);
    }
    return count;
}
#endif

/* Is there another patch to come? */
static int goes_on(heq_file *file)
{
    if (file->row >= file->rows) {
        heq_file_fail(file, HEQ_TOO_MANY);
    }
    return file->status == HEQ_OK;
}

heq_status heq_encode_patch(heq_encoder *encoder, const uint8_t *pixels, size_t stride)
{
    heq_state *state = (heq_state *)encoder;
    heq_file *file = &state->file;
    uint32_t strip = file->strip;
#if HEQ_VARIABLE_RATE
    if (state->budget != 0) { /* a strip may have to be coded again */
        heq_file_fail(file, HEQ_TOO_FEW);
    }
#endif
    if (!goes_on(file)) {
        return (heq_status)file->status;
    }
    if (file->column == 0 && file->row_of_strip == 0) {
        mode_begin_strip(state);
    }
    code_patch_at(state, pixels, stride);
    if (heq_file_advance(file)) {
        mode_end_strip(state, strip);
    }
    return (heq_status)file->status;
}

heq_status heq_encode_rows(heq_encoder *encoder, const uint8_t *rows, size_t stride)
{
    heq_state *state = (heq_state *)encoder;
    heq_file *file = &state->file;
    size_t across = bytes_across(file);
    uint32_t left;
    if (file->column != 0) {
        heq_file_fail(file, HEQ_TOO_FEW);
    }
#if HEQ_VARIABLE_RATE
    if (file->strip_rows == 1 && mode_codes_again(state)) {
        if (goes_on(file)) {
            code_strip(state, rows, stride);
        }
        return (heq_status)file->status;
    }
#endif
    for (left = file->columns; left > 0; left--) {
        if (heq_encode_patch(encoder, rows, stride) != HEQ_OK) {
            break;
        }
        if (left > 1) {
            rows += across;
        }
    }
    return (heq_status)file->status;
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
    const uint8_t *rows = pixels;
    heq_begin(encoder, image);
    while (state->file.status == HEQ_OK && state->file.row < state->file.rows) {
        uint32_t count = 1;
#if HEQ_VARIABLE_RATE
        if (mode_codes_again(state)) {
            count = code_strip(state, rows, stride);
        } else {
            heq_encode_rows(encoder, rows, stride);
        }
#else
        heq_encode_rows(encoder, rows, stride);
#endif
        if (state->file.row == 0) { /* all of them come again */
            rows = pixels;
        } else if (state->file.row < state->file.rows) {
            for (; count > 0; count--) {
                rows += stride << 5;
                HEQ_HIDE(rows);
            }
        }
    }
    return heq_end(encoder);
}
