/* A board on a computer: the camera's frame comes from standard input, the serial port is standard
 * output, and asks for one picture. So does the radio, with the length before each packet; it loses
 * every seventh of the first pass, and its receiver asks for those. */
#include <stdio.h>
#include <stdlib.h>

#include <zephyr/drivers/lora.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/drivers/video.h>

#define PITCH 704 /* of 320 pixels: as of a driver that pads its rows */

const struct device chosen_zephyr_camera = {"camera"}, chosen_zephyr_console = {"console"};
const struct device alias_lora0 = {"radio"};

static uint8_t samples[PITCH * 240];
static struct video_buffer only, *waiting;

bool device_is_ready(const struct device *device)
{
    return device == &chosen_zephyr_camera || device == &alias_lora0;
}

static uint8_t lacked[200];
static int lacking, sent, asked_again, transmitting;

int lora_config(const struct device *device, struct lora_modem_config *config)
{
    transmitting = config->tx;
    return device != &alias_lora0 || config->frequency == 0 || config->preamble_len == 0;
}

int lora_send(const struct device *device, uint8_t *data, uint32_t length)
{
    if (device != &alias_lora0 || !transmitting) {
        return -1;
    }
    if (!asked_again && sent % 7 == 3) {
        lacked[lacking++] = (uint8_t)(sent & 255);
        lacked[lacking++] = (uint8_t)(sent >> 8);
    } else {
        putchar((int)(length >> 8));
        putchar((int)(length & 255));
        fwrite(data, 1, length, stdout);
    }
    sent++;
    return 0;
}

int lora_recv(const struct device *device, uint8_t *data, uint8_t size, k_timeout_t timeout,
              int16_t *rssi, int8_t *snr)
{
    int length = lacking < size ? lacking : size, place;
    if (device != &alias_lora0 || transmitting || timeout.ticks <= 0) {
        return -1;
    }
    for (place = 0; place < length; place++) {
        data[place] = lacked[place];
    }
    asked_again = 1;
    lacking = *rssi = *snr = 0;
    return length > 0 ? length : -1;
}

/* A sample that sleeps has sent its picture. */
int32_t k_sleep(k_timeout_t timeout)
{
    exit(timeout.ticks > 0 ? 0 : 1);
}

int uart_poll_in(const struct device *port, unsigned char *byte)
{
    static int asked;
    *byte = 'p';
    return port == &chosen_zephyr_console && asked++ == 0 ? 0 : -1;
}

void uart_poll_out(const struct device *port, unsigned char byte)
{
    if (port == &chosen_zephyr_console) {
        putchar(byte);
    }
}

int video_set_format(const struct device *device, struct video_format *format)
{
    format->pitch = PITCH;
    return device != &chosen_zephyr_camera || format->pixelformat != VIDEO_PIX_FMT_RGB565 ||
           format->width != 320 || format->height != 240;
}

struct video_buffer *video_buffer_aligned_alloc(size_t size, size_t align, k_timeout_t timeout)
{
    (void)align;
    (void)timeout;
    only.buffer = samples;
    only.size = (uint32_t)size;
    return size == sizeof samples ? &only : NULL;
}

int video_enqueue(const struct device *device, struct video_buffer *buffer)
{
    waiting = buffer;
    return device != &chosen_zephyr_camera || buffer->type != VIDEO_BUF_TYPE_OUTPUT;
}

int video_stream_start(const struct device *device, enum video_buf_type type)
{
    return device != &chosen_zephyr_camera || type != VIDEO_BUF_TYPE_OUTPUT;
}

/* One frame; after it the camera fails. */
int video_dequeue(const struct device *device, struct video_buffer **buffer, k_timeout_t timeout)
{
    size_t row = 0;
    (void)device;
    (void)timeout;
    while (row < 240 && fread(samples + PITCH * row, 640, 1, stdin) == 1) {
        row++;
    }
    *buffer = waiting;
    return row == 240 ? 0 : -1;
}
