/* A picture of an OV7670 or OV7675 over the serial port, on an Arduino Nano 33 BLE: it waits for a
 * byte, and sends a .heq file.
 *
 *     stty -F /dev/ttyACM0 raw -echo
 *     (sleep 1; printf p > /dev/ttyACM0) & timeout 20 cat /dev/ttyACM0 > picture.heq
 *     heqcodec decode picture.heq picture.png
 */
#include <Arduino.h>
#include <Arduino_OV767X.h>
#include <heq_readers.h>

#define WIDTH 176
#define HEIGHT 144
#define QUALITY 35

static heq_encoder encoder; /* all memory of the encoder */
static uint8_t frame[WIDTH * HEIGHT * 2];
#if HEQ_VARIABLE_RATE
static uint8_t payload[HEQ_PAYLOAD_MAX(WIDTH, QUALITY)]; /* a strip, until its length is known */
#endif

static int send_bytes(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    return Serial.write(bytes, length) != length; /* 0: go on */
}

void setup()
{
    Serial.begin(115200);
    while (!Serial) {
    }
    if (!Camera.begin(QCIF, RGB565, 1)) {
        for (;;) {
        }
    }
}

void loop()
{
    heq_image image = {};
    if (Serial.read() < 0) {
        return;
    }
    Camera.readFrame(frame);
    image.width = WIDTH;
    image.height = HEIGHT;
    image.channels = 3;
    image.read = heq_read_rgb565_be;
    image.strip_rows = 1; /* of patches: least memory, and least loss by a damaged byte */
    image.write = send_bytes;
#if HEQ_VARIABLE_RATE
    image.rate = heq_step_of_quality(QUALITY);
    image.payload = payload;
    image.room = sizeof payload;
#else
    image.rate = HEQ_DEFAULT_RATE;
#endif
    heq_encode(&encoder, &image, frame, 2 * WIDTH);
    Serial.flush();
}
