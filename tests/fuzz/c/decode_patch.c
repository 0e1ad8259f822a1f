/* Patch codes of any bytes and length: each tells intervals of coefficients, and its first half tells
 * wider ones of the same.
 *
 * Input: planes; then the code. */
#include "patch_tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = {data, size};
    int planes = take_byte(&from) & 1 ? 3 : 1, cell, zone;
    heq_patch_intervals whole = decoded_patch(from.next, from.left, planes);
    /* A code that begins with 16 ones is never written and tells nothing, its first byte would. */
    int unwritten = from.left >= 2 && from.next[0] == 255 && from.next[1] == 255;
    heq_patch_intervals half = decoded_patch(from.next, unwritten ? 0 : from.left >> 1, planes);
    for (cell = 0; cell < PATCH_CELLS; cell++) {
        int32_t low = whole.low[cell], width = whole.width[cell];
        int row = cell / HEQ_CODE_SIDE % HEQ_CODE_SIDE, column = cell % HEQ_CODE_SIDE;
        EXPECT(low >= 0 && low + width <= 1 << MAGNITUDE_BITS && (width & (width - 1)) == 0);
        if (width == 0) {
            EXPECT(low == 0 && !whole.negative[cell] && half.width[cell] == 0);
        } else {
            EXPECT(low >= width && (low & (width - 1)) == 0);
            EXPECT(cell < planes * HEQ_CODE_CELLS);
            EXPECT(row >= 2 && row < 34 && column >= 2 && column < 34);
        }
        if (half.width[cell] > 0) {
            EXPECT(half.low[cell] <= low);
            EXPECT(low + width <= half.low[cell] + half.width[cell]);
            EXPECT(half.negative[cell] == whole.negative[cell]);
        }
    }
    for (zone = 0; zone < HEQ_ZONES; zone++) {
        EXPECT(half.reached[zone] <= whole.reached[zone]);
        EXPECT(whole.reached[zone] <= HEQ_BIT_PLANES);
    }
    drop_intervals(&whole);
    drop_intervals(&half);
    return 0;
}
