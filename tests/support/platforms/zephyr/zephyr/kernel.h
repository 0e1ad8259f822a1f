/* What the samples use of Zephyr's kernel. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t ticks;
} k_timeout_t;

#define K_FOREVER ((k_timeout_t){-1})
#define K_SECONDS(count) ((k_timeout_t){(count)})
#define K_MINUTES(count) K_SECONDS((count) * 60)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof *(array))
#define ARG_UNUSED(argument) (void)(argument)

int32_t k_sleep(k_timeout_t timeout);

#endif
