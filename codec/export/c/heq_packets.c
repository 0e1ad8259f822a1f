/* Packets that stand alone: heads, order, checksums, parity and sending again, for either mode.
 * What fills them is in heq_packets_levels.h or heq_packets_codes.h.
 */

#include "heq_packets.h"

#include <string.h>

#include "heq_parity.h"

#define HEAD_BYTES 10
#define START_BYTES 17
#define CRC_BYTES 4
#define MOST_HELD 255
#define SLACK 64 /* bytes of a payload beyond its room, for zeros at its end */
#define RUNS_OF_ORDER 5
#define NO_PACKET 255 /* as the cut of a place: the packet before was the last */

enum { KIND_START = 0, KIND_PATCHES = 1, KIND_PARITY = 2 };
enum { BIT_LAST = 0x1000, BIT_CONTINUED = 0x2000, BIT_CONTINUES = 0x4000 };

typedef struct {
    heq_state encoder; /* its file: place of the patch, and what went wrong first */
#if HEQ_VARIABLE_RATE
    heq_device_strip before; /* the coder without the patch that came last */
#endif
    heq_link link;
    heq_parity parity;
    uint32_t seed; /* of checksums */
    uint32_t patches, position; /* of the image, and the next one in the order of sending */
    uint32_t run, runs, stride; /* of the order */
    uint32_t in_run, run_index; /* where the next patch lies */
    uint32_t number; /* of the packet that is filled */
    uint32_t first;  /* its first patch */
    uint32_t end;    /* no packet from this one on is made */
    uint32_t most;   /* more packets than this are too many */
    const uint16_t *numbers; /* of packets that are sent again; NULL: all are sent */
    size_t numbers_count;
    size_t numbers_from; /* those below are not sent */
    size_t length; /* of the payload so far */
    size_t left;   /* bytes that it may have */
    uint16_t continued; /* the first patch began before */
    uint8_t held;  /* patches */
    uint8_t kind;
    uint8_t open;  /* a packet is being filled */
    uint8_t silent; /* packets are only counted */
    uint8_t since_start; /* packets from the last that told model and size on */
    uint8_t bytes[HEQ_PACKET_MAX + SLACK];
} packet_state;

typedef char packets_hold_state[sizeof(packet_state) <= HEQ_PACKETS_BYTES ? 1 : -1];

/* ---- Bytes -------------------------------------------------------------------------------- */

static uint32_t crc_of(const uint8_t *bytes, size_t length, uint32_t crc)
{
    crc ^= ALL_ONES;
    for (; length > 0; length--) {
        crc ^= *bytes++;
        crc = crc >> 4 ^ crc_table[crc & 15];
        crc = crc >> 4 ^ crc_table[crc & 15];
    }
    return crc ^ ALL_ONES;
}

static void store_short(uint8_t *bytes, uint32_t number)
{
    bytes[0] = (uint8_t)(number & 255);
    bytes[1] = (uint8_t)(number >> 8 & 255);
}

static void store_start(const packet_state *state, uint32_t step, uint32_t packets, uint8_t *bytes)
{
    const heq_file *file = &state->encoder.file;
    uint32_t tag = crc_of(encoder_id, sizeof encoder_id, 0);
    store_short(bytes, file->width);
    store_short(bytes + 2, file->height);
    bytes[4] = file->kind;
    bytes[5] = file->strip_rows;
    store_short(bytes + 6, step);
    store_short(bytes + 8, state->stride);
    bytes[10] = (uint8_t)state->run;
    store_short(bytes + 11, packets);
    store_number(bytes + 13, crc_of(coder_id, sizeof coder_id, tag));
}

