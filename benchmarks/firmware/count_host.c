/* The same encoders on this computer: an image with its head from standard input, the file to standard
 * output. */
#include <stdio.h>
#include <stdlib.h>

#include "count.h"

int put_bytes(const void *bytes, size_t count)
{
    return fwrite(bytes, 1, count, stdout) != count;
}

int main(void)
{
    uint32_t head[4];
    count_image image;
    uint8_t *pixels;
    size_t size;
    if (fread(head, sizeof head, 1, stdin) != 1) {
        return 2;
    }
    size = (size_t)head[0] * head[1] * 3;
    pixels = (uint8_t *)malloc(size);
    if (pixels == NULL || fread(pixels, 1, size, stdin) != size) {
        return 2;
    }
    image.width = head[0];
    image.height = head[1];
    image.setting = (int)head[2];
    image.strip_rows = (int)head[3];
    image.pixels = pixels;
    return encode_image(&image);
}
