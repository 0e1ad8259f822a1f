/* An exported encoder in the hands of any caller: every image, in rows of either kind, a whole file
 * or an error; what is written is a file whose checksums hold.
 *
 * Input: kind of file and of rows, width, height, strip rows, rate, room, how often `write` works;
 * which functions are called; then samples. */
#include "heq_encoder.h"

#include "container.h"

enum { MOST_SIDE = 80, MOST_FILE = 1 << 16, MOST_ROOM = 1 << 14 };

typedef struct {
    uint8_t bytes[MOST_FILE];
    size_t length;
    unsigned allowed; /* writes that work */
} written;

static int keep(void *context, const uint8_t *bytes, size_t length)
{
    written *to = context;
    if (to->allowed == 0 || length > MOST_FILE - to->length) {
        return 1;
    }
    to->allowed--;
    memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
    return 0;
}

/* All strips and the end, and nothing behind it. */
static void expect_file(const written *file, const heq_image *image)
{
    header head;
    size_t place = HEADER_BYTES, length = 0;
    EXPECT(read_header(file->bytes, file->length, &head) || !HEQ_VARIABLE_RATE);
    EXPECT(file->bytes[11] == image->channels);
    EXPECT(number_at(file->bytes + 40) == crc_of(0, file->bytes, 40));
    for (; place < file->length; place += length) {
        const uint8_t *chunk = file->bytes + place;
        length = chunk_at(file->bytes, file->length, place);
        EXPECT(length >= 12 && number_at(chunk + length - 4) == crc_of(0, chunk, length - 4));
    }
    EXPECT(length == 12 && memcmp(file->bytes + place - 12, "END_", 4) == 0);
}

/* The functions in any order, by a bit of the input each. */
static void call_functions(heq_encoder *encoder, const heq_image *image, const uint8_t *samples,
                           size_t stride, size_t pixel_bytes, uint32_t calls)
{
    uint32_t row, column;
    heq_begin(encoder, image);
    for (row = 0; row < image->height; row += HEQ_PATCH, calls >>= 1) {
        const uint8_t *rows = samples + stride * row;
        if (calls & 1) {
            heq_encode_rows(encoder, rows, stride);
            continue;
        }
        for (column = 0; column < image->width; column += HEQ_PATCH) {
            heq_encode_patch(encoder, rows + column * pixel_bytes, stride);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static heq_encoder encoder;
    static written file;
    static const uint8_t kinds[5] = {1, 3, HEQ_GRAY_AS_RGB, 0, 2};
    input from = {data, size};
    heq_image image = {0};
    heq_status status;
    uint32_t calls;
    size_t pixel_bytes, bytes, place;
    uint8_t *samples, *payload = malloc(MOST_ROOM);
    EXPECT(payload != NULL);
    image.channels = kinds[take_number(&from, 0, 4)];
    image.pixel_bytes = (uint8_t)take_number(&from, 0, 3);
    image.width = take_number(&from, 0, MOST_SIDE);
    image.height = take_number(&from, 0, MOST_SIDE);
    image.strip_rows = (uint8_t)take_number(&from, 0, 4);
    image.rate = (uint16_t)take_number(&from, 0, 1100);
#if HEQ_VARIABLE_RATE
    image.payload = payload;
    image.room = take_number(&from, 0, MOST_ROOM);
    payload = realloc(payload, image.room > 0 ? image.room : 1);
    image.payload = payload;
#else
    image.rate = (uint16_t)(64u << (image.rate & 3));
#endif
    file.length = 0;
    file.allowed = take_number(&from, 0, 255);
    file.allowed = file.allowed < 128 ? file.allowed : 100000;
    image.write = keep;
    image.context = &file;
    calls = take_byte(&from);
    pixel_bytes = image.pixel_bytes != 0 ? image.pixel_bytes : image.channels == 1 ? 1 : 3;
    bytes = pixel_bytes * image.width * image.height;
    samples = malloc(bytes > 0 ? bytes : 1);
    EXPECT(samples != NULL);
    for (place = 0; place < bytes; place++) {
        /* Behind the end of the input the samples go on as they were. */
        samples[place] = from.left > 0  ? (uint8_t)take_byte(&from)
                         : place >= 96 ? samples[place - 96]
                                       : 0;
    }
    if (calls & 1) {
        status = heq_encode(&encoder, &image, samples, pixel_bytes * image.width);
    } else {
        call_functions(&encoder, &image, samples, pixel_bytes * image.width, pixel_bytes,
                       calls >> 1);
        status = heq_end(&encoder);
    }
    EXPECT(status != HEQ_TOO_FEW && status != HEQ_TOO_MANY);
    if (status == HEQ_OK) {
        expect_file(&file, &image);
    }
    free(samples);
    free(payload);
    return 0;
}
