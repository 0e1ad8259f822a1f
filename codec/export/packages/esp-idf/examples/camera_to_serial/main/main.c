/* Pictures of an AI-Thinker ESP32-CAM over its second serial port (transmits on GPIO 14): it waits for
 * a byte on GPIO 13, and sends a .heq file.
 *
 *     stty -F /dev/ttyUSB0 115200 raw -echo
 *     (sleep 1; printf p > /dev/ttyUSB0) & timeout 20 cat /dev/ttyUSB0 > picture.heq
 *     heqcodec decode picture.heq picture.png
 */
#include <stdbool.h>

#include "driver/uart.h"
#include "esp_camera.h"
#include "freertos/FreeRTOS.h"
#include "heq_readers.h"

#define PORT UART_NUM_1
#define WIDTH 320 /* FRAMESIZE_QVGA */
#define QUALITY 35

static heq_encoder encoder; /* all memory of the encoder */
#if HEQ_VARIABLE_RATE
static uint8_t payload[HEQ_PAYLOAD_MAX(WIDTH, QUALITY)]; /* a strip, until its length is known */
#endif

static const camera_config_t camera = {
    .pin_pwdn = 32,
    .pin_reset = -1,
    .pin_xclk = 0,
    .pin_sccb_sda = 26,
    .pin_sccb_scl = 27,
    .pin_d7 = 35,
    .pin_d6 = 34,
    .pin_d5 = 39,
    .pin_d4 = 36,
    .pin_d3 = 21,
    .pin_d2 = 19,
    .pin_d1 = 18,
    .pin_d0 = 5,
    .pin_vsync = 25,
    .pin_href = 23,
    .pin_pclk = 22,
    .xclk_freq_hz = 20000000,
    .ledc_timer = LEDC_TIMER_0,
    .ledc_channel = LEDC_CHANNEL_0,
    .pixel_format = PIXFORMAT_RGB565,
    .frame_size = FRAMESIZE_QVGA,
    .fb_count = 1,
    .fb_location = CAMERA_FB_IN_PSRAM,
    .grab_mode = CAMERA_GRAB_WHEN_EMPTY,
};

static int send_bytes(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    return uart_write_bytes(PORT, bytes, length) != (int)length; /* 0: go on */
}

static heq_status send_picture(const camera_fb_t *frame)
{
    heq_image image = {0};
    image.width = frame->width;
    image.height = frame->height;
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
    return heq_encode(&encoder, &image, frame->buf, 2 * frame->width);
}

void app_main(void)
{
    const uart_config_t port = {
        .baud_rate = 115200,
        .data_bits = UART_DATA_8_BITS,
        .parity = UART_PARITY_DISABLE,
        .stop_bits = UART_STOP_BITS_1,
        .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
    };
    uint8_t asked;
    ESP_ERROR_CHECK(uart_driver_install(PORT, 256, 0, 0, NULL, 0));
    ESP_ERROR_CHECK(uart_param_config(PORT, &port));
    ESP_ERROR_CHECK(uart_set_pin(PORT, 14, 13, UART_PIN_NO_CHANGE, UART_PIN_NO_CHANGE));
    ESP_ERROR_CHECK(esp_camera_init(&camera));
    while (uart_read_bytes(PORT, &asked, 1, portMAX_DELAY) == 1) {
        camera_fb_t *frame = esp_camera_fb_get();
        if (frame != NULL) {
            send_picture(frame);
            esp_camera_fb_return(frame);
        }
    }
}
