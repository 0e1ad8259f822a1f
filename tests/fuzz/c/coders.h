/* The strip coders with the tables of the shipped model, for harnesses. */
#ifndef HEQ_FUZZ_CODERS_H
#define HEQ_FUZZ_CODERS_H

#include "harness.h"
#include "heq_device.h"
#include "heq_packed.h"

/* A strip of levels: patches row by row. */
typedef struct {
    int rows, columns, planes, step;
    int part; /* of the device coder: HEQ_DEVICE_WHOLE unless set; of HIGH the LOW is known */
    int16_t *levels; /* [rows][columns][planes][1024] */
    uint8_t *sizes; /* [rows][columns] */
} strip;

static inline size_t patches_of(const strip *of)
{
    return (size_t)of->rows * (size_t)of->columns;
}

static inline size_t levels_of(const strip *of)
{
    return patches_of(of) * (size_t)of->planes * HEQ_DEVICE_LEVELS;
}

static inline strip new_strip(int rows, int columns, int planes, int step)
{
    strip made = {rows, columns, planes, step, HEQ_DEVICE_WHOLE, NULL, NULL};
    made.levels = calloc(levels_of(&made), sizeof *made.levels);
    made.sizes = calloc(patches_of(&made), 1);
    EXPECT(made.levels != NULL && made.sizes != NULL);
    return made;
}

static inline void drop_strip(strip *of)
{
    free(of->levels);
    free(of->sizes);
}

static inline void expect_same(const strip *first, const strip *second)
{
    EXPECT(memcmp(first->levels, second->levels, levels_of(first) * sizeof *first->levels) == 0);
    EXPECT(memcmp(first->sizes, second->sizes, patches_of(first)) == 0);
}

/* A copy of just this length, so that reading or writing beyond it is found. */
static inline uint8_t *exact(const uint8_t *bytes, size_t length)
{
    uint8_t *made = malloc(length > 0 ? length : 1);
    EXPECT(made != NULL);
    if (bytes != NULL && length > 0) {
        memcpy(made, bytes, length);
    }
    return length > 0 ? made : realloc(made, 1);
}

/* ---- Device coder ------------------------------------------------------------------------ */

static inline const heq_device_tables *device_tables(void)
{
    static heq_device_tables tables;
    if (tables.start == NULL) {
        FILE *file = open_tables(TABLES "/device.bin");
        tables.start = next_table(file, HEQ_DEVICE_KNOTS * HEQ_DEVICE_CONTEXTS);
        tables.weights = next_table(file, HEQ_DEVICE_SETS * HEQ_DEVICE_INPUTS);
        tables.scores = next_table(file, 2 * HEQ_DEVICE_CLASSES * HEQ_DEVICE_SUMS * 16);
        tables.places = next_table(file, 2 * 6 * HEQ_DEVICE_PLACES * 4);
        tables.stretch = next_table(file, 2048);
        tables.squash = next_table(file, 256 * 2);
        tables.widths = next_table(file, 1024 * 2);
        fclose(file);
    }
    return &tables;
}

/* Whether the bytes are a payload of such a strip; its levels are then in it. */
static inline int device_decode(const uint8_t *bytes, size_t length, strip *to)
{
    static heq_device_strip coder;
    int16_t *levels = to->levels;
    size_t patch;
    heq_device_begin_decode(&coder, device_tables(), to->planes, to->step, bytes, length);
    coder.part = (uint8_t)to->part;
    for (patch = 0; patch < patches_of(to); patch++) {
        int size = to->sizes[patch], first = patch % (size_t)to->columns == 0;
        heq_device_decode_patch(&coder, levels, &size, first);
        to->sizes[patch] = (uint8_t)size;
        levels += (size_t)to->planes * HEQ_DEVICE_LEVELS;
    }
    return heq_device_end_decode(&coder) == 0;
}

/* Length of the payload; where it is at most `room`, it is in `bytes`. */
static inline size_t device_encode(const strip *from, uint8_t *bytes, size_t room)
{
    static heq_device_strip coder;
    const int16_t *levels = from->levels;
    size_t patch;
    heq_device_begin_encode(&coder, device_tables(), from->planes, from->step, bytes, room);
    coder.part = (uint8_t)from->part;
    for (patch = 0; patch < patches_of(from); patch++) {
        int first = patch % (size_t)from->columns == 0;
        heq_device_encode_patch(&coder, levels, from->sizes[patch], first);
        levels += (size_t)from->planes * HEQ_DEVICE_LEVELS;
    }
    return heq_device_end_encode(&coder);
}

