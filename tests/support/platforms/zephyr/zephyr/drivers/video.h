/* What the samples use of Zephyr's video, as of Zephyr 4.2. */
#ifndef ZEPHYR_DRIVERS_VIDEO_H
#define ZEPHYR_DRIVERS_VIDEO_H

#include <zephyr/device.h>
#include <zephyr/kernel.h>

enum video_buf_type { VIDEO_BUF_TYPE_INPUT, VIDEO_BUF_TYPE_OUTPUT };

#define VIDEO_PIX_FMT_RGB565 0x50424752u /* "RGBP" */

struct video_format {
    enum video_buf_type type;
    uint32_t pixelformat, width, height, pitch, size;
};

struct video_buffer {
    enum video_buf_type type;
    uint8_t *buffer;
    uint32_t size, bytesused;
};

int video_set_format(const struct device *device, struct video_format *format);
struct video_buffer *video_buffer_aligned_alloc(size_t size, size_t align, k_timeout_t timeout);
int video_enqueue(const struct device *device, struct video_buffer *buffer);
int video_dequeue(const struct device *device, struct video_buffer **buffer, k_timeout_t timeout);
int video_stream_start(const struct device *device, enum video_buf_type type);

#endif
