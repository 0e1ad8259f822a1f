/* Rows of Y, Cb and Cr: BT.601 in 256ths, by shifts and additions, rounded and clipped.
 *
 *     all 0..255:  R = Y + 359 V / 256
 *                  G = Y - (88 U + 183 V) / 256
 *                  B = Y + 454 U / 256
 *     limited:     R = (298 C + 409 V) / 256
 *                  G = (298 C - 100 U - 208 V) / 256
 *                  B = (298 C + 516 U) / 256
 *
 * with U = Cb - 128, V = Cr - 128 and C = Y - 16. Pixels share the Cb and Cr next to them.
 */

#include "heq_hide.h"
#include "heq_readers.h"

/* What Cb and Cr add to a pixel of each colour, in 256ths. */
typedef struct {
    int32_t red, green, blue;
} colour;

/* value << shift, of which the compiler cannot make part of a multiplication. */
static int32_t shifted(int32_t value, int shift)
{
    value = (int32_t)((uint32_t)value << shift);
    HEQ_HIDE(value);
    return value;
}

static colour colour_of(int32_t u, int32_t v, int limited)
{
    colour made;
    if (limited) {
        made.red = shifted(v, 8) + shifted(v, 7) + shifted(v, 4) + shifted(v, 3) + v;
        made.green = -(shifted(u, 6) + shifted(u, 5) + shifted(u, 2)) -
                     (shifted(v, 7) + shifted(v, 6) + shifted(v, 4));
        made.blue = shifted(u, 9) + shifted(u, 2);
    } else {
        made.red = shifted(v, 8) + shifted(v, 6) + shifted(v, 5) + shifted(v, 3) - v;
        made.green = -(shifted(u, 6) + shifted(u, 4) + shifted(u, 3)) -
                     (shifted(v, 7) + shifted(v, 6) - shifted(v, 3) - v);
        made.blue = shifted(u, 9) - shifted(u, 6) + shifted(u, 2) + shifted(u, 1);
    }
    return made;
}

/* Of 256ths, rounded. */
static uint8_t clipped(int32_t value)
{
    value = (value + 128) >> 8;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void put_pixel(int32_t luma, const colour *made, int limited, uint8_t *pixel)
{
    int32_t level = luma << 8;
    if (limited) {
        luma -= 16;
        level = shifted(luma, 8) + shifted(luma, 5) + shifted(luma, 3) + shifted(luma, 1);
    }
    pixel[0] = clipped(level + made->red);
    pixel[1] = clipped(level + made->green);
    pixel[2] = clipped(level + made->blue);
}

/* Pixels by twos. `luma` and so on: the first sample of each, `next` bytes before its second, and
 * `twice` and `chroma` before those of the next two pixels. */
static void read_pairs(const heq_row *row, const uint8_t *luma, int next, const uint8_t *u,
                       const uint8_t *v, int chroma, int limited, uint8_t *pixels)
{
    int left = row->columns;
    for (;;) {
        colour made = colour_of(*u - 128, *v - 128, limited);
        put_pixel(luma[0], &made, limited, pixels);
        if (left > 1) {
            put_pixel(luma[next], &made, limited, pixels + 3);
        }
        left -= 2;
        if (left <= 0) {
            break;
        }
        pixels += 6;
        luma += next << 1;
        u += chroma;
        v += chroma;
    }
}

static int is_limited(const heq_row *row)
{
    const heq_yuv *format = row->format;
    return format != NULL && format->limited;
}

void heq_read_yuyv(const heq_row *row, uint8_t *pixels)
{
    const uint8_t *from = row->samples + ((size_t)row->x << 1);
    read_pairs(row, from, 2, from + 1, from + 3, 4, is_limited(row), pixels);
}

void heq_read_uyvy(const heq_row *row, uint8_t *pixels)
{
    const uint8_t *from = row->samples + ((size_t)row->x << 1);
    read_pairs(row, from + 1, 2, from, from + 2, 4, is_limited(row), pixels);
}

void heq_read_yuv420(const heq_row *row, uint8_t *pixels)
{
    const heq_yuv *format = row->format;
    size_t across = (size_t)(row->x >> 1) << (format->step == 2), down = 0, rows = format->stride;
    uint32_t below;
    for (below = (row->y - format->top) >> 1; below != 0; below >>= 1) {
        down += below & 1 ? rows : 0;
        rows <<= 1;
    }
    across += down;
    read_pairs(row, row->samples + row->x, 1, format->u + across, format->v + across, format->step,
               format->limited, pixels);
}
