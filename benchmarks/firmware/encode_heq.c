/* An exported encoder for count.c. */
#include "count.h"
#include "heq_encoder.h"

static heq_encoder encoder;
#if HEQ_VARIABLE_RATE
static uint8_t payload[1 << 18];
#endif

static int send_bytes(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    return put_bytes(bytes, count);
}

int encode_image(const count_image *from)
{
    heq_image image = {0};
    image.width = from->width;
    image.height = from->height;
    image.channels = 3;
    image.rate = (uint16_t)from->setting;
    image.strip_rows = (uint8_t)from->strip_rows;
    image.write = send_bytes;
#if HEQ_VARIABLE_RATE
    image.rate &= 1023;
    image.tune = (uint8_t)(from->setting >> 10);
    image.payload = payload;
    image.room = sizeof payload;
#endif
    return (int)heq_encode(&encoder, &image, from->pixels, (size_t)from->width * 3);
}