static void put_packet(packet_state *state, uint32_t word, uint32_t number, uint32_t first,
                       uint32_t count, size_t payload)
{
    uint8_t *bytes = state->bytes;
    size_t length = HEAD_BYTES + payload;
    store_short(bytes, word);
    store_short(bytes + 2, state->link.sender);
    bytes[4] = state->link.number;
    store_short(bytes + 5, number);
    store_short(bytes + 7, first);
    bytes[9] = (uint8_t)count;
    store_number(bytes + length,
                 crc_of(bytes, length, (word >> 10 & 3) == KIND_START ? 0 : state->seed));
    if (state->encoder.file.status == HEQ_OK &&
        state->link.send(state->link.context, bytes, length + CRC_BYTES) != 0) {
        heq_file_fail(&state->encoder.file, HEQ_WRITE_FAILED);
    }
}

static void put_parity(packet_state *state)
{
    heq_parity *parity = &state->parity;
    uint32_t first = state->number - parity->held;
    int row;
    for (row = 0; row < parity->count; row++) {
        heq_parity_row(parity, row, state->bytes + HEAD_BYTES);
        put_packet(state, KIND_PARITY << 10, first,
                   parity->held | (uint32_t)parity->count << 8, (uint32_t)row, parity->longest);
    }
    heq_parity_clear(parity);
}

/* ---- Packets ------------------------------------------------------------------------------ */

static int is_wanted(const packet_state *state, uint32_t number)
{
    size_t index;
    if (state->numbers == NULL) {
        return !state->silent;
    }
    for (index = 0; index < state->numbers_count; index++) {
        if (state->numbers[index] == number && number >= state->numbers_from) {
            return 1;
        }
    }
    return 0;
}

/* Remember where a packet begins, or that there is none. */
static void set_place(packet_state *state, uint32_t number, uint8_t cut)
{
    if (number < state->link.places_room && state->numbers == NULL && !state->silent) {
        state->link.places[number].first = (uint16_t)(state->position & 0xFFFF);
        state->link.places[number].cut = cut;
    }
}

/* What depends on the mode. */
static uint32_t step_of(const heq_state *encoder);
static int begin_mode(packet_state *state, const heq_image *image);
static void begin_payload(packet_state *state, uint8_t *bytes);
static size_t end_payload(packet_state *state);
static void put_patch(packet_state *state, const heq_patch *patch, int cut);

static void open_packet(packet_state *state, int cut)
{
    size_t before = HEAD_BYTES;
    if (state->since_start == state->link.start_every) {
        state->since_start = 0;
    }
    state->kind = state->since_start == 0 ? KIND_START : KIND_PATCHES;
    state->since_start++;
    if (state->kind == KIND_START) {
        before += START_BYTES;
    }
    state->left = state->link.size - before - CRC_BYTES;
    if (state->link.parity > 0) {
        state->left -= HEQ_PARITY_HEAD;
    }
    begin_payload(state, state->bytes + before);
    set_place(state, state->number, (uint8_t)cut);
    state->first = state->position;
    state->continued = cut > 0 ? BIT_CONTINUED : 0;
    state->held = 0;
    state->length = 0;
    state->open = 1;
}

static void close_packet(packet_state *state, uint32_t bits)
{
    heq_file *file = &state->encoder.file;
    size_t payload = state->held > 0 ? end_payload(state) : 0;
    uint32_t word = step_of(&state->encoder) | (uint32_t)state->kind << 10 | bits;
    state->open = 0;
    if (state->held > 0) {
        word |= state->continued;
    }
    if (state->kind == KIND_START) {
        store_start(state, step_of(&state->encoder), state->link.packets,
                    state->bytes + HEAD_BYTES);
        payload += START_BYTES;
    }
    if (state->number >= state->most) {
        heq_file_fail(file, HEQ_NO_ROOM);
    }
    if (is_wanted(state, state->number)) {
        put_packet(state, word, state->number, state->first, state->held, payload);
    }
    state->number++;
    if (bits & BIT_LAST) {
        set_place(state, state->number, NO_PACKET);
    }
    if (state->link.parity > 0 && !state->silent && state->numbers == NULL) {
        heq_parity_add(&state->parity, word, state->first, state->held, state->bytes + HEAD_BYTES,
                       payload);
        if (state->parity.held == state->link.group || (bits & BIT_LAST) != 0) {
            put_parity(state);
        }
    }
}

