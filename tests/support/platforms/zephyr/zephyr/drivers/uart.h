/* What the samples use of Zephyr's serial ports. */
#ifndef ZEPHYR_DRIVERS_UART_H
#define ZEPHYR_DRIVERS_UART_H

#include <zephyr/device.h>

int uart_poll_in(const struct device *port, unsigned char *byte);
void uart_poll_out(const struct device *port, unsigned char byte);

#endif
