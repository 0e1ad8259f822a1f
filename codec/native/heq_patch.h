/* A patch of an image, as every encoder takes it. */
#ifndef HEQ_PATCH_H
#define HEQ_PATCH_H

#include <stddef.h>
#include <stdint.h>

#ifndef HEQ_INTERNAL
#define HEQ_INTERNAL
#endif

#define HEQ_SIDE 32

typedef struct {
    const uint8_t *pixels; /* the upper left sample, those of a pixel side by side */
    size_t stride;         /* bytes from row to row */
    int channels;          /* that are encoded, 1 or 3 */
    int pixel_bytes;       /* from pixel to pixel, 1 or 3; for one channel the first counts */
    int columns, rows;     /* that there are, 1..32; the last ones are repeated */
} heq_patch;

#endif