#include "heq_packets_mode.h"

/* ---- The order of sending ----------------------------------------------------------------- */

static int have_divisor(uint32_t first, uint32_t second)
{
    while (second != 0) {
        uint32_t rest = first;
        while (rest >= second) {
            rest -= second;
            HEQ_HIDE(rest);
        }
        first = second;
        second = rest;
    }
    return first > 1;
}

/* How often a number goes into another; what is left goes to rest. */
static uint32_t times_in(uint32_t number, uint32_t by, uint32_t *rest)
{
    uint32_t count = 0;
    while (number >= by) {
        number -= by;
        HEQ_HIDE(number); /* or the compiler divides */
        count++;
    }
    *rest = number;
    return count;
}

static void set_order(packet_state *state)
{
    static const uint8_t runs_of_order[RUNS_OF_ORDER] = {4, 5, 3, 2, 1};
    static const uint8_t shifts[5] = {3, 4, 5, 6, 9};
    uint32_t rest = 1, middle, distance;
    int place = 0;
    state->run = state->stride = 1;
    state->runs = state->patches;
    if (!state->link.interleaved) {
        return;
    }
    do {
        state->run = runs_of_order[place++];
        state->runs = times_in(state->patches, state->run, &rest);
    } while (rest != 0);
    middle = state->runs;
    for (place = 0; place < 5; place++) {
        middle += state->runs << shifts[place]; /* 633 = 1 + 8 + 16 + 32 + 64 + 512 */
        HEQ_HIDE(middle);
    }
    middle >>= 10;
    for (distance = 0; distance < state->runs; distance++) {
        if (middle > distance && !have_divisor(middle - distance, state->runs)) {
            state->stride = middle - distance;
            return;
        }
        if (middle + distance < state->runs && middle + distance > 0 &&
            !have_divisor(middle + distance, state->runs)) {
            state->stride = middle + distance;
            return;
        }
    }
}

/* Go to the next place of the order. */
static void advance(packet_state *state)
{
    state->in_run++;
    if (state->in_run == state->run) {
        state->in_run = 0;
        state->run_index += state->stride;
        if (state->run_index >= state->runs) {
            state->run_index -= state->runs;
        }
    }
}

/* The patch at that place, of an image in memory. */
static void find_patch(packet_state *state, const uint8_t *pixels, size_t stride,
                       given_patch *given)
{
    heq_file *file = &state->encoder.file;
    uint32_t index = state->in_run, count;
    for (count = 0; count < state->run; count++) {
        index += state->run_index;
        HEQ_HIDE(index);
    }
    file->row = times_in(index, file->columns, &file->column);
    for (count = 0; count < file->row; count++) {
        pixels += stride << 5;
        HEQ_HIDE(pixels);
    }
    for (count = 0; count < file->column; count++) {
        pixels += bytes_across(file);
        HEQ_HIDE(pixels);
    }
    patch_at(file, pixels, stride, given);
}

/* ---- What a sender calls ------------------------------------------------------------------ */

static int not_written(void *context, const uint8_t *bytes, size_t length)
{
    (void)context;
    (void)bytes;
    (void)length;
    return 1;
}

static int is_valid(const packet_state *state)
{
    const heq_link *link = &state->link;
    return link->size >= HEQ_PACKET_MIN && link->size <= HEQ_PACKET_MAX && link->send != NULL &&
           link->interleaved <= 1 &&
           (link->places_room == 0 || link->places != NULL) &&
           (link->parity == 0 ||
            (link->group > 0 && link->group + link->parity <= 255 && link->parity_rows != NULL &&
             link->size >= HEAD_BYTES + CRC_BYTES + HEQ_PARITY_HEAD + START_BYTES));
}

