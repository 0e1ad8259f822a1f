/* A patch of an image, as every encoder takes it. */
#ifndef HEQ_PATCH_H
#define HEQ_PATCH_H

#include <stddef.h>
#include <stdint.h>

#ifndef HEQ_INTERNAL
#define HEQ_INTERNAL
#endif

#define HEQ_SIDE 32
#define HEQ_ROW_BYTES 96 /* of a row of a patch that a reader fills */

typedef struct {
    const uint8_t *pixels; /* the upper left sample, those of a pixel side by side; or what the
                              reader takes for it */
    size_t stride;         /* bytes from row to row */
    int channels;          /* that are encoded, 1 or 3 */
    int pixel_bytes;       /* from pixel to pixel, 1 or 3; for one channel the first counts */
    int columns, rows;     /* that there are, 1..32; the last ones are repeated */
    /* NULL where pixels are read in place; else it fills row `y` with `columns` pixels of three
     * bytes, from what lies at `row`, a multiple of `stride` after `pixels`. */
    void (*read)(void *source, const uint8_t *row, int y, uint8_t *pixels);
    void *source;
} heq_patch;

#endif
