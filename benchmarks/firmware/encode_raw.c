/* An exported encoder for count.c that gets 32 rows at a time as a sensor delivers them, with no more
 * memory than that takes. Of the compiler's command: READER, PIXELS_WIDE, STRIDE, BAYER_BITS or 0,
 * and ROOM, bytes of a strip, or of packets where PACKETS, how many
 * there will be, is not 0. */
#include <string.h>

#include "count.h"
#include "heq_packets.h"
#include "heq_readers.h"

#define BORDER (BAYER_BITS != 0 ? 2 : 0) /* rows above and below */
#define ROWS (HEQ_PATCH + BORDER + BORDER)

#if PACKETS
static heq_packets packets;
static heq_link link;
#else
static heq_encoder encoder;
static uint8_t payload[ROOM];
#endif
static uint8_t rows[ROWS * STRIDE];
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
#if !PACKETS
    image.write = send_bytes;
    image.payload = payload;
    image.room = sizeof payload;
#endif
    image.read = READER;
#if BAYER_BITS
    bayer.bits = BAYER_BITS;
    image.format = &bayer;
#endif
#if PACKETS
    link.image = image;
    link.size = ROOM;
    link.packets = PACKETS;
    link.send = send_bytes;
    heq_packets_begin(&packets, &link);
#else
    heq_begin(&encoder, &image);
#endif
    for (row = 0; row < image.height; row += HEQ_PATCH) {
        uint32_t first = row < BORDER ? 0 : row - BORDER, last = row + HEQ_PATCH + BORDER;
        last = last < image.height ? last : image.height;
        memcpy(rows, from->pixels + (size_t)first * STRIDE, (size_t)(last - first) * STRIDE);
#if PACKETS
        heq_packets_rows(&packets, rows + (size_t)(row - first) * STRIDE, STRIDE);
#else
        heq_encode_rows(&encoder, rows + (size_t)(row - first) * STRIDE, STRIDE);
#endif
    }
#if PACKETS
    return (int)heq_packets_end(&packets);
#else
    return (int)heq_end(&encoder);
#endif
}
