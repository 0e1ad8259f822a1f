/* What the samples use of Zephyr's devices. */
#ifndef ZEPHYR_DEVICE_H
#define ZEPHYR_DEVICE_H

#include <stdbool.h>

struct device {
    const char *name;
};

#define DT_CHOSEN(property) chosen_##property
#define DT_ALIAS(name) alias_##name
#define DEVICE_DT_GET(node) (&node)

extern const struct device chosen_zephyr_camera, chosen_zephyr_console, alias_lora0;

bool device_is_ready(const struct device *device);

#endif