enum { LOW_LEVELS = 32 }; /* of a plane, in the first part */

/* Only the levels of the first part stay. */
static inline void keep_first_part(strip *of)
{
    size_t level;
    for (level = 0; level < levels_of(of); level++) {
        if (level % HEQ_DEVICE_LEVELS >= LOW_LEVELS) {
            of->levels[level] = 0;
        }
    }
}

/* Levels come back from their payload, which is whole even where the room is less at first. */
static inline void expect_device_round_trip(const strip *from, size_t room)
{
    uint8_t *bytes = exact(NULL, room);
    strip back = new_strip(from->rows, from->columns, from->planes, from->step);
    size_t length = device_encode(from, bytes, room);
    if (length > room) {
        free(bytes);
        room = length;
        bytes = exact(NULL, room);
        length = device_encode(from, bytes, room);
        EXPECT(length <= room);
    }
    bytes = realloc(bytes, length > 0 ? length : 1);
    back.part = from->part;
    if (from->part == HEQ_DEVICE_HIGH) {
        memcpy(back.levels, from->levels, levels_of(from) * sizeof *from->levels);
        memcpy(back.sizes, from->sizes, patches_of(from));
        keep_first_part(&back);
    }
    EXPECT(device_decode(bytes, length, &back));
    expect_same(from, &back);
    drop_strip(&back);
    free(bytes);
}

/* ---- Packed coder ------------------------------------------------------------------------ */

static inline const heq_packed_tables *packed_tables(void)
{
    static heq_packed_tables tables;
    if (tables.sources == NULL) {
        const size_t nets = HEQ_PACKED_NETS;
        FILE *file = open_tables(TABLES "/packed.bin");
        tables.sources = next_table(file, HEQ_PACKED_LISTED * 6);
        tables.magnitude = next_table(file, 256);
        tables.energy = next_table(file, 2048);
        tables.first = next_table(file, nets * HEQ_PACKED_INPUTS * HEQ_PACKED_HIDDEN * 2);
        tables.first_bias = next_table(file, nets * HEQ_PACKED_HIDDEN * 4);
        tables.second = next_table(file, nets * HEQ_PACKED_SECOND * HEQ_PACKED_HIDDEN * 2);
        tables.second_bias = next_table(file, nets * HEQ_PACKED_SECOND * 4);
        tables.third = next_table(file, nets * HEQ_PACKED_HEADS * HEQ_PACKED_SECOND * 2);
        tables.third_bias = next_table(file, nets * HEQ_PACKED_HEADS * 4);
        tables.mixing = next_table(file, HEQ_PACKED_MIXES * 4 * HEQ_PACKED_MIXED * 4);
        tables.squash = next_table(file, HEQ_PACKED_SQUASH * 2);
        tables.size = next_table(file, 8 * 3 * 4);
        tables.edge = next_table(file, 2 * 32 * 2);
        tables.halves = next_table(file, 32 * 32 * 2);
        tables.border = next_table(file, 3 * 2 * 1024 * 4 * 2);
        tables.sign = next_table(file, 3 * 9 * 3 * 4);
        fclose(file);
    }
    return &tables;
}

static inline int packed_decode(const uint8_t *code, const int64_t *ends, int slices, strip *to)
{
    return heq_packed_decode(code, ends, slices, to->rows, to->columns, to->planes, to->step,
                             packed_tables(), to->levels, to->sizes) == 0;
}

static inline void expect_packed_round_trip(const strip *from, size_t room)
{
    int64_t ends[HEQ_PACKED_SLICES], length;
    uint8_t *code = exact(NULL, room);
    strip back = new_strip(from->rows, from->columns, from->planes, from->step);
    length = heq_packed_encode(from->levels, from->sizes, from->rows, from->columns, from->planes,
                               from->step, packed_tables(), code, (int64_t)room, ends, NULL);
    EXPECT(length >= 0);
    if ((size_t)length > room) {
        free(code);
        code = exact(NULL, (size_t)length);
        EXPECT(heq_packed_encode(from->levels, from->sizes, from->rows, from->columns, from->planes,
                                 from->step, packed_tables(), code, length, ends, NULL) == length);
    }
    code = realloc(code, length > 0 ? (size_t)length : 1);
    EXPECT(packed_decode(code, ends, HEQ_PACKED_SLICES, &back));
    expect_same(from, &back);
    drop_strip(&back);
    free(code);
}

#endif
