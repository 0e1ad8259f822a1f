/* The head of a binary PPM or PGM image, for the programs beside it. */
#ifndef HEQ_PNM_H
#define HEQ_PNM_H

#include <stdint.h>
#include <stdio.h>

typedef struct {
    uint32_t width, height; /* pixels */
    uint8_t channels;       /* 1 or 3 */
} heq_pnm;

/* A number in the head of an image, after blanks and comments; 0 where there is none. */
static uint32_t read_number(FILE *file)
{
    uint32_t number = 0;
    int byte = getc(file);
    while (byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == '#') {
        if (byte == '#') {
            while (byte != '\n' && byte != EOF) {
                byte = getc(file);
            }
        } else {
            byte = getc(file);
        }
    }
    for (; byte >= '0' && byte <= '9' && number < 100000000; byte = getc(file)) {
        number = number * 10 + (uint32_t)(byte - '0');
    }
    /* A single blank follows the last number; the sample after it may look like anything. */
    return byte == ' ' || (byte >= '\t' && byte <= '\r') ? number : 0;
}

/* What is wrong with the head of an image, or NULL. */
static const char *read_head(FILE *file, heq_pnm *image)
{
    int letter = getc(file), digit = getc(file);
    image->width = image->height = 0;
    image->channels = 0;
    if (letter != 'P' || (digit != '5' && digit != '6')) {
        return "not a binary PPM (P6) or PGM (P5) image.";
    }
    image->channels = digit == '6' ? 3 : 1;
    image->width = read_number(file);
    image->height = read_number(file);
    if (image->width == 0 || image->height == 0) {
        return "its head is damaged: there is no width and height.";
    }
    if (read_number(file) != 255) {
        return "samples must have 8 bits, 0 to 255; convert the image first.";
    }
    return NULL;
}

#endif
