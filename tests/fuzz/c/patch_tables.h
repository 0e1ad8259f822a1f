/* Tables of the patch coder, and room for what its decoder tells. */
#ifndef HEQ_FUZZ_PATCH_TABLES_H
#define HEQ_FUZZ_PATCH_TABLES_H

#include "harness.h"
#include "heq_patch_decode.h"

enum { PATCH_CELLS = 3 * HEQ_CODE_CELLS, MAGNITUDE_BITS = 18 };

static inline const heq_patch_tables *patch_tables(void)
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

/* What a code tells, each array of a size that the address sanitizer guards. */
static inline heq_patch_intervals decoded_patch(const uint8_t *code, size_t bytes, int planes)
{
    heq_patch_intervals told = {calloc(PATCH_CELLS, sizeof(int32_t)),
                                calloc(PATCH_CELLS, sizeof(int32_t)), calloc(PATCH_CELLS, 1),
                                calloc(HEQ_ZONES, 1)};
    uint8_t *exact = malloc(bytes > 0 ? bytes : 1);
    EXPECT(told.low && told.width && told.negative && told.reached && exact);
    if (bytes > 0) {
        memcpy(exact, code, bytes);
    }
    heq_patch_decode(patch_tables(), exact, bytes, planes, &told);
    free(exact);
    return told;
}

static inline void drop_intervals(heq_patch_intervals *told)
{
    free(told->low);
    free(told->width);
    free(told->negative);
    free(told->reached);
}

#endif
