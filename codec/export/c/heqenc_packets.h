/* heqenc --packets: an image to packets, each behind its length in two bytes, the higher one first,
 * as `heqcodec packetize` writes them. */
#ifndef HEQENC_PACKETS_H
#define HEQENC_PACKETS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_packets.h"

#if HEQ_VARIABLE_RATE
#define MOST_OPTION " [--most N]"
#define MOST_HELP                                                                                  \
    "  --most N        lower the quality until there are at most N packets, parity not counted\n"
#else
#define MOST_OPTION ""
#define MOST_HELP ""
#endif
#define PACKETS_OPTION                                                                             \
    " [--packets SIZE [--parity PERCENT] [--order ORDER]" MOST_OPTION "]"
#define PACKETS_HELP                                                                               \
    "  --packets SIZE  write packets of at most so many bytes, %d to %d, instead of a file\n"       \
    "  --parity PERCENT  parity packets, in percent of the others, 0 to 100\n"                     \
    "  --order ORDER   interleaved (default) or rows\n"                                            \
    MOST_HELP                                                                                      \
    "  --sender N      0 to 65535; default 0\n"                                                    \
    "  --image N       0 to 255; default 0\n"

typedef struct {
    heq_link link;
    long parity; /* percent */
    long most;   /* packets; 0: as many as it takes */
} packets_command;

static heq_packets sender;

static int write_packet(void *context, const uint8_t *packet, size_t length)
{
    FILE *file = context;
    return putc((int)(length >> 8 & 255), file) == EOF || putc((int)(length & 255), file) == EOF ||
           fwrite(packet, 1, length, file) != length;
}

/* As few groups as can be, of nearly equal size: as codec/packets/parity.py has it. */
static void set_groups(heq_link *link, long percent)
{
    long most = 25500 / (100 + percent), groups = (link->packets + most - 1) / most;
    long size = (link->packets + groups - 1) / groups;
    long parity = (size * percent + 99) / 100;
    link->group = (uint8_t)size;
    link->parity = (uint8_t)(parity < 255 - size ? parity : 255 - size);
}

/* Send all packets of an image in memory. */
static heq_status send_image(packets_command *command, const uint8_t *pixels, size_t stride)
{
    heq_link *link = &command->link;
    heq_status status;
    link->parity = command->parity > 0;
#if HEQ_VARIABLE_RATE
    if (command->most > 0) {
        status = heq_packets_budget(&sender, link, pixels, stride, (uint16_t)command->most);
    } else
#endif
    {
        status = heq_packets_count(&sender, link, pixels, stride);
    }
    if (status != HEQ_OK) {
        return status;
    }
    if (command->parity > 0) {
        set_groups(link, command->parity);
        link->parity_rows = malloc((size_t)HEQ_PARITY_BYTES(link->size, link->parity));
    }
    status = heq_packets_image(&sender, link, pixels, stride);
    free(link->parity_rows);
    link->parity_rows = NULL;
    return status;
}

#endif
