/* Encodes RGB samples within a budget and a buffer, for tests/export/test_export_budget.py:
 *
 *     harness rows|patches|whole WIDTH HEIGHT STEP STRIP_ROWS BUDGET ROOM [progressive|TUNE] < samples > file
 *
 * Says on standard error how many strips were not sent, and how many patches lost fine detail. The
 * buffer is of just that size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_encoder.h"

static heq_encoder encoder;

static int send(void *context, const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) != length;
}

int main(int count, char **arguments)
{
    heq_image image = {0};
    size_t stride;
    uint8_t *samples;
    uint32_t row, column;
    int part;
    heq_status status;
    if (count != 8 && count != 9) {
        return 100;
    }
    if (count == 9) { /* progressive, or the number of a tune */
        image.progressive = arguments[8][0] == 'p';
        image.tune = (uint8_t)atoi(arguments[8]);
    }
    image.width = (uint32_t)atol(arguments[2]);
    image.height = (uint32_t)atol(arguments[3]);
    image.channels = 3;
    image.rate = (uint16_t)atoi(arguments[4]);
    image.strip_rows = (uint8_t)atoi(arguments[5]);
    image.budget = (uint32_t)atol(arguments[6]);
    image.room = (size_t)atol(arguments[7]);
    image.payload = malloc(image.room + 1);
    image.write = send;
    image.context = stdout;
    stride = (size_t)image.width * 3;
    samples = malloc(stride * image.height);
    if (image.payload == NULL || samples == NULL ||
        fread(samples, stride, image.height, stdin) != image.height) {
        return 101;
    }
    image.payload[image.room] = 77;
    if (strcmp(arguments[1], "whole") == 0) {
        status = heq_encode(&encoder, &image, samples, stride);
    } else {
        heq_begin(&encoder, &image);
        for (part = 0; part <= image.progressive; part++) {
            for (row = 0; row < image.height; row += HEQ_PATCH) {
                const uint8_t *rows = samples + stride * row;
                if (strcmp(arguments[1], "rows") == 0) {
                    heq_encode_rows(&encoder, rows, stride);
                    continue;
                }
                for (column = 0; column < image.width; column += HEQ_PATCH) {
                    heq_encode_patch(&encoder, rows + (size_t)column * 3, stride);
                }
            }
        }
        status = heq_end(&encoder);
    }
    fprintf(stderr, "%lu %lu", (unsigned long)heq_unsent_strips(&encoder),
            (unsigned long)heq_coarse_patches(&encoder));
    status = image.payload[image.room] == 77 ? status : 102;
    free(image.payload);
    free(samples);
    return (int)status;
}
