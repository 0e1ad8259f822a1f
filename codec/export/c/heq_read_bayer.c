/* Rows of a Bayer pattern: unpacked, balanced, demosaiced and reduced to 8 bits.
 *
 *     rows given -> sample of its bits -> less black, times gain / 64 -> five rows of 36 samples
 *     five rows  -> the two colours that a pixel lacks -> 8 bits
 *
 * What is lacking is a mean of neighbours, or the mean with gradients of the pixel's own colour:
 * H. S. Malvar, L. He, R. Cutler, "High-quality linear interpolation for demosaicing of
 * Bayer-patterned color images", ICASSP 2004, whose weights are sixteenths and so shifts and
 * additions. Beyond the image its samples are mirrored, which keeps the pattern.
 */

#include "heq_readers.h"
#include "heq_shifts.h"

static int32_t shifted(int32_t value, int shift)
{
    value = (int32_t)((uint32_t)value << shift);
    HEQ_HIDE(value);
    return value;
}

/* A place mirrored at the first and the last of `count`, and of less than three within them. */
static uint32_t mirrored(uint32_t place, int after, uint32_t count)
{
    uint32_t there = place + (uint32_t)after, last = count - 1;
    if (after < 0 && place < (uint32_t)-after) {
        there = (uint32_t)-after - place;
    } else if (there > last) {
        uint32_t over = there - last;
        there = over <= last ? last - over : count; /* or nowhere */
    }
    return there <= last ? there : count == 1 ? 0 : (place + (uint32_t)after) & 1;
}

static uint32_t sample_of(const heq_bayer *format, const uint8_t *row, uint32_t x)
{
    size_t place = x;
    if (format->bits == 8) {
        return row[place];
    }
    if (!format->packed) {
        uint32_t word;
        row += place << 1;
        word = row[0] | (uint32_t)row[1] << 8;
        return format->bits == 16 ? word : word & (((uint32_t)1 << format->bits) - 1);
    }
    if (format->bits == 10) {
        size_t group = place >> 2, four = group << 2;
        HEQ_HIDE(four);
        row += four + group;
        return (uint32_t)row[x & 3] << 2 | (row[4] >> ((x & 3) << 1) & 3u);
    }
    {
        size_t group = place >> 1, two = group << 1;
        HEQ_HIDE(two);
        row += two + group;
        return (uint32_t)row[x & 1] << 4 | (row[2] >> ((x & 1) << 2) & 15u);
    }
}

/* A sample less black, times a gain in 64ths, rounded. */
static uint32_t balanced(uint32_t sample, uint32_t black, uint32_t gain, uint32_t most)
{
    uint32_t sum = 32;
    sample = sample > black ? sample - black : 0;
    if (gain == 0 || gain == 64) {
        return sample;
    }
    for (; gain != 0; gain >>= 1) {
        sum += gain & 1 ? sample : 0;
        sample <<= 1;
    }
    sum >>= 6;
    return sum < most ? sum : most;
}

/* The colour of a sample of a row: 0 red, 1 green, 2 blue. */
static int colour_at(const heq_bayer *format, uint32_t x, uint32_t y)
{
    uint32_t across = (x ^ format->order) & 1, down = (y ^ format->order >> 1) & 1;
    return (int)(across + down);
}

static uint16_t *row_around(heq_bayer *format, uint32_t y)
{
    return format->around + heq_two_shifts((int)(y & 7), 5, 2);
}

/* The samples of a row `after` that of the image which is read, and two columns on either side. */
static void fill_row(heq_bayer *format, const heq_row *row, int after)
{
    uint32_t most = ((uint32_t)1 << format->bits) - 1, y = mirrored(row->y, after, row->height);
    uint16_t *to = row_around(format, row->y + (uint32_t)after);
    const uint8_t *from = row->samples;
    int column;
    uint32_t there;
    for (there = row->y; there < y; there++) {
        from += row->stride;
        HEQ_HIDE(from); /* or the loop becomes a product */
    }
    for (; there > y; there--) {
        from -= row->stride;
        HEQ_HIDE(from);
    }
    for (column = -2; column < row->columns + 2; column++) {
        uint32_t x = mirrored(row->x, column, row->width);
        *to++ = (uint16_t)balanced(sample_of(format, from, x), format->black,
                                   format->gain[colour_at(format, x, y)], most);
    }
}

