/* The patch code of coefficients of any kind: a shorter code is the beginning of a longer one, and
 * what it tells holds the coefficients.
 *
 * Input: planes and length; then runs: how many coefficients to go on, and one of four bytes. */
#include "patch_tables.h"

static void fill(heq_patch_coder *coder, input from, int planes)
{
    int place = 0, most = planes * HEQ_SIDE * HEQ_SIDE;
    memset(coder, 0, sizeof *coder);
    for (; from.left > 0; place++) {
        uint32_t value;
        int shift;
        place += (int)take_byte(&from);
        if (place >= most) {
            break;
        }
        value = take_byte(&from);
        value = value << 8 | take_byte(&from);
        shift = (int)(take_byte(&from) & 15);
        /* A magnitude of 13 bits, and the sign in bit 15. */
        coder->coefficients[place >> 10][place & 1023] =
            (((int32_t)value - 32768) >> (15 - shift)) & ~0x6000;
    }
}

/* Of what the coder leaves out, five bits, a decoder is told that they are any. */
static void expect_intervals(const heq_patch_coder *coder, int planes, int length)
{
    heq_patch_intervals told = decoded_patch(coder->code, (size_t)length, planes);
    int place;
    for (place = 0; place < planes * HEQ_SIDE * HEQ_SIDE; place++) {
        int value = coder->coefficients[place >> 10][place & 1023];
        int plane = place >> 10, row = place >> 5 & 31, column = place & 31;
        int cell = (plane * HEQ_CODE_SIDE + row + 2) * HEQ_CODE_SIDE + column + 2;
        int32_t low = (value & 0x7FFF) << 5;
        if (told.width[cell] > 0) {
            EXPECT(told.low[cell] <= low && low + 31 < told.low[cell] + told.width[cell]);
            EXPECT(told.negative[cell] == (value < 0));
        }
    }
    drop_intervals(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static heq_patch_coder whole, part;
    input from = {data, size};
    int planes = take_byte(&from) & 1 ? 3 : 1;
    int length = (int)take_number(&from, 1, HEQ_CODE_BITS / 8);
    fill(&whole, from, planes);
    fill(&part, from, planes);
    heq_patch_encode(&whole, patch_tables(), planes, HEQ_CODE_BITS / 8);
    heq_patch_encode(&part, patch_tables(), planes, length);
    EXPECT(memcmp(whole.code, part.code, (size_t)length) == 0);
    expect_intervals(&whole, planes, HEQ_CODE_BITS / 8);
    expect_intervals(&part, planes, length);
    return 0;
}
