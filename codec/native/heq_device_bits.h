/* The arithmetic coder of the device coder: part of heq_device.c. */
#ifndef HEQ_DEVICE_BITS_H
#define HEQ_DEVICE_BITS_H

#include "heq_device.h"

/* An encoder alone is smaller: the decoder then is no part of the program. */
#ifdef HEQ_ENCODE_ONLY
#define DECODING(strip) 0
#else
#define DECODING(strip) ((strip)->decoding)
#endif

#define RANGE_START 0xFFFFu
#define WINDOW 16

static void store(heq_device_strip *strip, int byte)
{
    if (strip->place < strip->room) {
        strip->out[strip->place] = (uint8_t)byte;
    }
    strip->place++;
    strip->ahead = (byte & 0xFF) == 0 ? strip->ahead + 1 : 0;
}

/* Give out eight bits and a carry. A byte waits until no carry can reach it. */
static void put(heq_device_strip *strip, uint32_t byte)
{
    int carry = (int)(byte >> 8);
    if (byte == 0xFF) {
        strip->run++;
        return;
    }
    if (strip->cache >= 0) {
        store(strip, strip->cache + carry);
    }
    for (; strip->run > 0; strip->run--) {
        store(strip, 0xFF + carry);
    }
    strip->cache = (int)(byte & 0xFF);
}

static void shift_out(heq_device_strip *strip, int shift)
{
    while (shift > 0) {
        int part = shift < 8 ? shift : 8;
        strip->low <<= part;
        strip->bits += part;
        shift -= part;
        if (strip->bits >= 8) {
            strip->bits -= 8;
            put(strip, strip->low >> (WINDOW + strip->bits));
            strip->low &= ((uint32_t)1 << (WINDOW + strip->bits)) - 1;
        }
    }
}

#ifndef HEQ_ENCODE_ONLY
static void shift_in(heq_device_strip *strip, int shift)
{
    while (strip->bits < shift) {
        uint32_t byte = strip->place < strip->room ? strip->in[strip->place] : 0;
        strip->place++;
        strip->ahead = (strip->ahead << 8) | byte;
        strip->bits += 8;
    }
    strip->bits -= shift;
    strip->low = (strip->low << shift) | (strip->ahead >> strip->bits);
    strip->ahead &= ((uint32_t)1 << strip->bits) - 1;
}
#endif

/* Code a bit whose log odds are `odds` sixteenths, -127..127. Returns the bit. */
static int code_bit(heq_device_strip *strip, int odds, int bit)
{
    int state = odds < 0 ? -odds : odds;
    int likely = odds >= 0;
    uint32_t width = strip->tables->widths[(state << 3) + (int)((strip->range >> 12) & 7)];
    uint32_t cut = strip->range - width;
    int shift = 0;
#ifndef HEQ_ENCODE_ONLY
    if (strip->decoding) {
        bit = strip->low < cut ? likely : !likely;
    }
#endif
    if (bit == likely) {
        strip->range = cut;
    } else {
        strip->range = width;
        strip->low = DECODING(strip) ? strip->low - cut : strip->low + cut;
    }
#if defined(HEQ_KERNEL_FAST) || (defined(__ARM_FEATURE_CLZ) && defined(__GNUC__))
    shift = __builtin_clz(strip->range) - 16;
    strip->range <<= shift;
#else
    while (strip->range < 0x8000u) {
        strip->range <<= 1;
        shift++;
    }
#endif
#ifndef HEQ_ENCODE_ONLY
    if (strip->decoding) {
        shift_in(strip, shift);
        return bit;
    }
#endif
    if (shift > 0) {
        shift_out(strip, shift);
    }
    return bit;
}

#endif
