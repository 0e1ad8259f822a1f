/* Whole files of the variable-rate mode: the strips whose checksums hold are decoded by the device
 * and the packed coder; whatever the bytes, what is taken as whole codes again to what it was. */
#include "coders.h"
#include "container.h"

enum { MOST_PATCHES = 4 }; /* of a strip, so that a run stays short */
enum { MOST_STRIPS = 4 };  /* whose first parts are kept for the second ones */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* Mutants with right checksums reach the coders; one of eight is left as it is. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if ((seed & 7) != 0) {
        mend(data, size);
    }
    return size;
}

/* Whether it is a payload of such a strip. */
static int decode_device(const uint8_t *payload, size_t length, strip *to)
{
    uint8_t *bytes = exact(payload, length);
    int taken = device_decode(bytes, length, to);
    if (taken) {
        expect_device_round_trip(to, length);
    }
    free(bytes);
    return taken;
}

/* A strip of a progressive file: its first part, or its second one, to which the first is known.
 * `firsts` has the first parts that were decoded. */
static void decode_part(const uint8_t *payload, size_t length, uint32_t index, uint32_t count,
                        strip *to, strip *firsts)
{
    strip *first = index % count < MOST_STRIPS ? &firsts[index % count] : NULL;
    to->part = index < count ? HEQ_DEVICE_LOW : HEQ_DEVICE_HIGH;
    if (to->part == HEQ_DEVICE_HIGH) {
        if (first == NULL || first->levels == NULL) {
            return;
        }
        memcpy(to->levels, first->levels, levels_of(to) * sizeof *to->levels);
        memcpy(to->sizes, first->sizes, patches_of(to));
        decode_device(payload, length, to);
    } else if (decode_device(payload, length, to) && first != NULL && first->levels == NULL) {
        *first = new_strip(to->rows, to->columns, to->planes, to->step);
        memcpy(first->levels, to->levels, levels_of(to) * sizeof *to->levels);
        memcpy(first->sizes, to->sizes, patches_of(to));
    }
}

static void decode_packed(const uint8_t *payload, size_t length, strip *to)
{
    int64_t ends[PACKED_SLICES];
    uint8_t *code = exact(NULL, length);
    size_t begin = 0, end, done = 0;
    int slices = 0;
    for (; slices < PACKED_SLICES && slice_at(payload, length, &begin, &end); slices++) {
        if (end > begin &&
            payload[begin - 1] != slice_check(slices, payload + begin, end - begin)) {
            break;
        }
        memcpy(code + done, payload + begin, end - begin);
        done += end - begin;
        ends[slices] = (int64_t)done;
        begin = end;
    }
    code = realloc(code, done > 0 ? done : 1);
    if (packed_decode(code, ends, slices, to) && slices == PACKED_SLICES) {
        expect_packed_round_trip(to, length);
    }
    free(code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    header head;
    uint32_t columns, rows, strips, each;
    size_t place = HEADER_BYTES, length;
    strip firsts[MOST_STRIPS] = {{0}};
    if (!read_header(data, size, &head) ||
        (head.mode != MODE_RATE && head.mode != MODE_PROGRESSIVE)) {
        return 0;
    }
    columns = (head.width >> 5) + ((head.width & 31) != 0);
    rows = (head.height >> 5) + ((head.height & 31) != 0);
    strips = (rows + (uint32_t)head.strip_rows - 1) / (uint32_t)head.strip_rows;
    rows = rows < (uint32_t)head.strip_rows ? rows : (uint32_t)head.strip_rows;
    if (columns > MOST_PATCHES || rows > MOST_PATCHES || rows * columns > MOST_PATCHES) {
        return 0;
    }
    for (; (length = chunk_at(data, size, place)) > 0; place += length) {
        const uint8_t *chunk = data + place;
        strip to;
        if (number_at(chunk + length - 4) != crc_of(0, chunk, length - 4) ||
            memcmp(chunk, "END_", 4) == 0) {
            continue;
        }
        to = new_strip((int)rows, (int)columns, head.planes, head.step);
        if (head.mode == MODE_PROGRESSIVE && head.coder == CODER_DEVICE) {
            uint32_t index = chunk[0] | (uint32_t)chunk[1] << 8;
            decode_part(chunk + 8, length - 12, index, strips, &to, firsts);
        } else if (head.coder == CODER_DEVICE) {
            decode_device(chunk + 8, length - 12, &to);
        } else if (head.coder == CODER_PACKED) {
            decode_packed(chunk + 8, length - 12, &to);
        }
        drop_strip(&to);
    }
    for (each = 0; each < MOST_STRIPS; each++) {
        drop_strip(&firsts[each]);
    }
    return 0;
}
