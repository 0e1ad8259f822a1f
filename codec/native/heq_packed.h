/* The packed coder of the variable-rate mode: context mixing in integers alone.
 *
 * docs/FORMAT.md describes it; codec/nqe_r/packed_coder/ holds the reference in Python, which gives the
 * same bytes. Nothing here keeps state between calls, and no input makes it read or write outside
 * its arrays or take more time than the shape of the strip allows.
 */
#ifndef HEQ_PACKED_H
#define HEQ_PACKED_H

#include <stdint.h>

enum {
    HEQ_PACKED_SLICES = 6,
    HEQ_PACKED_INPUTS = 92, /* numbers that a network sees */
    HEQ_PACKED_LISTED = 77, /* of them those that `sources` lists */
    HEQ_PACKED_HIDDEN = 64,
    HEQ_PACKED_SECOND = 32,
    HEQ_PACKED_HEADS = 8,
    HEQ_PACKED_NETS = 54,  /* 48 for levels, 6 for flags */
    HEQ_PACKED_MIXES = 55, /* one a network, one for signs */
    HEQ_PACKED_MIXED = 7,  /* what a mix weighs: the network and six corrections */
    HEQ_PACKED_SQUASH = 6144
};

enum { HEQ_PACKED_NO_MEMORY = -1, HEQ_PACKED_DAMAGED = -2 };

/* The tables of a model, each in C order. */
typedef struct {
    const int8_t *sources;      /* (LISTED, 6): plane, row, column, u, v, sub */
    const uint8_t *magnitude;   /* (256), 0..63 */
    const uint8_t *energy;      /* (2048) */
    const int16_t *first;       /* (NETS, INPUTS, HIDDEN) */
    const int32_t *first_bias;  /* (NETS, HIDDEN) */
    const int16_t *second;      /* (NETS, SECOND, HIDDEN) */
    const int32_t *second_bias; /* (NETS, SECOND) */
    const int16_t *third;       /* (NETS, HEADS, SECOND) */
    const int32_t *third_bias;  /* (NETS, HEADS) */
    const int32_t *mixing;      /* (MIXES, 4, MIXED) */
    const uint16_t *squash;     /* (SQUASH) */
    const int32_t *size;        /* (8, 3) */
    const int16_t *edge;        /* (2, 32): a basis function at its first sample, by size */
    const int16_t *halves;      /* (32, 32): 32 points to two times 16 */
    const int16_t *border;      /* (3, 2, 1024, 4): weights of the four sides */
    const int32_t *sign;        /* (3, 9, 3): logit that a sign is not the expected one */
} heq_packed_tables;

/* What training wants to know of an encoding; any pointer may be NULL. */
typedef struct {
    uint8_t *inputs; /* (capacity, INPUTS) */
    uint8_t *nets;   /* (capacity) */
    uint8_t *values; /* (capacity): magnitude, at most 255, or flag */
    int16_t *borders; /* (capacity, 6): four differences, level, row of `border` or -1 */
    int64_t capacity, count;
    int32_t *mixing; /* (MIXES, 4, MIXED): the weights at the end */
} heq_packed_samples;

/* Encode a strip: levels (rows, columns, planes, 1024) and sizes (rows, columns).
 *
 * Writes at most `capacity` bytes to `out` and returns how many the code has; where that is more,
 * `out` is of no use. The code of slice i ends before byte `ends[i]`. */
int64_t heq_packed_encode(const int16_t *levels, const uint8_t *sizes, int rows, int columns,
                          int planes, int step, const heq_packed_tables *tables, uint8_t *out,
                          int64_t capacity, int64_t *ends, heq_packed_samples *samples);

/* Decode the first `slices` slices of a strip; levels of the others are 0.
 *
 * Returns 0, HEQ_PACKED_DAMAGED where a level leaves its range, or HEQ_PACKED_NO_MEMORY. */
int64_t heq_packed_decode(const uint8_t *code, const int64_t *ends, int slices, int rows,
                          int columns, int planes, int step, const heq_packed_tables *tables,
                          int16_t *levels, uint8_t *sizes);

#endif
