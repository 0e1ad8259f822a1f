/* Pictures of the chosen zephyr,camera over the serial port of the chosen zephyr,console: it waits for a
 * byte, and sends a .heq file. For Zephyr 4.2 or later.
 *
 *     stty -F /dev/ttyACM0 115200 raw -echo
 *     (sleep 1; printf p > /dev/ttyACM0) & timeout 20 cat /dev/ttyACM0 > picture.heq
 *     heqcodec decode picture.heq picture.png
 */
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/drivers/video.h>
#include <zephyr/kernel.h>

#include "heq_readers.h"

#define WIDTH 320
#define HEIGHT 240
#define QUALITY 35
#define ALIGNMENT 32 /* of a frame, for DMA */

static const struct device *const camera = DEVICE_DT_GET(DT_CHOSEN(zephyr_camera));
static const struct device *const port = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));

static heq_encoder encoder; /* all memory of the encoder */
#if HEQ_VARIABLE_RATE
static uint8_t payload[HEQ_PAYLOAD_MAX(WIDTH, QUALITY)]; /* a strip, until its length is known */
#endif

static int send_bytes(void *context, const uint8_t *bytes, size_t length)
{
	ARG_UNUSED(context);
	for (size_t place = 0; place < length; place++) {
		uart_poll_out(port, bytes[place]);
	}
	return 0; /* go on */
}

static heq_status send_picture(const uint8_t *frame, size_t pitch)
{
	heq_image image = {0};

	image.width = WIDTH;
	image.height = HEIGHT;
	image.channels = 3;
	image.read = heq_read_rgb565_le;
	image.strip_rows = 1; /* of patches: least memory, and least loss by a damaged byte */
	image.write = send_bytes;
#if HEQ_VARIABLE_RATE
	image.rate = heq_step_of_quality(QUALITY);
	image.payload = payload;
	image.room = sizeof payload;
#else
	image.rate = HEQ_DEFAULT_RATE;
#endif
	return heq_encode(&encoder, &image, frame, pitch);
}

int main(void)
{
	struct video_format format = {
		.type = VIDEO_BUF_TYPE_OUTPUT,
		.pixelformat = VIDEO_PIX_FMT_RGB565,
		.width = WIDTH,
		.height = HEIGHT,
		.pitch = 2 * WIDTH,
	};
	struct video_buffer *frame;
	unsigned char asked;

	if (!device_is_ready(camera) || video_set_format(camera, &format) != 0) {
		return 1;
	}
	frame = video_buffer_aligned_alloc(format.pitch * HEIGHT, ALIGNMENT, K_FOREVER);
	if (frame == NULL) {
		return 1;
	}
	frame->type = VIDEO_BUF_TYPE_OUTPUT;
	if (video_enqueue(camera, frame) != 0 || video_stream_start(camera, frame->type) != 0) {
		return 1;
	}
	/* The oldest frame is asked for and thrown away, so that the picture is a new one. */
	while (video_dequeue(camera, &frame, K_FOREVER) == 0) {
		if (uart_poll_in(port, &asked) == 0) {
			send_picture(frame->buffer, format.pitch);
		}
		if (video_enqueue(camera, frame) != 0) {
			return 1;
		}
	}
	return 1;
}
