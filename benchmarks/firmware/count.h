/* What count.c, or count_host.c on a computer, and an encoder know of one another. */
#ifndef COUNT_H
#define COUNT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t width, height;
    int setting;           /* step and 1024 times the tune, bits of a patch, quality or level */
    int strip_rows;        /* 0: the encoder's own */
    const uint8_t *pixels; /* RGB */
} count_image;

/* Encodes an image; 0: done. */
int encode_image(const count_image *image);

/* Takes the next bytes of the file; 0: go on. */
int put_bytes(const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
