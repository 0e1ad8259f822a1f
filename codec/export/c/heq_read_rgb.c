/* Rows of RGB in other orders and widths. */

#include "heq_hide.h"
#include "heq_readers.h"

void heq_read_bgr888(const heq_row *row, uint8_t *pixels)
{
    size_t third = (size_t)row->x << 1;
    const uint8_t *from = row->samples;
    int left;
    HEQ_HIDE(third);
    from += third + row->x;
    for (left = row->columns; left > 0; left--) {
        pixels[0] = from[2];
        pixels[1] = from[1];
        pixels[2] = from[0];
        pixels += 3;
        from += 3;
    }
}

void heq_read_rgba8888(const heq_row *row, uint8_t *pixels)
{
    const uint8_t *from = row->samples + ((size_t)row->x << 2);
    int left;
    for (left = row->columns; left > 0; left--) {
        pixels[0] = from[0];
        pixels[1] = from[1];
        pixels[2] = from[2];
        pixels += 3;
        from += 4;
    }
}

/* The highest bits of a sample are repeated below its lowest, so that the largest becomes 255. */
static void put_565(unsigned high, unsigned low, uint8_t *pixel)
{
    unsigned green = (high & 7) << 3 | low >> 5, blue = low & 31;
    pixel[0] = (uint8_t)((high & 0xF8) | high >> 5);
    pixel[1] = (uint8_t)(green << 2 | green >> 4);
    pixel[2] = (uint8_t)(blue << 3 | blue >> 2);
}

void heq_read_rgb565_le(const heq_row *row, uint8_t *pixels)
{
    const uint8_t *from = row->samples + ((size_t)row->x << 1);
    int left;
    for (left = row->columns; left > 0; left--) {
        put_565(from[1], from[0], pixels);
        pixels += 3;
        from += 2;
    }
}

void heq_read_rgb565_be(const heq_row *row, uint8_t *pixels)
{
    const uint8_t *from = row->samples + ((size_t)row->x << 1);
    int left;
    for (left = row->columns; left > 0; left--) {
        put_565(from[0], from[1], pixels);
        pixels += 3;
        from += 2;
    }
}
