/* Uses the functions of an exported heq_encoder.h; tests/export/test_export_c.py builds and runs it.
 *
 *     harness patches|rows|whole WIDTH HEIGHT CHANNELS RATE PIXEL_BYTES < samples > file
 *     harness mistakes                                               exits 0 where all are seen
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_encoder.h"

static heq_encoder encoder;
#if HEQ_VARIABLE_RATE
static uint8_t payload[1 << 20];
#endif
static long calls, allowed = -1;

static int send(void *context, const uint8_t *bytes, size_t length)
{
    calls++;
    return (allowed >= 0 && calls > allowed) || fwrite(bytes, 1, length, context) != length;
}

static heq_image image_of(uint32_t width, uint32_t height, int channels, int rate,
                          int pixel_bytes)
{
    heq_image image = {0};
    image.width = width;
    image.height = height;
    image.channels = (uint8_t)channels;
    image.pixel_bytes = (uint8_t)pixel_bytes;
    image.rate = (uint16_t)rate;
    image.write = send;
    image.context = stdout;
#if HEQ_VARIABLE_RATE
    image.payload = payload;
    image.room = sizeof payload;
#endif
    return image;
}

static int encode(const char *how, const heq_image *image)
{
    size_t stride = (size_t)image->width * image->pixel_bytes, size = stride * image->height;
    /* Of just this size, so that reading beyond is found. */
    uint8_t *samples = malloc(size);
    uint32_t row, column;
    heq_status status;
    if (samples == NULL || fread(samples, 1, size, stdin) != size) {
        return 100;
    }
    if (strcmp(how, "whole") == 0) {
        status = heq_encode(&encoder, image, samples, stride);
    } else {
        heq_begin(&encoder, image);
        for (row = 0; row < image->height; row += HEQ_PATCH) {
            const uint8_t *rows = samples + stride * row;
            if (strcmp(how, "rows") == 0) {
                heq_encode_rows(&encoder, rows, stride);
                continue;
            }
            for (column = 0; column < image->width; column += HEQ_PATCH) {
                heq_encode_patch(&encoder, rows + (size_t)column * image->pixel_bytes, stride);
            }
        }
        status = heq_end(&encoder);
    }
    free(samples);
    return (int)status;
}

