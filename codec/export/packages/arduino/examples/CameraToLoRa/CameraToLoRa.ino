/* A camera that sends a photograph over LoRa, and what was lost again when the receiver asks for it.
 *
 * Radio: the library LoRa of Sandeep Mistry. Packets are those of docs/PACKETS.md of heqcodec; a
 * gateway writes each to a file of its own, and `heqcodec assemble FOLDER photo.png` shows what came
 * so far. A resend list comes back as numbers of two bytes, the lower one first:
 * `heqcodec assemble FOLDER --missing` prints them.
 *
 * Memory: heq_packets, HEQ_PACKETS_BYTES, and the photograph, 76,032 bytes.
 */
#include <LoRa.h>
#include <SPI.h>

#include <heq_packets.h>

#include "photograph.h"

static heq_packets packets;
static heq_packet_place places[400];
static heq_link link_;
static const uint8_t *photograph;

static int transmit(void *context, const uint8_t *packet, size_t length)
{
    (void)context;
    if (!LoRa.beginPacket()) {
        return 1;
    }
    LoRa.write(packet, length);
    return LoRa.endPacket() ? 0 : 1; /* returns when it is sent */
}

void setup()
{
    Serial.begin(115200);
    if (!LoRa.begin(868100000) || !begin_camera()) {
        Serial.println("no radio or no camera");
        for (;;) {
        }
    }
    LoRa.setSpreadingFactor(7);
    link_.image.width = WIDTH;
    link_.image.height = HEIGHT;
    link_.image.channels = 3;
    link_.sender = 700;
    link_.size = 222;
    link_.interleaved = 1; /* a lost packet leaves the neighbours of what it takes */
    link_.places = places;
    link_.places_room = sizeof places / sizeof *places;
    link_.send = transmit;
}

/* Numbers of packets that the receiver lacks; how many. */
static size_t resend_list(uint16_t *numbers, size_t room)
{
    size_t count = 0;
    unsigned long since = millis();
    while (count == 0 && millis() - since < 10000) {
        if (LoRa.parsePacket() > 0) {
            while (count < room && LoRa.available() > 1) {
                int low = LoRa.read();
                numbers[count++] = (uint16_t)(low | LoRa.read() << 8);
            }
        }
    }
    return count;
}

void loop()
{
    static uint16_t numbers[100];
    size_t count;
    photograph = take_photograph();
#if HEQ_VARIABLE_RATE
    link_.image.rate = heq_step_of_quality(25); /* coarser, until there are 120 packets at most */
    heq_packets_budget(&packets, &link_, photograph, WIDTH * 3, 120);
#else
    link_.image.rate = HEQ_DEFAULT_RATE;
#endif
    if (heq_packets_image(&packets, &link_, photograph, WIDTH * 3) != HEQ_OK) {
        Serial.println("not sent");
    }
    while ((count = resend_list(numbers, 100)) > 0) {
        heq_packets_resend(&packets, &link_, photograph, WIDTH * 3, numbers, count);
    }
    link_.number++; /* of the next image */
    delay(600000);
}