/* The rows around: all, or the next one where those before it are there from the row above. */
static void fill_rows(heq_bayer *format, const heq_row *row)
{
    int after = 2;
    if (!format->known || (row->y & 31) == 0 || format->x != row->x || format->y + 1 != row->y) {
        after = -2;
    }
    for (; after <= 2; after++) {
        fill_row(format, row, after);
    }
    format->known = 1;
    format->x = row->x;
    format->y = row->y;
}

/* A pixel and those around it, by distance: 1, 2, and the corners. */
typedef struct {
    int32_t own, beside, beside_2, above, above_2, corners;
} neighbours;

static int32_t green_of(const neighbours *at, int bilinear)
{
    int32_t four = at->beside + at->above;
    return bilinear ? (four + 2) >> 2
                    : (shifted(at->own, 3) + shifted(four, 2) -
                       shifted(at->beside_2 + at->above_2, 1) + 8) >> 4;
}

/* Of a green pixel: the colour of the two neighbours `near`, on the line that `near_2` is on. */
static int32_t beside_green(const neighbours *at, int32_t near, int32_t near_2, int32_t other_2,
                            int bilinear)
{
    return bilinear ? (near + 1) >> 1
                    : (shifted(at->own, 3) + shifted(at->own, 1) + shifted(near, 3) -
                       shifted(at->corners + near_2, 1) + other_2 + 8) >> 4;
}

/* Of a red or blue pixel: the other of these colours. */
static int32_t opposite_of(const neighbours *at, int bilinear)
{
    int32_t four = at->beside_2 + at->above_2;
    return bilinear ? (at->corners + 2) >> 2
                    : (shifted(at->own, 3) + shifted(at->own, 2) + shifted(at->corners, 2) -
                       shifted(four, 1) - four + 8) >> 4;
}

/* A value of so many bits to 8. */
static uint8_t to_8(int32_t value, int bits)
{
    if (bits > 8) {
        value = (value + ((int32_t)1 << (bits - 9))) >> (bits - 8);
    }
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void heq_read_bayer(const heq_row *row, uint8_t *pixels)
{
    heq_bayer *format = row->format;
    const uint16_t *lines[5];
    int line, x, bits = format->bits, bilinear = format->bilinear;
    fill_rows(format, row);
    for (line = 0; line < 5; line++) {
        lines[line] = row_around(format, row->y + (uint32_t)line - 2) + 2;
    }
    for (x = 0; x < row->columns; x++) {
        int colour = colour_at(format, row->x + (uint32_t)x, row->y);
        neighbours at;
        int32_t found[3];
        at.own = lines[2][0];
        at.beside = lines[2][-1] + lines[2][1];
        at.beside_2 = lines[2][-2] + lines[2][2];
        at.above = lines[1][0] + lines[3][0];
        at.above_2 = lines[0][0] + lines[4][0];
        at.corners = lines[1][-1] + lines[1][1] + lines[3][-1] + lines[3][1];
        found[colour] = at.own;
        if (colour != 1) {
            found[1] = green_of(&at, bilinear);
            found[2 - colour] = opposite_of(&at, bilinear);
        } else {
            int32_t across = beside_green(&at, at.beside, at.beside_2, at.above_2, bilinear);
            int32_t down = beside_green(&at, at.above, at.above_2, at.beside_2, bilinear);
            int red_row = ((row->y ^ format->order >> 1) & 1) == 0;
            found[0] = red_row ? across : down;
            found[2] = red_row ? down : across;
        }
        pixels[0] = to_8(found[0], bits);
        pixels[1] = to_8(found[1], bits);
        pixels[2] = to_8(found[2], bits);
        pixels += 3;
        for (line = 0; line < 5; line++) {
            lines[line]++;
        }
    }
}
