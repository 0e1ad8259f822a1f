/* An exported encoder for count.c that gets 32 rows at a time as a sensor delivers them, with no more
 * memory than that takes. Of the compiler's command: READER, PIXELS_WIDE, STRIDE, BAYER_BITS or 0,
 * and ROOM, bytes of a strip. */
#include <string.h>

#include "count.h"
#include "heq_readers.h"

#define BORDER (BAYER_BITS != 0 ? 2 : 0) /* rows above and below */
#define ROWS (HEQ_PATCH + BORDER + BORDER)

static heq_encoder encoder;
static uint8_t rows[ROWS * STRIDE];
static uint8_t payload[ROOM];
#if BAYER_BITS
static heq_bayer bayer;
#endif

static int send_bytes(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    return put_bytes(bytes, count);
}

int encode_image(const count_image *from)
{
    heq_image image = {0};
    uint32_t row;
    image.width = from->width;
    image.height = from->height;
    image.channels = 3;
    image.rate = (uint16_t)from->setting;
    image.strip_rows = 1;
    image.write = send_bytes;
    image.payload = payload;
    image.room = sizeof payload;
    image.read = READER;
#if BAYER_BITS
    bayer.bits = BAYER_BITS;
    image.format = &bayer;
#endif
    heq_begin(&encoder, &image);
    for (row = 0; row < image.height; row += HEQ_PATCH) {
        uint32_t first = row < BORDER ? 0 : row - BORDER, last = row + HEQ_PATCH + BORDER;
        last = last < image.height ? last : image.height;
        memcpy(rows, from->pixels + (size_t)first * STRIDE, (size_t)(last - first) * STRIDE);
        heq_encode_rows(&encoder, rows + (size_t)(row - first) * STRIDE, STRIDE);
    }
    return (int)heq_end(&encoder);
}
