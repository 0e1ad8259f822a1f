/* A line camera on a serial line: rows of RGB or RGB565 come from standard input, and packets leave as
 * KISS frames, as radio modems and TNCs take them, with parity packets after every ten.
 *
 *     heqcodec export c --out camera/
 *     cc -O2 -DHEQ_PACKETS -Icamera examples/serial_camera.c camera/heq_encoder.c camera/heq_read_rgb.c -o serialcam
 *     ./serialcam 640 480 25 < rows.rgb > /dev/ttyUSB0
 *     ./serialcam 640 480 25 rgb565 < rows.rgb565 > /dev/ttyUSB0
 *     heqcodec assemble - photo.png < /dev/ttyUSB1
 *
 * All memory is static: 32 rows, and heq_packets of 41,088 bytes; no strip is kept anywhere. The number of packets
 * is not known beforehand and need not be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_packets.h"
#include "heq_readers.h"

#define MAX_WIDTH 2048
#define SIZE 222
#define GROUP 10
#define PARITY 3
#define KISS_END 0xC0
#define KISS_ESCAPE 0xDB

static heq_packets packets;
static uint8_t rows[HEQ_PATCH * MAX_WIDTH * 3]; /* what the sensor fills */
static uint8_t parity_rows[HEQ_PARITY_BYTES(SIZE, PARITY)];

static int send(void *context, const uint8_t *packet, size_t length)
{
    FILE *line = context;
    putc(KISS_END, line);
    putc(0, line); /* data for port 0 */
    for (; length > 0; length--, packet++) {
        if (*packet == KISS_END || *packet == KISS_ESCAPE) {
            putc(KISS_ESCAPE, line);
            putc(*packet == KISS_END ? 0xDC : 0xDD, line);
        } else {
            putc(*packet, line);
        }
    }
    putc(KISS_END, line);
    return ferror(line); /* 0: go on */
}

int main(int argc, char **argv)
{
    heq_link link = {0};
    uint32_t row;
    size_t stride;
    int packed = argc == 5 && strcmp(argv[4], "rgb565") == 0;
    if (argc != 4 && !packed) {
        fprintf(stderr, "usage: serialcam WIDTH HEIGHT QUALITY [rgb565] < rows > line\n");
        return 2;
    }
    link.image.read = packed ? heq_read_rgb565_le : NULL;
    link.image.width = (uint32_t)strtoul(argv[1], NULL, 10);
    link.image.height = (uint32_t)strtoul(argv[2], NULL, 10);
    link.image.channels = 3;
    link.image.rate = heq_step_of_quality(atoi(argv[3]));
    link.size = SIZE;
    link.group = GROUP;
    link.parity = PARITY;
    link.parity_rows = parity_rows;
    link.send = send;
    link.context = stdout;
    if (link.image.width > MAX_WIDTH || heq_packets_begin(&packets, &link) != HEQ_OK) {
        fprintf(stderr, "serialcam: width 1 to %d, height 1 to 65535\n", MAX_WIDTH);
        return 2;
    }
    stride = (size_t)link.image.width * (packed ? 2 : 3);
    for (row = 0; row < link.image.height; row += HEQ_PATCH) {
        uint32_t left = link.image.height - row;
        size_t count = left < HEQ_PATCH ? left : HEQ_PATCH;
        if (fread(rows, stride, count, stdin) != count) {
            fprintf(stderr, "serialcam: the rows end too early\n");
            return 1;
        }
        heq_packets_rows(&packets, rows, stride);
    }
    if (heq_packets_end(&packets) != HEQ_OK || fflush(stdout) != 0) {
        fprintf(stderr, "serialcam: the packets could not be sent\n");
        return 1;
    }
    return 0;
}
