/*
heq_encoder: images to .heq files, for microcontrollers

Written by `heqcodec export c` of heqcodec @VERSION@ from the model @MODEL@
(encoder @ENCODER_ID@, coder @CODER_ID@).
SPDX-License-Identifier: Apache-2.0

-- About

heqcodec is a learned image codec whose encoder needs only additions, shifts and comparisons. This
is that encoder in C99: no division or floating point, no malloc, nothing of libc but memset and
memcpy; no multiplication either, but where HEQ_KERNEL_MULTIPLY asks for it or the processor has
the DSP instructions of a Cortex-M4 (HEQ_KERNEL_SCALAR insists on none). It writes byte for byte the
files of `heqcodec encode --strip`, which `heqcodec decode` turns into images again; the decoder is
a neural network and needs a real computer.

@rate@This encoder is one of variable rate: a patch of 32 x 32 pixels has as many bits as it needs at the
@rate@quality of the file.
@patch@This encoder is patch-constant: every patch of 32 x 32 pixels has the same number of bits
@patch@(@RATES@), so that the place of each in the file is known beforehand.

-- Synopsis

    static heq_encoder encoder;                     // HEQ_ENCODER_BYTES, all the memory it uses
@rate@    static uint8_t payload[32768];                  // holds a strip until it is written
    int send(void *context, const uint8_t *bytes, size_t length);   // 0: go on

    heq_image image = {0};
    image.width = 640;
    image.height = 480;
    image.channels = 3;                             // RGB side by side; see heq_image for grey
@rate@    image.rate = heq_step_of_quality(45);           // 1 (smallest files) to 100
@patch@    image.rate = HEQ_DEFAULT_RATE;                  // bits of a patch: @RATES@
    image.write = send;
@rate@    image.strip_rows = 1;
@rate@    image.payload = payload;
@rate@    image.room = sizeof payload;
    heq_begin(&encoder, &image);
    while (rows come from the sensor)               // 32 at a time, at the bottom what is left
        heq_encode_rows(&encoder, rows, 640 * 3);
    status = heq_end(&encoder);                     // HEQ_OK, or what went wrong first

With the whole image in memory, heq_encode() does all this. With a patch of 32 x 32 pixels at a
time, heq_encode_patch() takes the place of heq_encode_rows().

-- Limits

@rate@Memory      heq_encoder, the buffer of a strip, and about 1 KB of stack
@patch@Memory      heq_encoder, and about @STACK@ of stack
Weights     @WEIGHT_BYTES@ bytes, constant; at most 131,072
Width       1 to 4294967295 pixels; height 1 to 534773760
@patch@Strips      less than 4 GiB
Samples     8 bits, 1 (grey) or 3 (RGB, sRGB) a pixel; grey from rows of either kind; other rows
            by a reader: heq_readers.h has RGB565, YUV, Bayer patterns and more
Patches     32 x 32 pixels; at the right and the bottom edge the last pixel is repeated
Metadata    none: no ICC profile, EXIF, XMP or alpha

An int has 32 bits at least, and shifting a negative number right rounds down; both are checked at
compile time.

-- Format

All numbers are little-endian; crc is the CRC-32 of PNG and zlib. docs/FORMAT.md of heqcodec has
every detail.

    header   0x89 "HEQ" 0D 0A 1A 0A, u8 version 1, u8 mode @MODE@, u8 coder @CODER@, u8 channels,
             u32 width, u32 height, u16 rate, u8 strip_rows, u8 0, 8 bytes encoder id,
             8 bytes coder id, u32 crc of these 40 bytes
    strips   u16 index, u16 rate, u32 length, payload, u32 crc of all four; strip_rows rows of
             patches each
    end      "END_", u32 0, u32 crc of both

A lost or damaged strip costs that strip alone.
*/
#ifndef HEQ_ENCODER_H
#define HEQ_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEQ_MODEL "@MODEL@"
@rate@#define HEQ_VARIABLE_RATE 1  /* bits where they are needed */
@patch@#define HEQ_VARIABLE_RATE 0  /* the same bits for each patch */
#define HEQ_PATCH 32         /* pixels */
#define HEQ_GRAY_AS_RGB 129  /* one channel that decodes to three, R = G = B */
@rate@/* For heq_image.tune: the least squared error; or, for the eye, finer low and coarser high
@rate@ * frequencies, and more faint detail where a patch has little. */
@rate@enum { HEQ_TUNE_PSNR = 0, HEQ_TUNE_SSIM = 1, HEQ_TUNE_TEXTURE = 2 };
@patch@#define HEQ_RATES "@RATES@" /* bits of a patch */
#define HEQ_STRIP_ROWS @STRIP_ROWS@     /* what heq_image.strip_rows = 0 stands for */
#define HEQ_DEFAULT_RATE @DEFAULT_RATE@ /* as `heqcodec encode` takes it by default */
@rate@/* HEQ_MAX_WIDTH, defined for all sources: pixels of the widest image there will be. */
@rate@#if defined(HEQ_MAX_WIDTH) && HEQ_MAX_WIDTH < 1024
@rate@#define HEQ_ENCODER_SAVED (14 * (32 - ((HEQ_MAX_WIDTH + 31) >> 5)) & ~7)
@rate@#else
@rate@#define HEQ_ENCODER_SAVED 0
@rate@#endif
@rate@#define HEQ_ENCODER_BYTES ((sizeof(void *) > 4 ? @WIDE_BYTES@ : @ENCODER_BYTES@) - HEQ_ENCODER_SAVED)
@patch@#define HEQ_ENCODER_BYTES @ENCODER_BYTES@

