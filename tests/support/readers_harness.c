/* Encodes a raw dump by the readers of an exported folder, for tests/export/test_export_readers.py:
 *
 *     harness whole|rows|patches WIDTHxHEIGHT:KIND RATE < dump > file
 *
 * "rows" hands over 32 rows at a time and what they need of those around them, in buffers of just
 * that size, so that reading beyond is found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_raw.h"

#define BORDER 2 /* rows above and below that a Bayer pattern needs */

static heq_encoder encoder;
#if HEQ_VARIABLE_RATE
static uint8_t payload[1 << 20];
#endif

static int send(void *context, const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) != length;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* The next 32 rows alone, as a camera with no more memory has them. */
static void encode_band(heq_raw *raw, const uint8_t *samples, uint32_t row, int by_patch)
{
    uint32_t border = raw->image.read == heq_read_bayer ? BORDER : 0, column;
    uint32_t first = row < border ? 0 : row - border, last = row + 32 + border;
    uint8_t *band, *u = NULL, *v = NULL;
    last = last < raw->image.height ? last : raw->image.height;
    band = copy_of(samples + raw->stride * first, raw->stride * (last - first));
    if (raw->yuv.step == 1) {
        uint32_t rows = (last + 1) / 2 - row / 2;
        u = copy_of(samples + raw->u + raw->yuv.stride * (row / 2), raw->yuv.stride * rows);
        v = copy_of(samples + raw->v + raw->yuv.stride * (row / 2), raw->yuv.stride * rows);
        raw->yuv.u = u;
        raw->yuv.v = v;
        raw->yuv.top = row;
    } else if (raw->yuv.step == 2) {
        size_t base = raw->u < raw->v ? raw->u : raw->v;
        u = copy_of(samples + base + raw->yuv.stride * (row / 2),
                    raw->yuv.stride * ((last + 1) / 2 - row / 2));
        raw->yuv.u = u + (raw->u - base);
        raw->yuv.v = u + (raw->v - base);
        raw->yuv.top = row;
    }
    if (by_patch) {
        for (column = 0; column < raw->image.width; column += HEQ_PATCH) {
            size_t before = raw->image.read == NULL ? (size_t)column * raw->image.pixel_bytes : 0;
            heq_encode_patch(&encoder, band + raw->stride * (row - first) + before, raw->stride);
        }
    } else {
        heq_encode_rows(&encoder, band + raw->stride * (row - first), raw->stride);
    }
    free(band);
    free(u);
    free(v);
}

int main(int count, char **arguments)
{
    static heq_raw raw;
    uint8_t *samples;
    uint32_t row;
    heq_status status;
    if (count != 4 || !raw_of(arguments[2], &raw)) {
        return 100;
    }
    samples = malloc(raw.size);
    if (samples == NULL || fread(samples, 1, raw.size, stdin) != raw.size) {
        return 101;
    }
    raw_begin(&raw, samples);
    raw.image.rate = (uint16_t)atoi(arguments[3]);
    raw.image.write = send;
    raw.image.context = stdout;
#if HEQ_VARIABLE_RATE
    raw.image.payload = payload;
    raw.image.room = sizeof payload;
#endif
    if (strcmp(arguments[1], "whole") == 0) {
        status = heq_encode(&encoder, &raw.image, samples, raw.stride);
    } else {
        heq_begin(&encoder, &raw.image);
        for (row = 0; row < raw.image.height; row += HEQ_PATCH) {
            encode_band(&raw, samples, row, strcmp(arguments[1], "patches") == 0);
        }
        status = heq_end(&encoder);
    }
    free(samples);
    return (int)status;
}
