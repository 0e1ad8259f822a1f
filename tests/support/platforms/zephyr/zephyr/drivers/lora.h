/* What the samples use of Zephyr's LoRa radios. */
#ifndef ZEPHYR_DRIVERS_LORA_H
#define ZEPHYR_DRIVERS_LORA_H

#include <zephyr/device.h>
#include <zephyr/kernel.h>

enum lora_signal_bandwidth { BW_125_KHZ, BW_250_KHZ, BW_500_KHZ };
enum lora_datarate { SF_6 = 6, SF_7, SF_8, SF_9, SF_10, SF_11, SF_12 };
enum lora_coding_rate { CR_4_5 = 1, CR_4_6, CR_4_7, CR_4_8 };

struct lora_modem_config {
    uint32_t frequency;
    enum lora_signal_bandwidth bandwidth;
    enum lora_datarate datarate;
    enum lora_coding_rate coding_rate;
    uint16_t preamble_len;
    int8_t tx_power;
    bool tx, iq_inverted, public_network;
};

int lora_config(const struct device *device, struct lora_modem_config *config);
int lora_send(const struct device *device, uint8_t *data, uint32_t length);
int lora_recv(const struct device *device, uint8_t *data, uint8_t size, k_timeout_t timeout,
              int16_t *rssi, int8_t *snr);

#endif
