/* JPEGENC (bitbank2/JPEGENC) for count.c: its class with callbacks, 4:2:0, as its examples use it.
 * It reads BGR. The setting is its level, 0 (best) to 3 (low). */
#include "../count.h"
#include "JPEGENC.h"

static JPEGENC encoder;

static void *open_file(const char *name)
{
    return const_cast<char *>(name);
}

static void close_file(JPEGE_FILE *)
{
}

static int32_t read_file(JPEGE_FILE *, uint8_t *, int32_t)
{
    return 0;
}

static int32_t seek_file(JPEGE_FILE *, int32_t)
{
    return 0;
}

static int32_t write_file(JPEGE_FILE *, uint8_t *bytes, int32_t count)
{
    return put_bytes(bytes, (size_t)count) == 0 ? count : 0;
}

int encode_image(const count_image *from)
{
    JPEGENCODE state;
    int failed = encoder.open("file", open_file, close_file, read_file, write_file, seek_file);
    if (failed == JPEGE_SUCCESS) {
        failed = encoder.encodeBegin(&state, (int)from->width, (int)from->height,
                                     JPEGE_PIXEL_RGB888, JPEGE_SUBSAMPLE_420,
                                     (uint8_t)from->setting);
    }
    if (failed == JPEGE_SUCCESS) {
        failed = encoder.addFrame(&state, const_cast<uint8_t *>(from->pixels),
                                  (int)from->width * 3);
    }
    encoder.close();
    return failed;
}
