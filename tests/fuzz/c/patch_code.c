/* The patch code of coefficients of any kind: a shorter code is the beginning of a longer one.
 *
 * Input: planes and length; then runs: how many coefficients to go on, and one of four bytes. */
#include "harness.h"
#include "heq_patch_code.h"

static const heq_patch_tables *patch_tables(void)
{
    static heq_patch_tables tables;
    if (tables.lps == NULL) {
        FILE *file = open_tables(TABLES "/patch.bin");
        tables.significance = next_table(file, HEQ_ZONES * HEQ_BIT_PLANES * 48);
        tables.flag = next_table(file, HEQ_ZONES * HEQ_BIT_PLANES * 8);
        tables.refinement = next_table(file, HEQ_ZONES * HEQ_BIT_PLANES * 2);
        tables.lps = next_table(file, 128 * 8 * 2);
        tables.order = next_table(file, HEQ_ZONES);
        fclose(file);
    }
    return &tables;
}

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
        /* Of what the transforms can give; see codec/native/transform_packing.py. */
        coder->coefficients[place >> 10][place & 1023] = ((int32_t)value - 32768) >> (15 - shift);
    }
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
    return 0;
}
