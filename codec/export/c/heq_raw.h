/* Raw dumps of image sensors for the program beside it: what `heqenc --raw` takes, as
 * `heqcodec encode --raw` does. */
#ifndef HEQ_RAW_H
#define HEQ_RAW_H

#include <stdlib.h>
#include <string.h>

#include "heq_readers.h"

#define RAW_SIDE 65536

typedef struct {
    heq_image image; /* of the dump's size and kind; nothing else is set */
    size_t stride, size; /* bytes of a row, and of all */
    heq_yuv yuv;
    heq_bayer bayer;
    size_t u, v; /* where these planes begin */
} heq_raw;

typedef struct {
    const char *name;
    heq_reader read;   /* NULL: RGB or grey where it lies */
    uint8_t bytes;     /* of two pixels, in a row */
    uint8_t paired;    /* an odd pixel takes as much as two */
    uint8_t step;      /* of Cb and Cr of 2 x 2 pixels */
} raw_kind;

static const raw_kind raw_kinds[] = {
    {"gray8", NULL, 2, 0, 0},
    {"rgb24", NULL, 6, 0, 0},
    {"bgr24", heq_read_bgr888, 6, 0, 0},
    {"rgba", heq_read_rgba8888, 8, 0, 0},
    {"rgb565", heq_read_rgb565_le, 4, 0, 0},
    {"rgb565le", heq_read_rgb565_le, 4, 0, 0},
    {"rgb565be", heq_read_rgb565_be, 4, 0, 0},
    {"yuyv", heq_read_yuyv, 4, 1, 0},
    {"uyvy", heq_read_uyvy, 4, 1, 0},
    {"yuv420p", heq_read_yuv420, 2, 0, 1},
    {"nv12", heq_read_yuv420, 2, 0, 2},
    {"nv21", heq_read_yuv420, 2, 0, 2},
};

/* A number from `text` on, which is moved behind it; -1 where there is none. */
static long raw_number(const char **text)
{
    long number = -1;
    for (; **text >= '0' && **text <= '9' && number < 100000000; ++*text) {
        number = (number < 0 ? 0 : number) * 10 + (**text - '0');
    }
    return number;
}

/* Is this word next? It is then passed. */
static int raw_word(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0) {
        return 0;
    }
    *text += length;
    return 1;
}

static int raw_ends(const char *text)
{
    return *text == '\0' || *text == ':';
}

/* The order, bits and packing of a Bayer pattern, such as srggb10p. */
static int raw_bayer(const char **text, heq_raw *raw)
{
    static const char *const orders[4] = {"srggb", "sgrbg", "sgbrg", "sbggr"};
    size_t width = raw->image.width;
    uint8_t order = 0;
    long bits;
    while (order < 4 && !raw_word(text, orders[order])) {
        order++;
    }
    bits = raw_number(text);
    raw->bayer.order = order;
    raw->bayer.bits = (uint8_t)(bits < 0 ? 0 : bits & 255);
    raw->bayer.packed = (uint8_t)((bits == 10 || bits == 12) && raw_word(text, "p"));
    raw->image.read = heq_read_bayer;
    raw->image.format = &raw->bayer;
    raw->stride = bits == 8           ? width
                  : !raw->bayer.packed ? 2 * width
                  : bits == 10         ? (width + 3) / 4 * 5
                                       : (width + 1) / 2 * 3;
    return order < 4 && (bits == 8 || bits == 10 || bits == 12 || bits == 16) && raw_ends(*text);
}

static int raw_planes(const char **text, heq_raw *raw)
{
    size_t place, width = raw->image.width;
    for (place = 0; place < sizeof raw_kinds / sizeof *raw_kinds; place++) {
        const raw_kind *kind = &raw_kinds[place];
        const char *after = *text;
        if (raw_word(&after, kind->name) && raw_ends(after)) {
            *text = after;
            raw->stride = kind->bytes * (width + (kind->paired ? width & 1 : 0)) / 2;
            raw->image.read = kind->read;
            raw->image.channels = strcmp(kind->name, "gray8") == 0 ? 1 : 3;
            raw->image.pixel_bytes = raw->image.channels;
            raw->image.format = kind->paired || kind->step ? &raw->yuv : NULL;
            raw->yuv.step = kind->step;
            raw->yuv.top = strcmp(kind->name, "nv21") == 0; /* for raw_places */
            return 1;
        }
    }
    return 0;
}

/* An option after a colon. */
static int raw_option(const char **text, heq_raw *raw)
{
    int color;
    long number;
    if (raw_word(text, "stride=")) {
        number = raw_number(text);
        if (number < (long)raw->stride) {
            return 0;
        }
        raw->stride = (size_t)number;
    } else if (raw->image.format == NULL) {
        return 0;
    } else if (raw->image.format == &raw->yuv) {
        raw->yuv.limited = (uint8_t)raw_word(text, "limited");
        return raw->yuv.limited && raw_ends(*text);
    } else if (raw_word(text, "black=")) {
        number = raw_number(text);
        if (number < 0 || number >> raw->bayer.bits != 0) {
            return 0;
        }
        raw->bayer.black = (uint16_t)number;
    } else if (raw_word(text, "gain=")) {
        for (color = 0; color < 3; color++) {
            number = raw_number(text);
            if (number < 1 || number > 255 || (color < 2 && !raw_word(text, "/"))) {
                return 0;
            }
            raw->bayer.gain[color] = (uint8_t)number;
        }
    } else {
        raw->bayer.bilinear = (uint8_t)raw_word(text, "bilinear");
        return raw->bayer.bilinear && raw_ends(*text);
    }
    return raw_ends(*text);
}

/* Where the planes are, and bytes of all. */
static void raw_places(heq_raw *raw)
{
    size_t height = raw->image.height, half = (raw->stride + 1) / 2, second = raw->yuv.top;
    raw->size = raw->stride * height;
    raw->yuv.top = 0;
    if (raw->yuv.step == 1) {
        raw->yuv.stride = half;
        raw->u = raw->size;
        raw->v = raw->u + half * ((height + 1) / 2);
        raw->size = raw->v + half * ((height + 1) / 2);
    } else if (raw->yuv.step == 2) {
        raw->yuv.stride = 2 * half;
        raw->u = raw->size + second;
        raw->v = raw->size + !second;
        raw->size += 2 * half * ((height + 1) / 2);
    }
}

/* WIDTHxHEIGHT:KIND and options, to an image that lacks its rate and whatever writes. Returns
 * whether it says a raw dump. */
static int raw_of(const char *text, heq_raw *raw)
{
    long width = raw_number(&text), height = raw_word(&text, "x") ? raw_number(&text) : -1;
    if (width < 1 || width > RAW_SIDE || height < 1 || height > RAW_SIDE || !raw_word(&text, ":")) {
        return 0;
    }
    memset(raw, 0, sizeof *raw);
    raw->image.width = (uint32_t)width;
    raw->image.height = (uint32_t)height;
    raw->image.channels = raw->image.pixel_bytes = 3;
    if (!raw_planes(&text, raw) && !raw_bayer(&text, raw)) {
        return 0;
    }
    while (*text != '\0') {
        if (!raw_word(&text, ":") || !raw_option(&text, raw)) {
            return 0;
        }
    }
    raw_places(raw);
    return 1;
}

/* Let the planes of Cb and Cr begin in what was read. */
static void raw_begin(heq_raw *raw, const uint8_t *samples)
{
    raw->yuv.u = samples + raw->u;
    raw->yuv.v = samples + raw->v;
}

#endif
