/* The patch-constant mode: a code of the same length for each patch. */

#include "heq_file.h"
#include "heq_patch_code.h"

typedef struct {
    heq_file file; /* first, as in every mode */
    uint16_t bytes; /* of a code */
    int16_t field[HEQ_SIDE * HEQ_SIDE];
    heq_patch_coder coder;
} heq_state;

static const heq_patch_tables patch_tables = {
    patch_significance, patch_flag, patch_refinement, patch_lps, patch_order,
};
static const heq_transform transform = {
    transform_large, transform_small, TRANSFORM_LAYERS, TRANSFORM_SHIFT,
};

/* First times second, or 0 where that is 2^32 or more; additions alone. */
static uint32_t product_of(uint32_t first, uint32_t second)
{
    uint32_t sum = 0;
    while (second != 0) {
        if (second & 1) {
            if (sum + first < sum) {
                return 0;
            }
            sum += first;
        }
        second >>= 1;
        if (second != 0) {
            if (first >> 31) {
                return 0;
            }
            first <<= 1;
        }
    }
    return sum;
}

static int mode_begin(heq_state *state, const heq_image *image)
{
    size_t known = sizeof patch_rates / sizeof *patch_rates;
    while (known > 0 && patch_rates[known - 1] != image->rate) {
        known--;
    }
    state->bytes = image->rate >> 3;
    return known > 0 &&
           product_of(product_of(state->file.columns, state->bytes), state->file.strip_rows) != 0;
}

static void mode_begin_strip(heq_state *state)
{
    const heq_file *file = &state->file;
    uint32_t left = file->rows - file->row;
    uint32_t rows = left < file->strip_rows ? left : file->strip_rows;
    heq_file_put_number(&state->file, file->strip);
    heq_file_put_number(&state->file, product_of(product_of(file->columns, state->bytes), rows));
}

static void mode_patch(heq_state *state, const heq_patch *patch)
{
    int plane, planes = state->file.channels;
#ifdef HEQ_KERNEL_FAST
    heq_square fields[3];
    heq_fast_colour(patch, fields);
    for (plane = 0; plane < planes; plane++) {
        heq_fast_patch_coefficients(&transform, &fields[plane], plane,
                                    state->coder.coefficients[plane]);
    }
#else
    for (plane = 0; plane < planes; plane++) {
        heq_colour(patch, plane, state->field);
        heq_patch_coefficients(&transform, state->field, plane, state->coder.coefficients[plane]);
    }
#endif
    heq_patch_encode(&state->coder, &patch_tables, planes, state->bytes);
    heq_file_put(&state->file, state->coder.code, state->bytes);
}

static void mode_end_strip(heq_state *state, uint32_t index)
{
    (void)index;
    heq_file_put_checksum(&state->file);
}
