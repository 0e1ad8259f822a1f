/* Levels of any kind come back from the device coder, or from the packed one.
 *
 * Input: planes and coder, step, rows, columns, room; sizes of the patches; then runs: how many levels to go
 * on, and a level of a byte, or, after the byte 128, of two. */
#include "coders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = {data, size};
    int kind = (int)take_byte(&from), planes = kind & 1 ? 3 : 1;
    int step = (int)take_number(&from, 0, 1023);
    int rows = (int)take_number(&from, 1, 2), columns = rows == 2 ? 1 : (int)take_number(&from, 1, 2);
    size_t room = take_number(&from, 0, 255), place, patch;
    strip made = new_strip(rows, columns, planes, step);
    for (patch = 0; patch < patches_of(&made); patch++) {
        made.sizes[patch] = (uint8_t)(take_byte(&from) & 1);
    }
    for (place = 0; from.left > 0; place++) {
        int level;
        place += take_byte(&from);
        if (place >= levels_of(&made)) {
            break;
        }
        level = (int8_t)take_byte(&from);
        if (level == -128) {
            level = (int16_t)(uint16_t)take_number(&from, 0, 65535);
        }
        made.levels[place] = (int16_t)(level < -32767 ? -32767 : level);
    }
    if (kind & 2) {
        expect_packed_round_trip(&made, room);
    } else {
        expect_device_round_trip(&made, room);
    }
    drop_strip(&made);
    return 0;
}