typedef enum {
    HEQ_OK = 0,
    HEQ_BAD_IMAGE,    /* a width, height, number of channels or rate that there is not */
    HEQ_WRITE_FAILED, /* write() did not return 0 */
    HEQ_NO_ROOM,      /* of heq_packets.h alone: what is to be sent does not fit */
    HEQ_TOO_MANY,     /* more patches or rows than the image has */
    HEQ_TOO_FEW       /* the end before the last patch, or rows in the middle of others */
} heq_status;

/* Takes the next bytes of the file. Returns 0; anything else ends the encoding. */
typedef int (*heq_write)(void *context, const uint8_t *bytes, size_t length);

/* A row of pixels to be read from rows of another kind than RGB or grey samples side by side. */
typedef struct {
    const uint8_t *samples; /* of this row, at column 0 of the image, in the rows that were given */
    size_t stride;          /* bytes to the row below it */
    uint32_t width, height; /* of the image, pixels */
    uint32_t x, y;          /* place in the image of the first pixel to be read; x is n * 32 */
    int columns;            /* pixels to be read, 1 to 32 */
    void *format;           /* heq_image.format */
} heq_row;

/* Fills `columns` pixels of three bytes: R, G, B. heq_readers.h has those of what sensors deliver;
 * a row may be read several times. */
typedef void (*heq_reader)(const heq_row *row, uint8_t *pixels);

typedef struct {
    uint32_t width, height; /* pixels */
    /* What is encoded: 3 RGB; 1 grey; HEQ_GRAY_AS_RGB grey that decodes to RGB, R = G = B. The
     * encoder sees a few rows at a time and cannot look for colour: who knows says so. */
    uint8_t channels;
    /* Bytes of a pixel in the rows that are given: 3, or with one channel also 1; with 3 the first
     * byte of each pixel counts. 0: 1 with channels = 1, else 3. */
    uint8_t pixel_bytes;
    heq_reader read;        /* of rows of any other kind; NULL: they are read where they lie */
    void *format;           /* given to read */
    uint8_t strip_rows;     /* rows of patches in a strip; 0 for HEQ_STRIP_ROWS */
@rate@    uint16_t rate;          /* step index, 0 (finest) to 1023; see heq_step_of_quality */
@patch@    uint16_t rate;          /* bits of a patch: @RATES@ */
    heq_write write;
    void *context;          /* given to write */
@rate@    uint8_t *payload; /* where a strip is kept until its length is known: about 150 bytes a patch at
@rate@                       quality 45, seldom more than 2,000 */
@rate@    size_t room;      /* bytes of it. A strip that needs more is coded coarser where its rows are
@rate@                       there: by heq_encode, and of one row of patches by heq_encode_rows; of any
@rate@                       other, patches for which not enough is left lose their fine detail */
@rate@    uint8_t progressive; /* 1: the lowest frequencies of the whole image come first, so that a
@rate@                          receiver can stop there. All rows are then given twice; no budget */
@rate@    uint8_t tune;     /* HEQ_TUNE_PSNR, HEQ_TUNE_SSIM or HEQ_TUNE_TEXTURE */
@rate@    uint32_t budget;  /* bytes of the whole file at most, by a step for each strip; 0: none. Strips
@rate@                       are then rows of patches, from heq_encode_rows, and rate is unused */
} heq_image;

/* All memory of an encoder; its content is its own matter. */
typedef union {
    uint8_t bytes[HEQ_ENCODER_BYTES];
    uint32_t word;
    void *pointer;
    size_t size;
} heq_encoder;

/* Begin a file and write its header. The image need not be kept. */
heq_status heq_begin(heq_encoder *encoder, const heq_image *image);

/* Encode the next patch, row by row from the left: `pixels` is its upper left sample, `stride` the
 * bytes from one row of pixels to the next. Of patches that reach beyond the right or the bottom
 * edge only the pixels inside are read. With heq_image.read, `pixels` is column 0 of its rows, for
 * all patches of a row. */
heq_status heq_encode_patch(heq_encoder *encoder, const uint8_t *pixels, size_t stride);

/* Encode the next 32 rows of pixels, at the bottom those that are left. */
heq_status heq_encode_rows(heq_encoder *encoder, const uint8_t *rows, size_t stride);

/* End the file. All functions return what went wrong first, so asking here is enough. */
heq_status heq_end(heq_encoder *encoder);

/* All of these for an image in memory. */
heq_status heq_encode(heq_encoder *encoder, const heq_image *image, const uint8_t *pixels,
                      size_t stride);
@rate@
@rate@/* Strips so far that are marked as not sent, for want of room. */
@rate@uint32_t heq_unsent_strips(const heq_encoder *encoder);
@rate@
@rate@/* Patches so far that lost fine detail, for want of room. */
@rate@uint32_t heq_coarse_patches(const heq_encoder *encoder);
@rate@
@rate@/* Room for a strip of one row of patches, at a quality that is an integer from 1 to 100, whatever
@rate@ * the image: more than noise of two values takes. Of a photograph a fifth is enough. */
@rate@#define HEQ_PAYLOAD_MAX(width, quality) ((((width) + 31u) >> 5) * (512u + 28u * (quality)))
@rate@
@rate@/* The step index of a quality from 1 (smallest files) to 100. 16 halve the step. */
@rate@uint16_t heq_step_of_quality(int quality);

#ifdef __cplusplus
}
#endif

#endif
