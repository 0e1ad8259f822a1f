/* Heads of PPM and PGM images, as the exported programs read them. */
#include "harness.h"
#include "heq_pnm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    heq_pnm image;
    if (file == NULL) {
        return 0;
    }
    if (read_head(file, &image) == NULL) {
        EXPECT(image.width > 0 && image.width < 1000000000 && image.height > 0);
        EXPECT(image.channels == 1 || image.channels == 3);
    }
    fclose(file);
    return 0;
}
