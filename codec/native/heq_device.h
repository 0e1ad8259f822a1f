/* The device coder of .heq files in variable-rate mode (docs/FORMAT.md, "Device payload").
 *
 * Codes the levels of a strip patch by patch, each patch when it comes, and decodes them again.
 * C99, integers only: additions, shifts, comparisons and tables; no multiplication or division,
 * no memory of its own, nothing of libc but memset. The state of a strip, some 16,200 bytes, is the
 * caller's; so are the trained tables, some 57 KB, which may lie in flash.
 *
 *     heq_device_begin_encode(&strip, &tables, planes, step, bytes, room);
 *     for each patch, row by row:
 *         heq_device_encode_patch(&strip, levels, size, column == 0);
 *     length = heq_device_end_encode(&strip);        more than room: it did not fit
 */
#ifndef HEQ_DEVICE_H
#define HEQ_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "heq_field.h"
#include "heq_kernel.h"

#ifndef HEQ_INTERNAL
#define HEQ_INTERNAL
#endif

#define HEQ_DEVICE_LEVELS 1024  /* of a colour plane of a patch, in the order of the layout */
#define HEQ_DEVICE_GROUPS 32    /* of eight bands, 32 levels */
#define HEQ_DEVICE_SIGNED 12    /* lowest levels of a plane, whose signs are kept */
#define HEQ_DEVICE_BANDS 257 /* of four magnitudes each that are kept of a plane; the last is 0 */
#if defined(HEQ_MAX_WIDTH) && HEQ_MAX_WIDTH < 1024 /* the firmware's widest image, in pixels */
#define HEQ_DEVICE_COLUMNS ((HEQ_MAX_WIDTH + 31) >> 5)
#else
#define HEQ_DEVICE_COLUMNS 32 /* of patches, of which the row above is kept */
#endif
#define HEQ_DEVICE_SIDE 32    /* of a profile: 16 of a whole patch, or 8 of each quarter */
#define HEQ_DEVICE_SCRATCH 64 /* as many bytes as four profiles */
#define HEQ_DEVICE_CONTEXTS 6077
#define HEQ_DEVICE_SETS 532
#define HEQ_DEVICE_INPUTS 4
#define HEQ_DEVICE_SUMS 12   /* that a score is made of */
#define HEQ_DEVICE_CLASSES 36 /* of levels: 3 planes, 2 sizes, 6 groups of bands */
#define HEQ_DEVICE_PLACES 128 /* of bands; from 64 on three bands each */
#define HEQ_DEVICE_KNOTS 5

/* What holds the levels of a patch. */
#ifdef HEQ_ENCODE_ONLY
#ifndef HEQ_KERNEL_FAST
#define HEQ_DEVICE_CODES
#endif
#endif
#ifdef HEQ_DEVICE_CODES
typedef const heq_field *heq_device_levels;
#else
typedef int16_t heq_device_levels;
#endif

typedef struct {
    const int8_t *start;     /* [KNOTS][CONTEXTS] log odds of bit 1 at the start, sixteenths */
    const int8_t *weights;   /* [SETS][INPUTS] thirty-seconds */
    const int8_t *scores;    /* [2][CLASSES][SUMS][16] log odds by bins of sums, sixteenths */
    const int8_t *places;    /* [2][6][PLACES][4] log odds by plane, size, band and level */
    const int8_t *stretch;   /* [2048] log odds of a probability, sixteenths */
    const uint16_t *squash;  /* [256] probability (of 65536) of log odds - 128 */
    const uint16_t *widths;  /* [128][8] width of the rarer bit by state and range */
} heq_device_tables;

/* What is kept of a patch until the one below it comes. */
typedef struct {
    int16_t dc[3];    /* level 0 of each plane */
    int8_t bottom[8]; /* profile of the lower side of plane 0 */
} heq_device_column;

/* Which decisions of its patches a strip has. In two parts, the first one has size, level 0 and
 * group 0, as if all other levels were 0; the second one has the other groups, and the levels of
 * the first are given to it. */
enum { HEQ_DEVICE_WHOLE = 0, HEQ_DEVICE_LOW = 1, HEQ_DEVICE_HIGH = 2 };

