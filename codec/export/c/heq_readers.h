/* Readers of what image sensors deliver, for heq_image.read; heq_image.format says more of some.
 *
 *     image.read = heq_read_rgb565_be;            esp32-camera, OpenMV
 *     heq_encode_rows(&encoder, rows, 2 * width);
 *
 * Each source is compiled and linked only where one of its readers is used. Additions and shifts
 * alone, and no frame or patch of RGB anywhere: rows are read a patch's row at a time where the
 * caller has them. `heqcodec encode --raw` converts to the same numbers.
 */
#ifndef HEQ_READERS_H
#define HEQ_READERS_H

#include "heq_encoder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- heq_read_rgb.c: no format ------------------------------------------------------------- */

void heq_read_bgr888(const heq_row *row, uint8_t *pixels);
void heq_read_rgba8888(const heq_row *row, uint8_t *pixels);   /* alpha is left out */
void heq_read_rgb565_le(const heq_row *row, uint8_t *pixels);  /* the low byte first */
void heq_read_rgb565_be(const heq_row *row, uint8_t *pixels);  /* the high byte first */

/* ---- heq_read_yuv.c ------------------------------------------------------------------------ */

/* BT.601; of YUYV and UYVY only `limited` counts, and without a format it is 0. */
typedef struct {
    /* Samples of Cb and Cr for 2 x 2 pixels: of planar images two planes, `step` 1; of NV12 `v` is
     * `u` + 1, of NV21 `u` is `v` + 1, and `step` is 2. Rows of heq_encode_rows are those of Y. */
    const uint8_t *u, *v;
    uint8_t step;    /* bytes from a sample to the next */
    uint8_t limited; /* Y is 16..235, the others 16..240; 0: all are 0..255, as in JPEG */
    size_t stride;   /* bytes from a row of them to the next */
    uint32_t top;    /* row of the image, even, that the first row of them belongs to */
} heq_yuv;

void heq_read_yuyv(const heq_row *row, uint8_t *pixels);
void heq_read_uyvy(const heq_row *row, uint8_t *pixels);
void heq_read_yuv420(const heq_row *row, uint8_t *pixels);

/* ---- heq_read_bayer.c ---------------------------------------------------------------------- */

enum { HEQ_RGGB = 0, HEQ_GRBG = 1, HEQ_GBRG = 2, HEQ_BGGR = 3 }; /* first two pixels, two rows */

/* One sample a pixel. Two rows above and two below those of a patch are read, too, where the image
 * has them: a buffer that heq_encode_rows gets must hold them. */
typedef struct {
    uint8_t order;    /* HEQ_RGGB and so on */
    uint8_t bits;     /* 8, 10, 12 or 16; over 8 in two bytes, the low one first */
    uint8_t packed;   /* 10 or 12 bits as MIPI CSI-2 packs them: 4 pixels in 5 bytes, 2 in 3 */
    uint8_t bilinear; /* means of neighbours; 0: corrected by gradients of the other colours */
    uint16_t black;   /* is subtracted from each sample */
    uint8_t gain[3];  /* white balance: factors of R, G, B in 64ths; 0 is 64 */
    /* The reader's own: samples of the rows around the last one. */
    uint8_t known;
    uint32_t x, y;
    uint16_t around[8 * 36];
} heq_bayer;

void heq_read_bayer(const heq_row *row, uint8_t *pixels);

#ifdef __cplusplus
}
#endif

#endif
