/* The levels of a colour plane, as the device coder takes and gives them: part of heq_device.c. */
#ifndef HEQ_DEVICE_LEVELS_H
#define HEQ_DEVICE_LEVELS_H

#include <string.h>

#include "heq_device_bits.h"

#ifdef HEQ_DEVICE_CODES

typedef struct {
    const heq_field *field;
} plane_levels;

static plane_levels plane_levels_of(heq_device_levels *levels, int plane)
{
    plane_levels made;
    made.field = levels[plane];
    return made;
}

/* The level of a band's quarter, from its code. */
static inline int level_of(const plane_levels *levels, int size, int band, int sub)
{
    int frequency = band_frequency[band], u = frequency >> 4, v = frequency & 15;
    int place = size == 0 ? (u << 6) + (v << 1) + ((sub >> 1) << 5) + (sub & 1)
                          : (u << 5) + v + ((sub >> 1) << 9) + ((sub & 1) << 4);
    int code = levels->field->values[place], level = code & HEQ_CODE_LEVEL;
    return code < 0 ? -level : level;
}

/* The last level that is not 0, in the order of the coder; 0: none, or only the first. */
static int last_of(const plane_levels *levels)
{
    return levels->field->known.last;
}

#define set_level(strip, levels, index, level) ((void)(index), (void)(level))
#define clear_levels(strip, levels) ((void)(levels))

#else

typedef struct {
    int16_t *first;
} plane_levels;

static plane_levels plane_levels_of(heq_device_levels *levels, int plane)
{
    plane_levels made;
    made.first = levels + (plane << 10);
    return made;
}

static inline int level_of(const plane_levels *levels, int size, int band, int sub)
{
    (void)size;
    return levels->first[(band << 2) + sub];
}

static int last_of(const plane_levels *levels)
{
    int last = HEQ_DEVICE_LEVELS - 1;
    while (last > 0 && levels->first[last] == 0) {
        last--;
    }
    return last;
}

/* A level that was decoded. */
static inline void set_level(const heq_device_strip *strip, const plane_levels *levels, int index,
                             int level)
{
    (void)strip;
    if (DECODING(strip)) {
        levels->first[index] = (int16_t)level;
    }
}

/* Before any level of a plane is decoded. */
static void clear_levels(const heq_device_strip *strip, const plane_levels *levels)
{
    (void)strip;
    if (DECODING(strip)) {
        memset(levels->first, 0, HEQ_DEVICE_LEVELS * sizeof *levels->first);
    }
}

#endif
#endif
