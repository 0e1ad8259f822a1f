/* Enough of docs/FORMAT.md to find the strips of a file, and to mend its checksums. */
#ifndef HEQ_FUZZ_CONTAINER_H
#define HEQ_FUZZ_CONTAINER_H

#include "harness.h"

enum { HEADER_BYTES = 44, CODER_DEVICE = 2, CODER_PACKED = 3, PACKED_SLICES = 6 };
enum { MODE_RATE = 1, MODE_PROGRESSIVE = 2 };

static inline uint32_t crc_of(uint32_t crc, const uint8_t *bytes, size_t length)
{
    int bit;
    crc ^= 0xFFFFFFFFu;
    for (; length > 0; length--) {
        crc ^= *bytes++;
        for (bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        }
    }
    return crc ^ 0xFFFFFFFFu;
}

static inline uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline void put_number(uint8_t *bytes, uint32_t number)
{
    int each;
    for (each = 0; each < 4; each++, number >>= 8) {
        bytes[each] = (uint8_t)(number & 255);
    }
}

/* The header that matters to the coders. */
typedef struct {
    int mode, coder, planes, step, strip_rows;
    uint32_t width, height;
} header;

static inline int read_header(const uint8_t *data, size_t size, header *made)
{
    static const uint8_t magic[9] = {0x89, 'H', 'E', 'Q', '\r', '\n', 0x1A, '\n', 1};
    if (size < HEADER_BYTES || memcmp(data, magic, sizeof magic) != 0 ||
        number_at(data + 40) != crc_of(0, data, 40)) {
        return 0;
    }
    made->mode = data[9];
    made->coder = data[10];
    made->planes = data[11] == 3 ? 3 : 1;
    made->width = number_at(data + 12);
    made->height = number_at(data + 16);
    made->step = data[20] | data[21] << 8;
    made->strip_rows = data[22];
    return (data[11] == 1 || data[11] == 3 || data[11] == 129) && made->width > 0 &&
           made->height > 0 && made->step < 1024 && made->strip_rows > 0;
}

/* The length of the chunk at a place, its checksum included; 0 where it ends behind the data. */
static inline size_t chunk_at(const uint8_t *data, size_t size, size_t place)
{
    uint32_t length;
    if (size - place < 12) {
        return 0;
    }
    if (memcmp(data + place, "END_", 4) == 0) {
        return 12;
    }
    length = number_at(data + place + 4);
    return length <= size - place - 12 ? (size_t)length + 12 : 0;
}

/* A slice of a packed payload: where its code begins, and ends. Returns 0 where there is none. */
static inline int slice_at(const uint8_t *data, size_t size, size_t *begin, size_t *end)
{
    size_t length = 0, place = *begin;
    int shift = 0;
    for (; shift < 35 && place < size; shift += 7) {
        length |= (size_t)(data[place] & 127) << shift;
        if (data[place++] < 128) {
            break;
        }
    }
    if (place == *begin || data[place - 1] > 127 || length + (length > 0) > size - place) {
        return 0;
    }
    *begin = place + (length > 0);
    *end = *begin + length;
    return 1;
}

/* The check byte of a slice. */
static inline uint8_t slice_check(int index, const uint8_t *code, size_t length)
{
    uint8_t number = (uint8_t)index;
    return (uint8_t)(crc_of(crc_of(0, &number, 1), code, length) & 255);
}

/* Make all checksums right, and a last chunk as long as what there is. */
static inline void mend(uint8_t *data, size_t size)
{
    size_t place = HEADER_BYTES;
    if (size < HEADER_BYTES) {
        return;
    }
    put_number(data + 40, crc_of(0, data, 40));
    while (size - place >= 12) {
        size_t length = chunk_at(data, size, place), begin = place + 8, end;
        int slice;
        if (length == 0) {
            length = size - place;
            put_number(data + place + 4, (uint32_t)(length - 12));
        }
        for (slice = 0; data[10] == CODER_PACKED && slice < PACKED_SLICES &&
                        slice_at(data, place + length - 4, &begin, &end);
             slice++) {
            if (end > begin) {
                data[begin - 1] = slice_check(slice, data + begin, end - begin);
            }
            begin = end;
        }
        put_number(data + place + length - 4, crc_of(0, data + place, length - 4));
        place += length;
    }
}

#endif
