/* A .heq file as a stream: header, strips and end, with their checksums. */
#ifndef HEQ_FILE_H
#define HEQ_FILE_H

#include "heq_encoder.h"

typedef struct {
    heq_write write;
    void *context;
    heq_reader read; /* of the rows that come, or NULL */
    void *format;    /* given to it */
    uint32_t crc;    /* of what was written since the last checksum, not yet inverted */
    uint32_t width;  /* pixels */
    uint32_t height;
    uint32_t columns; /* patches */
    uint32_t rows;
    uint32_t column; /* of the next patch */
    uint32_t row;
    uint32_t strip;  /* index of the strip that it is in */
    uint8_t channels;    /* that are encoded, 1 or 3 */
    uint8_t kind;        /* as the header names them */
    uint8_t pixel_bytes; /* of the rows that come */
    uint8_t strip_rows;
    uint8_t row_of_strip; /* its row in the strip */
    uint8_t status;
    uint8_t part; /* of a progressive file: 1 the lowest frequencies, 2 the rest; of others 0 */
} heq_file;

/* Check the image, then write the header. */
HEQ_INTERNAL void heq_file_begin(heq_file *file, const heq_image *image);
HEQ_INTERNAL void heq_file_put_header(heq_file *file, uint16_t rate);

/* Write bytes; the next checksum covers them. */
HEQ_INTERNAL void heq_file_put(heq_file *file, const uint8_t *bytes, size_t length);
HEQ_INTERNAL void heq_file_put_number(heq_file *file, uint32_t number);
HEQ_INTERNAL void heq_file_put_strip_head(heq_file *file, uint32_t index, uint16_t rate,
                                          uint32_t length);
HEQ_INTERNAL void heq_file_put_checksum(heq_file *file);

/* Go on to the next patch. Returns whether it is in another strip, or there is none. */
HEQ_INTERNAL int heq_file_advance(heq_file *file);

/* Write the end, once all patches are there. */
HEQ_INTERNAL void heq_file_end(heq_file *file);

/* The first failure counts. */
HEQ_INTERNAL void heq_file_fail(heq_file *file, heq_status status);

#endif
