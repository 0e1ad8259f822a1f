/* A photograph of 200 x 150 pixels from standard input. */
#ifndef PHOTOGRAPH_H
#define PHOTOGRAPH_H

#include "Arduino.h"

#define WIDTH 200
#define HEIGHT 150

static const uint8_t *take_photograph()
{
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    if (std::fread(pixels, 1, sizeof pixels, stdin) != sizeof pixels) {
        std::exit(1);
    }
    return pixels;
}

#endif