heq_status heq_packets_begin(heq_packets *packets, const heq_link *link)
{
    packet_state *state = (packet_state *)packets;
    heq_file *file = &state->encoder.file;
    heq_image image = link->image;
    uint8_t shared[START_BYTES];
    uint32_t row;
    image.write = not_written;
    memset(state, 0, sizeof *state);
    heq_file_begin(file, &image);
    state->link = *link;
    state->link.start_every = link->start_every != 0 ? link->start_every : 8;
    state->most = 0xFFFF;
    state->end = 0x10000;
    if (image.width > 0xFFFF || image.height > 0xFFFF || !is_valid(state)) {
        heq_file_fail(file, HEQ_BAD_IMAGE);
        return (heq_status)file->status;
    }
    for (row = 0; row < file->rows; row++) {
        state->patches += file->columns;
        HEQ_HIDE(state->patches);
    }
    if (state->patches > 0x10000) {
        heq_file_fail(file, HEQ_BAD_IMAGE);
        return (heq_status)file->status;
    }
    set_order(state);
    if (!begin_mode(state, &image)) {
        heq_file_fail(file, HEQ_BAD_IMAGE);
        return (heq_status)file->status;
    }
    store_start(state, 0, 0, shared);
    state->seed = crc_of(shared, sizeof shared, 0);
    heq_parity_begin(&state->parity, link->parity, (size_t)link->size - HEAD_BYTES - CRC_BYTES,
                     link->parity_rows);
    return (heq_status)file->status;
}

heq_status heq_packets_rows(heq_packets *packets, const uint8_t *rows, size_t stride)
{
    packet_state *state = (packet_state *)packets;
    heq_file *file = &state->encoder.file;
    uint32_t left;
    if (file->row >= file->rows) {
        heq_file_fail(file, HEQ_TOO_MANY);
    }
    if (state->link.interleaved) {
        heq_file_fail(file, HEQ_BAD_IMAGE);
    }
    for (left = file->columns; left > 0 && file->status == HEQ_OK; left--) {
        given_patch given;
        patch_at(file, rows, stride, &given);
        put_patch(state, &given.patch, 0);
        heq_file_advance(file);
        if (left > 1) {
            rows += bytes_across(file);
        }
    }
    return (heq_status)file->status;
}

heq_status heq_packets_end(heq_packets *packets)
{
    packet_state *state = (packet_state *)packets;
    heq_file *file = &state->encoder.file;
    if (state->position < state->patches) {
        heq_file_fail(file, HEQ_TOO_FEW);
    }
    if (file->status == HEQ_OK && state->open) {
        close_packet(state, BIT_LAST);
        file->row = file->rows; /* whatever comes now is too many */
    }
    return (heq_status)file->status;
}

/* Put all patches from the place that the state is at into packets. */
static void put_patches(packet_state *state, const uint8_t *pixels, size_t stride, int cut)
{
    while (state->encoder.file.status == HEQ_OK && state->position < state->patches &&
           state->number < state->end) {
        given_patch given;
        find_patch(state, pixels, stride, &given);
        put_patch(state, &given.patch, cut);
        cut = 0;
        advance(state);
    }
}

heq_status heq_packets_image(heq_packets *packets, const heq_link *link, const uint8_t *pixels,
                             size_t stride)
{
    if (heq_packets_begin(packets, link) == HEQ_OK) {
        put_patches((packet_state *)packets, pixels, stride, 0);
    }
    return heq_packets_end(packets);
}

