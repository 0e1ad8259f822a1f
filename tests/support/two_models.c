/* One program with two exported encoders: the same picture by both, the second between the rows of
 * the first.
 *
 *     two_models WIDTH HEIGHT FIRST SECOND < samples
 */
#include <stdio.h>
#include <stdlib.h>

#include "near_encoder.h"
#include "far_encoder.h"

static near_encoder near_state;
static far_encoder far_state;
static uint8_t payload[1 << 18];

static int put(void *context, const uint8_t *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) != length;
}

int main(int count, char **arguments)
{
    uint32_t width, height, row;
    near_image near_picture = {0};
    far_image far_picture = {0};
    uint8_t *samples;
    if (count != 5) {
        return 2;
    }
    width = (uint32_t)atol(arguments[1]);
    height = (uint32_t)atol(arguments[2]);
    samples = malloc((size_t)width * height * 3);
    if (samples == NULL || fread(samples, (size_t)width * 3, height, stdin) != height) {
        return 1;
    }
    near_picture.width = far_picture.width = width;
    near_picture.height = far_picture.height = height;
    near_picture.channels = far_picture.channels = 3;
    near_picture.write = far_picture.write = put;
    near_picture.context = fopen(arguments[3], "wb");
    far_picture.context = fopen(arguments[4], "wb");
    near_picture.rate = NEAR_DEFAULT_RATE;
    near_picture.payload = payload;
    near_picture.room = sizeof payload;
    far_picture.rate = FAR_DEFAULT_RATE;
    near_begin(&near_state, &near_picture);
    far_begin(&far_state, &far_picture);
    for (row = 0; row < height; row += NEAR_PATCH) {
        near_encode_rows(&near_state, samples + (size_t)row * width * 3, (size_t)width * 3);
        far_encode_rows(&far_state, samples + (size_t)row * width * 3, (size_t)width * 3);
    }
    free(samples);
    return near_end(&near_state) != NEAR_OK || far_end(&far_state) != FAR_OK ||
           fclose(near_picture.context) != 0 || fclose(far_picture.context) != 0;
}
