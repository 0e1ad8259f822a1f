#include "heq_file.h"

#include <string.h>

#define HEADER_BYTES 40
#define ALL_ONES 0xFFFFFFFFu
#define WEIGHTED 64 /* of the channels: coefficients are weighted by frequency */

/* CRC-32 of four bits. */
static const uint32_t crc_table[16] = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
};

HEQ_INTERNAL void heq_file_fail(heq_file *file, heq_status status)
{
    if (file->status == HEQ_OK) {
        file->status = (uint8_t)status;
    }
}

HEQ_INTERNAL void heq_file_put(heq_file *file, const uint8_t *bytes, size_t length)
{
    uint32_t crc = file->crc;
    size_t place;
    if (file->status != HEQ_OK || length == 0) {
        return;
    }
    for (place = 0; place < length; place++) {
        crc ^= bytes[place];
        crc = crc >> 4 ^ crc_table[crc & 15];
        crc = crc >> 4 ^ crc_table[crc & 15];
    }
    file->crc = crc;
    if (file->write(file->context, bytes, length) != 0) {
        heq_file_fail(file, HEQ_WRITE_FAILED);
    }
}

/* Little-endian, on every machine. */
static void store_number(uint8_t *bytes, uint32_t number)
{
    bytes[0] = (uint8_t)(number & 255);
    bytes[1] = (uint8_t)(number >> 8 & 255);
    bytes[2] = (uint8_t)(number >> 16 & 255);
    bytes[3] = (uint8_t)(number >> 24);
}

HEQ_INTERNAL void heq_file_put_number(heq_file *file, uint32_t number)
{
    uint8_t bytes[4];
    store_number(bytes, number);
    heq_file_put(file, bytes, sizeof bytes);
}

HEQ_INTERNAL void heq_file_put_strip_head(heq_file *file, uint32_t index, uint16_t rate,
                                          uint32_t length)
{
    heq_file_put_number(file, index | (uint32_t)rate << 16);
    heq_file_put_number(file, length);
}

HEQ_INTERNAL void heq_file_put_checksum(heq_file *file)
{
    heq_file_put_number(file, file->crc ^ ALL_ONES);
    file->crc = ALL_ONES;
}

HEQ_INTERNAL void heq_file_begin(heq_file *file, const heq_image *image)
{
    uint32_t least_rows, strips;
    memset(file, 0, sizeof *file);
    file->write = image->write;
    file->context = image->context;
    file->read = image->read;
    file->format = image->format;
    file->crc = ALL_ONES;
    file->width = image->width;
    file->height = image->height;
    file->columns = (image->width >> 5) + ((image->width & 31) != 0);
    file->rows = (image->height >> 5) + ((image->height & 31) != 0);
    file->kind = image->channels;
    file->channels = image->channels == HEQ_GRAY_AS_RGB ? 1 : image->channels;
    file->pixel_bytes = image->read != NULL          ? 3
                        : image->pixel_bytes != 0 ? image->pixel_bytes
                        : image->channels == 1    ? 1
                                                  : 3;
    file->strip_rows = image->strip_rows != 0 ? image->strip_rows : HEQ_STRIP_ROWS;
    strips = file->rows;
#if HEQ_VARIABLE_RATE
    file->part = image->progressive != 0;
    file->kind |= image->tune != HEQ_TUNE_PSNR ? WEIGHTED : 0;
    strips <<= file->part; /* each comes twice */
#endif
    least_rows = (strips >> 16) + ((strips & 0xFFFFu) != 0); /* 65,536 strips at most */
    if (least_rows > file->strip_rows) {
        file->strip_rows = (uint8_t)(least_rows & 255);
    }
#ifdef HEQ_MAX_WIDTH
    if (image->width > HEQ_MAX_WIDTH) {
        heq_file_fail(file, HEQ_BAD_IMAGE);
    }
#endif
    if (least_rows > 255 || image->width == 0 || image->height == 0 || image->write == NULL ||
        (file->channels != 1 && file->channels != 3) ||
        (file->pixel_bytes != 3 && (file->pixel_bytes != 1 || file->channels == 3))) {
        heq_file_fail(file, HEQ_BAD_IMAGE);
    }
}

HEQ_INTERNAL void heq_file_put_header(heq_file *file, uint16_t rate)
{
    static const uint8_t magic[8] = {0x89, 'H', 'E', 'Q', '\r', '\n', 0x1A, '\n'};
    uint8_t header[HEADER_BYTES] = {0};
    memcpy(header, magic, sizeof magic);
    header[8] = FORMAT_VERSION;
    header[9] = (uint8_t)(FILE_MODE + (file->part != 0));
    header[10] = FILE_CODER;
    header[11] = file->kind;
    store_number(header + 12, file->width);
    store_number(header + 16, file->height);
    header[20] = (uint8_t)(rate & 255);
    header[21] = (uint8_t)(rate >> 8);
    header[22] = file->strip_rows;
    memcpy(header + 24, encoder_id, sizeof encoder_id);
    memcpy(header + 32, coder_id, sizeof coder_id);
    heq_file_put(file, header, sizeof header);
    heq_file_put_checksum(file);
}

HEQ_INTERNAL int heq_file_advance(heq_file *file)
{
    file->column++;
    if (file->column < file->columns) {
        return 0;
    }
    file->column = 0;
    file->row++;
    file->row_of_strip++;
    if (file->row_of_strip < file->strip_rows && file->row < file->rows) {
        return 0;
    }
    file->row_of_strip = 0;
    file->strip++;
    if (file->row == file->rows && file->part == 1) { /* from the top again */
        file->row = 0;
        file->part = 2;
    }
    return 1;
}

HEQ_INTERNAL void heq_file_end(heq_file *file)
{
    static const uint8_t end[4] = {'E', 'N', 'D', '_'};
    if (file->row < file->rows) {
        heq_file_fail(file, HEQ_TOO_FEW);
    } else if (file->row > file->rows) {
        heq_file_fail(file, HEQ_TOO_MANY);
    }
    heq_file_put(file, end, sizeof end);
    heq_file_put_number(file, 0);
    heq_file_put_checksum(file);
    file->row = file->rows + 1; /* whatever comes now is one too many */
}
