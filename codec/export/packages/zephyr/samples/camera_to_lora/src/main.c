/* Pictures of the chosen zephyr,camera over the radio with the alias lora0, and what was lost again when
 * the receiver asks for it. For Zephyr 4.2 or later.
 *
 * Packets are those of docs/PACKETS.md of heqcodec; a gateway writes each to a file of its own, and
 * `heqcodec assemble FOLDER photo.png` shows what came so far. A resend list comes back as numbers of
 * two bytes, the lower one first: `heqcodec assemble FOLDER --missing` prints them.
 */
#include <zephyr/device.h>
#include <zephyr/drivers/lora.h>
#include <zephyr/drivers/video.h>
#include <zephyr/kernel.h>

#include "heq_packets.h"
#include "heq_readers.h"

#define WIDTH 320
#define HEIGHT 240
#define QUALITY 25
#define MOST_PACKETS 120
#define ALIGNMENT 32 /* of a frame, for DMA */
#define ANSWER K_SECONDS(10)
#define PERIOD K_MINUTES(10) /* the radio's share of the air is limited */

static const struct device *const camera = DEVICE_DT_GET(DT_CHOSEN(zephyr_camera));
static const struct device *const radio = DEVICE_DT_GET(DT_ALIAS(lora0));

static heq_packets packets; /* all memory of encoder and packets */
static heq_packet_place places[400];

static int set_radio(bool transmitting)
{
	struct lora_modem_config config = {
		.frequency = 868100000,
		.bandwidth = BW_125_KHZ,
		.datarate = SF_7,
		.coding_rate = CR_4_5,
		.preamble_len = 8,
		.tx_power = 14,
		.tx = transmitting,
	};

	return lora_config(radio, &config);
}

static int transmit(void *context, const uint8_t *packet, size_t length)
{
	ARG_UNUSED(context);
	return lora_send(radio, (uint8_t *)packet, (uint32_t)length) < 0; /* 0: go on */
}

/* Numbers of packets that the receiver lacks; how many. */
static size_t resend_list(uint16_t *numbers, size_t room)
{
	uint8_t answer[200];
	size_t count = 0;
	int16_t rssi;
	int8_t snr;
	int length = -1;

	if (set_radio(false) == 0) {
		length = lora_recv(radio, answer, sizeof answer, ANSWER, &rssi, &snr);
	}
	for (int place = 0; place + 1 < length && count < room; place += 2) {
		numbers[count++] = (uint16_t)(answer[place] | answer[place + 1] << 8);
	}
	return count;
}

static heq_status send_picture(heq_link *link, const uint8_t *frame, size_t pitch)
{
	uint16_t numbers[100];
	heq_status status;
	size_t count;

#if HEQ_VARIABLE_RATE
	link->image.rate = heq_step_of_quality(QUALITY); /* coarser, until there are so many at most */
	heq_packets_budget(&packets, link, frame, pitch, MOST_PACKETS);
#else
	link->image.rate = HEQ_DEFAULT_RATE;
#endif
	status = set_radio(true) == 0 ? heq_packets_image(&packets, link, frame, pitch)
				      : HEQ_WRITE_FAILED;
	while (status == HEQ_OK && (count = resend_list(numbers, 100)) > 0) {
		status = set_radio(true) == 0 ? heq_packets_resend(&packets, link, frame, pitch,
								   numbers, count)
					      : HEQ_WRITE_FAILED;
	}
	link->number++; /* of the next image */
	return status;
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
	heq_link link = {
		.image = {.width = WIDTH, .height = HEIGHT, .channels = 3, .read = heq_read_rgb565_le},
		.sender = 700,
		.size = 222,
		.interleaved = 1, /* a lost packet leaves the neighbours of what it takes */
		.places = places,
		.places_room = ARRAY_SIZE(places),
		.send = transmit,
	};
	struct video_buffer *frame;

	if (!device_is_ready(radio) || !device_is_ready(camera) ||
	    video_set_format(camera, &format) != 0) {
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
	while (video_dequeue(camera, &frame, K_FOREVER) == 0) {
		if (send_picture(&link, frame->buffer, format.pitch) == HEQ_OK) {
			k_sleep(PERIOD);
		}
		if (video_enqueue(camera, frame) != 0) {
			return 1;
		}
	}
	return 1;
}
