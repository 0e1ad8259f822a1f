/* A picture of an OV7670 or OV7675 over the serial port, on an Arduino Nano 33 BLE: it waits for a
 * byte, and sends a .heq file.
 *
 *     stty -F /dev/ttyACM0 raw -echo
 *     (sleep 1; printf p > /dev/ttyACM0) & timeout 20 cat /dev/ttyACM0 > picture.heq
 *     heqcodec decode picture.heq picture.png
 *
 * Needs the library Arduino_OV767X.
 */
#include <Arduino_OV767X.h>
#include <heq_encoder.h>

#define WIDTH 176
#define HEIGHT 144
#define QUALITY 35

static heq_encoder encoder; /* all memory of the encoder */
static uint8_t frame[WIDTH * HEIGHT * 2];
static uint8_t patch[HEQ_PATCH * HEQ_PATCH * 3];
#if HEQ_VARIABLE_RATE
static uint8_t payload[HEQ_PAYLOAD_MAX(WIDTH, QUALITY)]; /* a strip, until its length is known */
#endif

static int send_bytes(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    return Serial.write(bytes, length) != length; /* 0: go on */
}

/* RGB565, high byte first, as RGB. */
static void read_patch(int x, int y)
{
    uint8_t *rgb = patch;
    for (int row = y; row < y + HEQ_PATCH && row < HEIGHT; row++) {
        rgb = patch + 3 * HEQ_PATCH * (row - y);
        for (int column = x; column < x + HEQ_PATCH && column < WIDTH; column++, rgb += 3) {
            const uint8_t *pixel = frame + 2 * (WIDTH * row + column);
            rgb[0] = (uint8_t)((pixel[0] & 0xF8) | pixel[0] >> 5);
            rgb[1] = (uint8_t)((pixel[0] << 5 | pixel[1] >> 3) & 0xFC);
            rgb[1] = (uint8_t)(rgb[1] | rgb[1] >> 6);
            rgb[2] = (uint8_t)(pixel[1] << 3 | (pixel[1] >> 2 & 7));
        }
    }
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
    image.strip_rows = 1; /* of patches: least memory, and least loss by a damaged byte */
    image.write = send_bytes;
#if HEQ_VARIABLE_RATE
    image.rate = heq_step_of_quality(QUALITY);
    image.payload = payload;
    image.room = sizeof payload;
#else
    image.rate = HEQ_DEFAULT_RATE;
#endif
    heq_begin(&encoder, &image);
    for (int y = 0; y < HEIGHT; y += HEQ_PATCH) {
        for (int x = 0; x < WIDTH; x += HEQ_PATCH) {
            read_patch(x, y);
            heq_encode_patch(&encoder, patch, 3 * HEQ_PATCH);
        }
    }
    heq_end(&encoder);
    Serial.flush();
}
