/* A board on a computer: the camera's frame comes from standard input, the serial port is standard
 * output, and asks for one picture. */
#include <stdio.h>

#include "driver/uart.h"
#include "esp_camera.h"

static uint8_t samples[320 * 240 * 2];
static camera_fb_t held;

void app_main(void);

esp_err_t uart_driver_install(uart_port_t port, int receive, int transmit, int events, void *queue,
                              int flags)
{
    (void)queue;
    return port != UART_NUM_1 || receive <= 128 || transmit != 0 || events != 0 || flags != 0;
}

esp_err_t uart_param_config(uart_port_t port, const uart_config_t *config)
{
    return port != UART_NUM_1 || config->baud_rate == 0;
}

esp_err_t uart_set_pin(uart_port_t port, int transmit, int receive, int rts, int cts)
{
    return port != UART_NUM_1 || transmit == receive || rts != cts;
}

int uart_write_bytes(uart_port_t port, const void *bytes, size_t length)
{
    (void)port;
    return (int)fwrite(bytes, 1, length, stdout);
}

int uart_read_bytes(uart_port_t port, void *bytes, uint32_t length, TickType_t ticks)
{
    static int asked;
    (void)port;
    (void)ticks;
    *(uint8_t *)bytes = 'p';
    return asked++ == 0 ? (int)length : -1;
}

esp_err_t esp_camera_init(const camera_config_t *config)
{
    return config->pixel_format != PIXFORMAT_RGB565 || config->frame_size != FRAMESIZE_QVGA;
}

camera_fb_t *esp_camera_fb_get(void)
{
    held.buf = samples;
    held.len = fread(samples, 1, sizeof samples, stdin);
    held.width = 320;
    held.height = 240;
    held.format = PIXFORMAT_RGB565;
    return held.len == sizeof samples ? &held : NULL;
}

void esp_camera_fb_return(camera_fb_t *frame)
{
    frame->buf = NULL;
}

int main(void)
{
    app_main();
    return 0;
}
