/* heq_packets: packets for links that lose some of them, as `heqcodec packetize` makes them and
 * `heqcodec assemble` puts them together (docs/PACKETS.md of heqcodec). Compile heq_encoder.c with
 * HEQ_PACKETS defined.
 *
 *     static heq_packets packets;                     // HEQ_PACKETS_BYTES
 *     int transmit(void *context, const uint8_t *packet, size_t length);      // 0: go on
 *
 *     heq_link link = {0};
 *     link.image.width = 640;                         // and height, channels, rate; see heq_image
 *     link.size = 222;
 *     link.send = transmit;
 *     heq_packets_begin(&packets, &link);
 *     while (rows come from the sensor)               // 32 at a time
 *         heq_packets_rows(&packets, rows, 640 * 3);
 *     status = heq_packets_end(&packets);
 *
 * With the image in memory heq_packets_image() does all this, in either order, and
 * heq_packets_resend() makes single packets again: same image, same link, same bytes.
 */
#ifndef HEQ_PACKETS_H
#define HEQ_PACKETS_H

#include "heq_encoder.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HEQ_PACKET_MIN 32
#define HEQ_PACKET_MAX 1400
#if HEQ_VARIABLE_RATE
#define HEQ_PACKETS_BYTES (41088 - 2 * HEQ_ENCODER_SAVED)
#else
#define HEQ_PACKETS_BYTES (HEQ_ENCODER_BYTES + 2048)
#endif

/* Room for the parity packets of a group. */
#define HEQ_PARITY_BYTES(size, parity) (((size) - 14) * (parity))

/* Takes the next packet. Returns 0; anything else ends the sending. */
typedef int (*heq_send)(void *context, const uint8_t *packet, size_t length);

/* Where a packet begins: what heq_packets_resend needs to make it alone. */
typedef struct {
    uint16_t first; /* position of its first patch */
    uint8_t cut;    /* bands of it that the packets before have; 0: it begins here, as always in
                     * patch-constant mode */
} heq_packet_place;

typedef struct {
    heq_image image;     /* at most 65535 pixels a side and 65536 patches; write and payload are
                          * not used */
    uint16_t sender;     /* who sends */
    uint8_t number;      /* of the image */
    uint8_t interleaved; /* 1: neighbours far apart; only with the image in memory */
    uint16_t size;       /* most bytes of a packet, HEQ_PACKET_MIN to HEQ_PACKET_MAX */
    uint16_t packets;    /* that the image has, without parity packets; 0: not known */
    uint8_t start_every; /* one packet in so many tells model and size; 0: eight */
    uint8_t group;       /* forward error correction: packets of a group, ... */
    uint8_t parity;      /* ... its parity packets, at most 255 - group; 0: none */
    uint8_t *parity_rows;      /* HEQ_PARITY_BYTES(size, parity) */
    heq_packet_place *places;  /* set for each packet up to places_room of them; may be NULL */
    size_t places_room;
    heq_send send;
    void *context; /* given to send */
} heq_link;

/* All memory of a sender; its content is its own matter. */
typedef union {
    uint8_t bytes[HEQ_PACKETS_BYTES];
    uint32_t word;
    void *pointer;
    size_t size;
} heq_packets;

/* Begin an image. The link need not be kept. */
heq_status heq_packets_begin(heq_packets *packets, const heq_link *link);

/* Send the next 32 rows of pixels, at the bottom those that are left; not interleaved. */
heq_status heq_packets_rows(heq_packets *packets, const uint8_t *rows, size_t stride);

/* Send what is left. HEQ_NO_ROOM: not even the means, or the code, of a patch fit into a packet. */
heq_status heq_packets_end(heq_packets *packets);

/* All of these for an image in memory. */
heq_status heq_packets_image(heq_packets *packets, const heq_link *link, const uint8_t *pixels,
                             size_t stride);

/* Send packets of these numbers again. With link->places, as they were set when the image was
 * sent, only the patches of these packets are encoded; without, all up to the last of them.
 * Numbers that the image does not have are left out. No parity packets. */
heq_status heq_packets_resend(heq_packets *packets, const heq_link *link, const uint8_t *pixels,
                              size_t stride, const uint16_t *numbers, size_t count);

/* Count the packets of an image into link->packets, and send none. */
heq_status heq_packets_count(heq_packets *packets, heq_link *link, const uint8_t *pixels,
                             size_t stride);

#if HEQ_VARIABLE_RATE
/* Raise link->image.rate to the finest step at which the image has at most so many packets, as far
 * as counting tells: by halving, ten times at most. HEQ_NO_ROOM: the coarsest has more, too. */
heq_status heq_packets_budget(heq_packets *packets, heq_link *link, const uint8_t *pixels,
                              size_t stride, uint16_t most);
#endif

#ifdef __cplusplus
}
#endif

#endif