/* Make packets again, from one of which it is known where it begins, up to another. */
static void put_again(packet_state *state, const uint8_t *pixels, size_t stride, uint32_t number,
                      heq_packet_place place, uint32_t end)
{
    uint32_t rest;
    if (place.first >= state->patches) {
        heq_file_fail(&state->encoder.file, HEQ_BAD_IMAGE);
        return;
    }
    state->in_run = state->run_index = 0;
    for (state->position = 0; state->position < place.first; state->position++) {
        advance(state);
    }
    times_in(number, state->link.start_every, &rest);
    state->since_start = (uint8_t)rest;
    state->number = number;
    state->end = end;
    state->open = 0;
    put_patches(state, pixels, stride, place.cut);
    if (state->open && state->number < end && state->encoder.file.status == HEQ_OK) {
        close_packet(state, BIT_LAST);
    }
}

/* Does the image have a packet, as far as the places say? */
static int has_packet(const heq_link *link, uint32_t number)
{
    uint32_t index;
    for (index = 0; index <= number; index++) {
        if (link->places[index].cut == NO_PACKET) {
            return 0;
        }
    }
    return 1;
}

heq_status heq_packets_resend(heq_packets *packets, const heq_link *link, const uint8_t *pixels,
                              size_t stride, const uint16_t *numbers, size_t count)
{
    packet_state *state = (packet_state *)packets;
    heq_file *file = &state->encoder.file;
    static const heq_packet_place begin = {0, 0};
    uint32_t end = 0;
    size_t index;
    if (heq_packets_begin(packets, link) != HEQ_OK || count == 0) {
        return (heq_status)file->status;
    }
    state->numbers = numbers;
    state->numbers_count = count;
    for (index = 0; index < count; index++) {
        if (numbers[index] >= link->places_room) {
            end = end > numbers[index] ? end : (uint32_t)numbers[index] + 1;
        } else if (has_packet(link, numbers[index])) {
            put_again(state, pixels, stride, numbers[index], link->places[numbers[index]],
                      (uint32_t)numbers[index] + 1);
        }
    }
    if (end > 0) {
        state->numbers_from = link->places_room;
        put_again(state, pixels, stride, 0, begin, end);
    }
    return (heq_status)file->status;
}

/* Count packets up to a number; HEQ_NO_ROOM where there are more. */
static heq_status count_up_to(heq_packets *packets, heq_link *link, const uint8_t *pixels,
                              size_t stride, uint16_t most)
{
    packet_state *state = (packet_state *)packets;
    heq_link silent = *link;
    heq_status status;
    silent.send = not_written;
    silent.parity = link->parity > 0; /* which costs room, however many they are */
    silent.group = 1;
    silent.parity_rows = state->bytes;
    if (heq_packets_begin(packets, &silent) == HEQ_OK) {
        state->silent = 1;
        state->most = most;
        put_patches(state, pixels, stride, 0);
    }
    status = heq_packets_end(packets);
    if (status == HEQ_OK) {
        link->packets = (uint16_t)state->number;
    }
    return status;
}

heq_status heq_packets_count(heq_packets *packets, heq_link *link, const uint8_t *pixels,
                             size_t stride)
{
    return count_up_to(packets, link, pixels, stride, 0xFFFF);
}

#if HEQ_VARIABLE_RATE
heq_status heq_packets_budget(heq_packets *packets, heq_link *link, const uint8_t *pixels,
                              size_t stride, uint16_t most)
{
    uint16_t fine = link->image.rate, coarse = 1023; /* the first has too many, the second not */
    heq_status status = count_up_to(packets, link, pixels, stride, most);
    if (status != HEQ_NO_ROOM || fine == coarse) {
        return status;
    }
    link->image.rate = coarse;
    status = count_up_to(packets, link, pixels, stride, most);
    while (status == HEQ_OK && coarse - fine > 1) {
        heq_status tried;
        link->image.rate = (uint16_t)((fine + coarse) >> 1);
        tried = count_up_to(packets, link, pixels, stride, most);
        if (tried == HEQ_OK) {
            coarse = link->image.rate;
        } else {
            fine = link->image.rate;
        }
    }
    link->image.rate = status == HEQ_OK ? coarse : link->image.rate;
    return status;
}
#endif