#define EXPECT(condition)                             \
    do {                                              \
        if (!(condition)) {                           \
            fprintf(stderr, "not so: " #condition "\n"); \
            return 1;                                 \
        }                                             \
    } while (0)

static int mistakes(void)
{
    static uint8_t samples[64 * 64 * 3];
    heq_image good = image_of(64, 64, 3, HEQ_DEFAULT_RATE, 3), image = good;
    uint32_t noise = 1;
    size_t place;
    for (place = 0; place < sizeof samples; place++) {
        noise = noise * 1664525U + 1013904223U; /* strips of several thousand bytes */
        samples[place] = (uint8_t)(noise >> 24);
    }
    image.channels = 2;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    image = good;
    image.pixel_bytes = 1; /* of three channels */
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    image.channels = HEQ_GRAY_AS_RGB;
    image.pixel_bytes = 2;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    EXPECT(calls == 0);
    image = good;
    image.width = 0;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    image = good;
    image.rate = 1025;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    EXPECT(heq_encode_patch(&encoder, samples, 192) == HEQ_BAD_IMAGE);

    EXPECT(heq_begin(&encoder, &good) == HEQ_OK);
    EXPECT(heq_encode_rows(&encoder, samples, 192) == HEQ_OK);
    EXPECT(heq_end(&encoder) == HEQ_TOO_FEW);

    heq_begin(&encoder, &good);
    EXPECT(heq_encode_patch(&encoder, samples, 192) == HEQ_OK);
    EXPECT(heq_encode_rows(&encoder, samples, 192) == HEQ_TOO_FEW);

    heq_begin(&encoder, &good);
    heq_encode_rows(&encoder, samples, 192);
    EXPECT(heq_encode_rows(&encoder, samples, 192) == HEQ_OK);
    EXPECT(heq_encode_rows(&encoder, samples, 192) == HEQ_TOO_MANY);

    EXPECT(heq_encode(&encoder, &good, samples, 192) == HEQ_OK);
    EXPECT(heq_end(&encoder) == HEQ_TOO_MANY);

    image = good;
    image.write = NULL;
    EXPECT(heq_encode(&encoder, &image, samples, 192) == HEQ_BAD_IMAGE);
    EXPECT(heq_encode(&encoder, &good, samples, 0) == HEQ_OK); /* the first row again and again */
    EXPECT(heq_begin(&encoder, &good) == HEQ_OK);
    EXPECT(heq_end(&encoder) == HEQ_TOO_FEW);
    EXPECT(heq_encode_rows(&encoder, samples, 192) == HEQ_TOO_FEW);

    calls = 0;
    for (allowed = 0; heq_encode(&encoder, &good, samples, 192) != HEQ_OK; allowed++) {
        EXPECT(heq_end(&encoder) == HEQ_WRITE_FAILED);
        EXPECT(calls == allowed + 1); /* and none after the one that failed */
        calls = 0;
    }
    EXPECT(allowed >= 6);
    allowed = -1;
#if HEQ_VARIABLE_RATE
    image = good;
    image.rate = 0;
    image.room = 1500; /* by tables that know nothing, the means alone take more than a thousand */
    EXPECT(heq_encode(&encoder, &image, samples, 192) == HEQ_OK);
    EXPECT(heq_unsent_strips(&encoder) == 0); /* coarser instead */
    image.strip_rows = 1;
    EXPECT(heq_encode(&encoder, &image, samples, 192) == HEQ_OK);
    EXPECT(heq_unsent_strips(&encoder) == 0);
    image.room = 0;
    EXPECT(heq_encode(&encoder, &image, samples, 192) == HEQ_OK);
    image.budget = 79; /* heads take 80 */
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    image.budget = 80;
    EXPECT(heq_encode(&encoder, &image, samples, 192) == HEQ_OK);
    image.strip_rows = 2;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    image.strip_rows = 0;
    EXPECT(heq_begin(&encoder, &image) == HEQ_OK);
    EXPECT(heq_encode_patch(&encoder, samples, 192) == HEQ_TOO_FEW);
    image.budget = 0;
    image.rate = 0;
    for (image.strip_rows = 255; image.strip_rows > 0; image.strip_rows >>= 4) {
        for (image.progressive = 0; image.progressive < 2; image.progressive++) {
            for (image.room = 0; image.room < 600; image.room += 1 + image.room / 2) {
                EXPECT(heq_begin(&encoder, &image) == HEQ_OK);
                for (place = 0; place < (size_t)4 << image.progressive; place++) {
                    EXPECT(heq_encode_patch(&encoder, samples, 192) == HEQ_OK);
                }
                EXPECT(heq_end(&encoder) == HEQ_OK);
                EXPECT(heq_coarse_patches(&encoder) == 4); /* of noise at the finest step */
            }
        }
    }
    image.payload = NULL;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE);
    EXPECT(heq_step_of_quality(45) == 552);
    EXPECT(heq_step_of_quality(0) == heq_step_of_quality(1));
    EXPECT(heq_step_of_quality(200) == heq_step_of_quality(100));
#else
    image = good;
    image.width = image.height = 0xFFFFFFFFu;
    image.rate = 512;
    EXPECT(heq_begin(&encoder, &image) == HEQ_BAD_IMAGE); /* a strip of 8 GiB */
#endif
    return 0;
}

int main(int count, char **arguments)
{
    heq_image image;
    if (count == 2) {
        return mistakes();
    }
    image = image_of((uint32_t)atol(arguments[2]), (uint32_t)atol(arguments[3]),
                     atoi(arguments[4]), atoi(arguments[5]), atoi(arguments[6]));
    return encode(arguments[1], &image);
}
