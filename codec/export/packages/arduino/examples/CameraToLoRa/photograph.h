/* A photograph of an OV7670 or OV7675 as RGB, on an Arduino Nano 33 BLE; needs Arduino_OV767X. */
#include <Arduino_OV767X.h>

#define WIDTH 176 /* QCIF */
#define HEIGHT 144
#define PIXELS ((size_t)WIDTH * HEIGHT)

static bool begin_camera()
{
    return Camera.begin(QCIF, RGB565, 1);
}

/* WIDTH x HEIGHT pixels, which stay until the next. */
static const uint8_t *take_photograph()
{
    static uint8_t pixels[PIXELS * 3];
    /* The camera's two bytes a pixel, the high one first, stand at the end and are read before what
     * they become is written over them. */
    const uint8_t *from = pixels + PIXELS;
    Camera.readFrame(pixels + PIXELS);
    for (uint8_t *rgb = pixels; rgb < pixels + PIXELS * 3; rgb += 3, from += 2) {
        unsigned word = (unsigned)from[0] << 8 | from[1];
        unsigned red = word >> 11, green = word >> 5 & 63, blue = word & 31;
        rgb[0] = (uint8_t)(red << 3 | red >> 2);
        rgb[1] = (uint8_t)(green << 2 | green >> 4);
        rgb[2] = (uint8_t)(blue << 3 | blue >> 2);
    }
    return pixels;
}
