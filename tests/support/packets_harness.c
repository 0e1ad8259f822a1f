/* Uses the functions of an exported heq_packets.h; tests/export/test_export_packets.py builds and
 * runs it.
 *
 *     harness rows|whole|resend|again|budget WIDTH HEIGHT CHANNELS RATE SIZE [NUMBER...]
 *         < samples > packets, each behind its length in two bytes
 *     harness mistakes                                               exits 0 where all are seen
 *
 * `again` sends again without places, `resend` with them. The only NUMBER of `budget` is that of
 * packets; patch-constant models have no budget and no mistakes. Rows have groups of 10 packets and 3 of parity where the first NUMBER is 3.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_packets.h"

static heq_packets packets;
static heq_packet_place places[2000];
static uint8_t parity_rows[HEQ_PARITY_BYTES(HEQ_PACKET_MAX, 3)];
static uint16_t numbers[2000];
static size_t numbers_count;
static long calls, allowed = -1;

static int send(void *context, const uint8_t *packet, size_t length)
{
    calls++;
    return (allowed >= 0 && calls > allowed) || putc((int)(length >> 8), context) == EOF ||
           putc((int)(length & 255), context) == EOF ||
           fwrite(packet, 1, length, context) != length;
}

static int drop(void *context, const uint8_t *packet, size_t length)
{
    (void)context;
    (void)packet;
    return length == 0;
}

static heq_link link_of(char **arguments)
{
    heq_link link = {0};
    link.image.width = (uint32_t)atoi(arguments[0]);
    link.image.height = (uint32_t)atoi(arguments[1]);
    link.image.channels = (uint8_t)atoi(arguments[2]);
    link.image.rate = (uint16_t)atoi(arguments[3]);
    link.size = (uint16_t)atoi(arguments[4]);
    link.interleaved = 1;
    link.send = send;
    link.context = stdout;
    return link;
}

static heq_status run(const char *how, heq_link *link, const uint8_t *samples, size_t stride)
{
    heq_status status;
    uint32_t row;
    if (strcmp(how, "rows") == 0) {
        link->interleaved = 0;
        if (numbers_count > 0) {
            link->group = 10;
            link->parity = (uint8_t)numbers[0];
            link->parity_rows = parity_rows;
        }
        heq_packets_begin(&packets, link);
        for (row = 0; row < link->image.height; row += HEQ_PATCH) {
            heq_packets_rows(&packets, samples + stride * row, stride);
        }
        return heq_packets_end(&packets);
    }
#if HEQ_VARIABLE_RATE
    if (strcmp(how, "budget") == 0) {
        status = heq_packets_budget(&packets, link, samples, stride, numbers[0]);
        return status != HEQ_OK ? status : heq_packets_image(&packets, link, samples, stride);
    }
#endif
    status = heq_packets_count(&packets, link, samples, stride);
    if (status != HEQ_OK || strcmp(how, "whole") == 0) {
        return status != HEQ_OK ? status : heq_packets_image(&packets, link, samples, stride);
    }
    if (strcmp(how, "resend") == 0) {
        link->places = places;
        link->places_room = sizeof places / sizeof *places;
    }
    link->send = drop;
    status = heq_packets_image(&packets, link, samples, stride);
    link->send = send;
    return status != HEQ_OK ? status
                            : heq_packets_resend(&packets, link, samples, stride, numbers,
                                                 numbers_count);
}

#if HEQ_VARIABLE_RATE

#define EXPECT(condition)                                            \
    if (!(condition)) {                                              \
        fprintf(stderr, "line %d: %s\n", __LINE__, #condition);      \
        return 1;                                                    \
    }

static heq_status begun(const heq_link *link)
{
    heq_packets_begin(&packets, link);
    return heq_packets_end(&packets);
}

/* What a careless caller gets. */
static int mistakes(void)
{
    static uint8_t samples[64 * 64 * 3], noise[64 * 64 * 3];
    static char *sizes[] = {"64", "64", "3", "600", "100"};
    heq_link good = link_of(sizes), link;
    uint16_t last[2] = {0, 60000};
    size_t place;
    good.send = drop;
    for (place = 0; place < sizeof noise; place++) {
        noise[place] = (uint8_t)(place * 2654435761u >> 13);
    }
    EXPECT(heq_packets_image(&packets, &good, samples, 192) == HEQ_OK);
    EXPECT(begun(&good) == HEQ_TOO_FEW);
    EXPECT(heq_packets_rows(&packets, samples, 192) != HEQ_OK);
#define WRONG(change)                        \
    link = good;                             \
    change;                                  \
    EXPECT(begun(&link) == HEQ_BAD_IMAGE)
    WRONG(link.image.width = 0);
    WRONG(link.image.width = 65536);
    WRONG(link.image.height = 65536);
    WRONG(link.image.width = link.image.height = 65535);
    WRONG(link.image.channels = 2);
    WRONG(link.image.rate = 1024);
    WRONG(link.size = 31);
    WRONG(link.size = HEQ_PACKET_MAX + 1);
    WRONG(link.interleaved = 2);
    WRONG(link.send = NULL);
    WRONG(link.places_room = 1);
    WRONG(link.parity = 1);
    WRONG(link.parity = 1; link.group = 1);
    WRONG(link.parity = 56; link.group = 200; link.parity_rows = parity_rows);
    WRONG(link.parity = 1; link.group = 1; link.parity_rows = parity_rows; link.size = 37);
    link = good;
    EXPECT(heq_packets_begin(&packets, &link) == HEQ_OK);
    EXPECT(heq_packets_rows(&packets, samples, 192) == HEQ_BAD_IMAGE);
    link.interleaved = 0;
    heq_packets_begin(&packets, &link);
    EXPECT(heq_packets_rows(&packets, samples, 192) == HEQ_OK);
    EXPECT(heq_packets_end(&packets) == HEQ_TOO_FEW);
    heq_packets_begin(&packets, &link);
    heq_packets_rows(&packets, samples, 192);
    heq_packets_rows(&packets, samples, 192);
    EXPECT(heq_packets_rows(&packets, samples, 192) == HEQ_TOO_MANY);
    link.image.rate = 112;
    link.size = 32;
    EXPECT(heq_packets_image(&packets, &link, noise, 192) == HEQ_NO_ROOM);
    link = good;
    link.send = send;
    allowed = 0;
    EXPECT(heq_packets_image(&packets, &link, samples, 192) == HEQ_WRITE_FAILED);
    EXPECT(calls == 1); /* none after the one that failed */
    link.send = drop;
    EXPECT(heq_packets_resend(&packets, &link, samples, 192, NULL, 0) == HEQ_OK);
    EXPECT(heq_packets_resend(&packets, &link, samples, 192, last, 2) == HEQ_OK);
    link.places = places;
    link.places_room = sizeof places / sizeof *places;
    places[0].first = 9; /* of 4 patches */
    EXPECT(heq_packets_resend(&packets, &link, samples, 192, last, 1) == HEQ_BAD_IMAGE);
    good.size = 1400;
    EXPECT(heq_packets_budget(&packets, &good, noise, 192, 1) == HEQ_OK && good.packets == 1);
    EXPECT(good.image.rate > 600);
    good.image.rate = 600;
    EXPECT(heq_packets_budget(&packets, &good, noise, 192, 0) == HEQ_NO_ROOM);
    return 0;
}

#else

static int mistakes(void)
{
    return 1;
}

#endif

int main(int count, char **arguments)
{
    heq_link link;
    size_t stride, length;
    uint8_t *samples;
    int index;
    heq_status status;
    if (count == 2 && strcmp(arguments[1], "mistakes") == 0) {
        return mistakes();
    }
    if (count < 7) {
        return 100;
    }
    link = link_of(arguments + 2);
    for (index = 7; index < count && numbers_count < 2000; index++) {
        numbers[numbers_count++] = (uint16_t)atoi(arguments[index]);
    }
    stride = (size_t)link.image.width * link.image.channels;
    length = stride * link.image.height;
    samples = malloc(length); /* of just this size, so that reading beyond is found */
    if (samples == NULL || fread(samples, 1, length, stdin) != length) {
        return 100;
    }
    status = run(arguments[1], &link, samples, stride);
    free(samples);
    return (int)status;
}
