/* Exercises heq_device.c under the sanitizers; tests/nqe_r/test_device_coder.py builds and runs it.
 * Standard input: the seven tables, one after another. Exits 0 where all is well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heq_device.h"

enum { PATCHES = 6, PLANES = 3, ROUNDS = 60, MOST = 1 << 18 };

static int8_t start[HEQ_DEVICE_KNOTS * HEQ_DEVICE_CONTEXTS];
static int8_t weights[HEQ_DEVICE_SETS * HEQ_DEVICE_INPUTS], stretch[2048];
static int8_t scores[2 * HEQ_DEVICE_CLASSES * HEQ_DEVICE_SUMS * 16];
static int8_t places[2 * 6 * HEQ_DEVICE_PLACES * 4];
static uint16_t squash[256], widths[1024];
static int16_t levels[PATCHES][PLANES * HEQ_DEVICE_LEVELS];
static int16_t decoded[PLANES * HEQ_DEVICE_LEVELS];
static uint32_t seed = 1;

static uint32_t number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static int check(const heq_device_tables *tables, int round)
{
    heq_device_strip strip;
    uint8_t *bytes = malloc(MOST), *exact;
    size_t length, room = round % 5 == 0 ? 100 : MOST;
    int patch, index, bad = 0, step = (int)(number() & 1023);
    int rare = 1 << (round % 12), size;
    for (patch = 0; patch < PATCHES; patch++) {
        for (index = 0; index < PLANES * HEQ_DEVICE_LEVELS; index++) {
            int value = (int)(number() & 0xFFFF) - 0x8000;
            int small = value >> (round % 16);
            levels[patch][index] =
                (int16_t)(number() % (uint32_t)rare ? 0 : small == -32768 ? -32767 : small);
        }
    }
    heq_device_begin_encode(&strip, tables, PLANES, step, bytes, room);
    for (patch = 0; patch < PATCHES; patch++) {
        heq_device_encode_patch(&strip, levels[patch], patch & 1, patch % 3 == 0);
    }
    length = heq_device_end_encode(&strip);
    if (length > room) {
        free(bytes);
        return 0;
    }
    /* Of just this length, so that reading past the end is found. */
    exact = malloc(length + 1);
    memcpy(exact, bytes, length);
    exact = realloc(exact, length ? length : 1);
    heq_device_begin_decode(&strip, tables, PLANES, step, exact, length);
    for (patch = 0; patch < PATCHES; patch++) {
        heq_device_decode_patch(&strip, decoded, &size, patch % 3 == 0);
        bad |= size != (patch & 1) || memcmp(decoded, levels[patch], sizeof decoded) != 0;
    }
    bad |= heq_device_end_decode(&strip) != 0;
    /* Damaged, and nothing but noise. */
    for (index = 0; index < 4 && length > 0; index++) {
        size_t place, from = index < 3 ? number() % length : 0;
        for (place = from; place < length; place++) {
            exact[place] = (uint8_t)(index == 2 ? 0xFF : number());
        }
        heq_device_begin_decode(&strip, tables, PLANES, step, exact, length);
        for (patch = 0; patch < PATCHES; patch++) {
            heq_device_decode_patch(&strip, decoded, &size, patch % 3 == 0);
        }
        heq_device_end_decode(&strip);
    }
    free(exact);
    free(bytes);
    return bad;
}

int main(void)
{
    heq_device_tables tables = {start, weights, scores, places, stretch, squash, widths};
    int round, bad = 0;
    if (fread(start, sizeof start, 1, stdin) != 1 || fread(weights, sizeof weights, 1, stdin) != 1 ||
        fread(scores, sizeof scores, 1, stdin) != 1 || fread(places, sizeof places, 1, stdin) != 1 ||
        fread(stretch, sizeof stretch, 1, stdin) != 1 ||
        fread(squash, sizeof squash, 1, stdin) != 1 || fread(widths, sizeof widths, 1, stdin) != 1) {
        return 2;
    }
    for (round = 0; round < ROUNDS; round++) {
        bad |= check(&tables, round);
    }
    return bad;
}
