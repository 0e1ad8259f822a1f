/* What encoders of the patch-constant mode have in common: rates, and strips whose length is known
 * before their first code. The state has `file` and `bytes`. */
#ifndef HEQ_PATCH_MODE_H
#define HEQ_PATCH_MODE_H

#include "heq_file.h"

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
    heq_file_put_strip_head(&state->file, file->strip, (uint16_t)(state->bytes << 3),
                            product_of(product_of(file->columns, state->bytes), rows));
}

static void mode_end_strip(heq_state *state, uint32_t index)
{
    (void)index;
    heq_file_put_checksum(&state->file);
}

#endif