typedef struct {
    const heq_device_tables *tables;
    /* Arithmetic coder. */
    uint8_t *out;
#ifndef HEQ_ENCODE_ONLY
    const uint8_t *in;
    uint8_t decoding;
#endif
    size_t room;    /* bytes that out or in holds */
    size_t place;   /* bytes written or read; read ones count on past the end */
    size_t run;     /* encoder: bytes 0xFF that wait for a carry */
    uint32_t low;   /* encoder: low end; decoder: what lies between the low end and the code */
    uint32_t range; /* 2^15..2^16-1 */
    uint32_t ahead; /* decoder: bits read ahead; encoder: bytes 0 that were written last */
    int bits;       /* encoder: bits to give out, 0..7; decoder: bits in `ahead` */
    int cache;      /* encoder: byte that waits for a carry, -1 before the first */
    uint8_t failed;
    /* Model. */
    uint8_t part;                      /* HEQ_DEVICE_WHOLE unless it is set after the beginning */
    uint8_t planes;
    uint8_t size;                      /* of the patch to the left */
    uint8_t rows;                      /* begun: 0, 1, or 2 and more */
    uint8_t column;                    /* of the patch; HEQ_DEVICE_COLUMNS and all beyond */
    uint8_t left_size;                 /* of the patch whose profile `left` was */
    uint8_t turned;                    /* bits: left, top were profiles of the other size */
    int16_t dc[3];                     /* level 0 of the patch to the left, then of this one */
    int16_t corner[3];                 /* of the patch above that to the left, then of that above */
    int32_t left_step, top_step;       /* of level 0 of plane 0 from this patch */
    int16_t left[16], top[8];          /* profiles across the borders left and above, plane 0 */
    union {
        int16_t side[4][HEQ_DEVICE_SIDE]; /* own profiles: left, top, right, bottom */
        int32_t scratch[HEQ_DEVICE_SCRATCH]; /* between patches: the caller's */
    } now;
    uint32_t above_sizes;              /* a bit for each column */
    heq_device_column above[HEQ_DEVICE_COLUMNS];
    int8_t sign[3 * HEQ_DEVICE_SIGNED]; /* of the lowest levels: left patch, then this one */
    uint8_t count[3][HEQ_DEVICE_GROUPS];        /* of levels that are not 0 */
    uint32_t magnitude[3 * HEQ_DEVICE_BANDS]; /* four bytes; left patch, then this one */
    uint16_t state[HEQ_DEVICE_CONTEXTS];        /* probability of bit 1, of 65536 */
#ifdef HEQ_DEVICE_TRACE
    void *trace; /* not NULL: records every decision, for training */
    const uint8_t *traced;      /* bins of the sums around the level; not NULL within a band */
    const int8_t *traced_place; /* where it stands in `places` */
#endif
} heq_device_strip;

/* Begin a strip of 1 or 3 planes at a step index 0..1023. Bytes beyond `room` are only counted. */
HEQ_INTERNAL void heq_device_begin_encode(heq_device_strip *strip, const heq_device_tables *tables,
                                          int planes, int step, uint8_t *bytes, size_t room);

/* Code a patch; size 0 or 1; is it first in its row? Levels are int16 [planes][1024],
 * -32767..32767, for the fast kernel and for Python; codes of `planes` fields for the others. */
HEQ_INTERNAL void heq_device_encode_patch(heq_device_strip *strip, const heq_device_levels *levels,
                                          int size, int first);

/* End the strip: the length of its payload. */
HEQ_INTERNAL size_t heq_device_end_encode(heq_device_strip *strip);

#ifndef HEQ_ENCODE_ONLY
/* The same for reading. Any bytes decode within the time of as many patches. Of HEQ_DEVICE_HIGH the
 * size and the first 32 levels of each plane are given. */
void heq_device_begin_decode(heq_device_strip *strip, const heq_device_tables *tables, int planes,
                             int step, const uint8_t *bytes, size_t length);
void heq_device_decode_patch(heq_device_strip *strip, int16_t *levels, int *size, int first);

/* 0, or -1 where the bytes are no payload of so many patches; the levels are then meaningless. */
int heq_device_end_decode(heq_device_strip *strip);
#endif

#ifdef HEQ_DEVICE_TRACE
void heq_device_trace(const heq_device_strip *strip, int set, int inputs, const int *contexts,
                      const int *logits, int bit);
#endif

#endif
