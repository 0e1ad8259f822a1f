/* A camera that writes .heq: rows of RGB samples come from standard input, as a line sensor delivers
 * them, and the file leaves through a callback, as through a UART or a radio.
 *
 *     heqcodec export c --out camera/
 *     cc -O2 -Icamera examples/camera.c camera/heq_encoder.c -o heqcam
 *     ./heqcam 640 480 45 < rows.rgb > out.heq
 *
 * All memory is static. On a microcontroller read_rows() waits for the sensor's DMA, and send() hands
 * the bytes on; nothing else changes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "heq_encoder.h"

#define MAX_WIDTH 2048
#define CHANNELS 3

static heq_encoder encoder; /* all memory of the encoder */
static uint8_t rows[HEQ_PATCH * MAX_WIDTH * CHANNELS]; /* what the sensor fills */
static uint8_t payload[HEQ_PATCH * MAX_WIDTH * CHANNELS]; /* a strip, until its length is known */

static int read_rows(size_t count, size_t stride)
{
    return fread(rows, stride, count, stdin) == count;
}

static int send(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    return fwrite(bytes, 1, length, stdout) != length; /* 0: go on */
}

int main(int argc, char **argv)
{
    heq_image image = {0};
    uint32_t row;
    size_t stride;
    if (argc != 4) {
        fprintf(stderr, "usage: heqcam WIDTH HEIGHT QUALITY < rows.rgb > out.heq\n");
        return 2;
    }
    image.width = (uint32_t)strtoul(argv[1], NULL, 10);
    image.height = (uint32_t)strtoul(argv[2], NULL, 10);
    if (image.width == 0 || image.width > MAX_WIDTH || image.height == 0) {
        fprintf(stderr, "heqcam: width 1 to %d, height from 1\n", MAX_WIDTH);
        return 2;
    }
    image.channels = CHANNELS;
    image.rate = heq_step_of_quality(atoi(argv[3]));
    image.strip_rows = 1; /* one row of patches: least memory, and least loss by a damaged byte */
    image.write = send;
    image.payload = payload;
    image.room = sizeof payload;
    stride = (size_t)image.width * CHANNELS;

    heq_begin(&encoder, &image);
    for (row = 0; row < image.height; row += HEQ_PATCH) {
        uint32_t left = image.height - row;
        size_t count = left < HEQ_PATCH ? left : HEQ_PATCH;
        if (!read_rows(count, stride)) {
            fprintf(stderr, "heqcam: the rows end too early\n");
            return 1;
        }
        heq_encode_rows(&encoder, rows, stride);
    }
    if (heq_end(&encoder) != HEQ_OK) { /* what went wrong first, wherever it was */
        fprintf(stderr, "heqcam: the file could not be written\n");
        return 1;
    }
    return 0;
}
