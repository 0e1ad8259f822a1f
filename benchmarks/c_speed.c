/* What benchmarks/c_speed.py calls: the exported encoder, and its transforms alone; with SPEED_VGG
 * what vgg_speed.py does: the encoder, and how fast bits are counted. */
#include "heq_encoder.c"

typedef struct {
    uint8_t *bytes;
    size_t length, room;
} memory;

static int keep(void *context, const uint8_t *bytes, size_t length)
{
    memory *out = context;
    if (length > out->room - out->length) {
        return -1;
    }
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
    return 0;
}

/* Encode an RGB image to `out`. Returns the length of the file, 0 where it has no room. */
size_t speed_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint16_t rate,
                    uint8_t *out, size_t room)
{
    static heq_encoder encoder;
    heq_image image = {0};
    memory kept;
#if HEQ_VARIABLE_RATE
    static uint8_t payload[1 << 24];
    image.payload = payload;
    image.room = sizeof payload;
#endif
    kept.bytes = out;
    kept.length = 0;
    kept.room = room;
    image.width = width;
    image.height = height;
    image.channels = 3;
    image.rate = rate;
    image.write = keep;
    image.context = &kept;
    return heq_encode(&encoder, &image, pixels, (size_t)width * 3) == HEQ_OK ? kept.length : 0;
}

#ifdef SPEED_VGG

#ifdef HEQ_KERNEL_FAST

/* Count the bits of 64 vectors of the first cache, `rounds` times. Returns their number, so that
 * nothing is left out. */
uint64_t speed_count(uint32_t rounds)
{
    static words vectors[64];
    words total = {0};
    uint64_t lanes[HEQ_WORDS], sum = 0;
    int place, part;
    for (place = 0; place < 64; place++) {
        vectors[place] = every_word((uint64_t)place << 40 | 0xF0F0F0F0u);
    }
    for (; rounds > 0; rounds--) {
        words sums[4] = {{0}};
        for (place = 0; place < 64; place += 4) {
            for (part = 0; part < 4; part++) {
                sums[part] += counted(vectors[place + part]);
            }
        }
        total += joined(sums[0]) + joined(sums[1]) + joined(sums[2]) + joined(sums[3]);
        __asm__ volatile("" : : "r"(vectors) : "memory"); /* they might have changed */
    }
    memcpy(lanes, &total, sizeof total);
    for (part = 0; part < HEQ_WORDS; part++) {
        sum += lanes[part];
    }
    return sum;
}

/* Words of a vector. */
int speed_words(void)
{
    return HEQ_WORDS;
}

#endif
#else

/* Colour and transforms of one patch: every coefficient that the encoder looks at. */
static int32_t transform_alone(const heq_patch *patch)
{
    int32_t seen = 0;
    int plane, size;
#ifdef HEQ_KERNEL_FAST
    heq_square fields[3];
    heq_fast_colour(patch, fields);
#endif
    for (size = 0; size < 1 + HEQ_VARIABLE_RATE; size++) {
        for (plane = 0; plane < 3; plane++) {
#ifdef HEQ_KERNEL_FAST
            heq_square made;
            heq_fast_transform(&transform, &fields[plane], size == 0 ? 32 : 16, &made);
            seen ^= made.all[plane];
#else
            static int16_t field[HEQ_SIDE * HEQ_SIDE];
            int32_t made[HEQ_SIDE], scratch[HEQ_SCRATCH];
            int points = size == 0 ? 32 : 16, top, column;
            heq_transform_rows(&transform, patch, plane, size == 0 ? field : NULL,
                               size == 1 ? field : NULL, scratch);
            for (top = 0; top < HEQ_SIDE; top += points) {
                for (column = 0; column < HEQ_SIDE; column++) {
                    heq_transform_column(&transform, field + (top << 5) + column, points, -1,
                                         made, scratch);
                    seen ^= made[plane];
                }
            }
#endif
        }
    }
    return seen;
}

/* The transforms of all whole patches of an RGB image. */
int32_t speed_transform(const uint8_t *pixels, uint32_t width, uint32_t height)
{
    heq_patch patch = {0};
    int32_t seen = 0;
    uint32_t row, column;
    patch.stride = (size_t)width * 3;
    patch.channels = patch.pixel_bytes = 3;
    patch.columns = patch.rows = 32;
    for (row = 0; row + 32 <= height; row += 32) {
        for (column = 0; column + 32 <= width; column += 32) {
            patch.pixels = pixels + row * patch.stride + (size_t)column * 3;
            seen ^= transform_alone(&patch);
        }
    }
    return seen;
}

#endif
