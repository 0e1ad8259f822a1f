/* Levels of a patch in variable-rate mode: transforms in two sizes, the choice between them, and
 * quantization with a learned cost layer (heqcodec.nqe_r.transform, .quantizer, .cost_layer). Here
 * is what the fast kernel (heq_levels_fast.h) and the others (heq_levels_codes.h) have in common,
 * and quantization by the fast one:
 *
 *     cost += heq_size_cost(coefficients, steps[size][plane]);         of each plane, in both sizes
 *     heq_fast_quantize(coefficients, steps[size][plane], size, plane, &levels);
 *     heq_settle(&layer, size, planes, relief, &levels);                 once all planes are there
 *
 * C99, integers only, no memory of its own. Levels stand in the order of the device coder: four of
 * each frequency (u, v), 0..15, by rising u^2 + v^2.
 */
#ifndef HEQ_LEVELS_H
#define HEQ_LEVELS_H

#include "heq_transform.h"

#define HEQ_LEVELS 1024          /* of a colour plane */
#define HEQ_THRESHOLDS 16
#define HEQ_SEEN_SIDE 20         /* 16 frequencies and a margin of two zeros */
#define HEQ_SEEN_CELLS (HEQ_SEEN_SIDE * HEQ_SEEN_SIDE)
#define HEQ_NEAR_BYTES 936       /* 24 kinds of a level, three bit planes of 100 bits */
#define HEQ_CROSS_BYTES 18       /* three bit planes of 48 bits */

#define HEQ_PAIR_BYTES 1200      /* the same weights by twos */

#ifdef HEQ_KERNEL_FAST
/* Weights, -2..2, are stored plus 2 in three bit planes, lowest bit first. */
typedef struct {
    const uint8_t *near;  /* [size, plane, sub][bit plane][neighbour 5x5, other sub] */
    const uint8_t *cross; /* [bit plane][size, plane, sub, other plane] */
    const int8_t *bias;   /* [size][plane][level] */
    const int8_t *shifts; /* [2] of sums over near and cross, 0..4 */
} heq_cost_layer;
#else
typedef struct {
    const uint8_t *near;  /* [size, plane, sub][neighbour 5x5][2]: rows of heq_pair_sums */
    const int8_t *cross;  /* [size, plane, sub][other plane] -2..2 */
    const int8_t *bias;   /* [size][plane][level] */
    const int8_t *shifts; /* [2] of sums over near and cross, 0..4 */
} heq_cost_layer;
#endif

/* Integer steps of an index 0..1023, int32 [size][plane], from the table uint16 [2][3][128]. */
HEQ_INTERNAL void heq_integer_steps(const uint16_t *table, int step, int32_t *steps);

/* Where the level of a coefficient stands: of whole patches (size 0) by frequencies, of quarters by
 * frequencies within the quarter that the row and the column lie in. */
HEQ_INTERNAL int heq_place(int size, int row, int column);

/* Sums and differences of the quarters' means, halved: [4], as the quarters lie. */
HEQ_INTERNAL void heq_combine_means(int32_t *means);

/* How often the step goes into a number, at most 32767 times. */
HEQ_INTERNAL int32_t heq_quotient(int32_t number, int32_t step);

/* What is taken off the thresholds' indices of a patch of little detail, see
 * heqcodec.nqe_r.relief: from what the patch costs in its size, 0 to 12. `limit` 0: nothing. */
HEQ_INTERNAL int heq_relief(int32_t cost, int limit, int shift);

/* The limit at a step index. */
HEQ_INTERNAL int heq_relief_limit(int step);

#ifdef HEQ_KERNEL_FAST

typedef struct {
    int16_t levels[3 * HEQ_LEVELS]; /* by plane, as all; flat, since pointers go on to the next */
    /* What the cost layer sees: of each frequency four magnitudes up to 3, their low bits in the
     * low half of a byte, their high bits in the upper one. The fast kernel reads eight bytes at a
     * time, the last three of no meaning. */
    uint8_t seen[3 * HEQ_SEEN_CELLS + 4];
    /* A bit for each level that is 0 or 1, and for `heq_settle` to decide: it then holds the number
     * of thresholds that the magnitude reaches, 1..15, with the sign of the coefficient. */
    uint8_t open[3 * HEQ_LEVELS / 8];
} heq_levels;

/* What the coefficients of a plane cost in bits, roughly; below 17 each. */
HEQ_INTERNAL int32_t heq_size_cost(const int32_t *coefficients, int32_t step);

/* How the levels of a plane come about: all are 0, in every respect, until set. */
typedef struct {
    int32_t step;
    int32_t thresholds[HEQ_THRESHOLDS]; /* a coefficient below the first stays 0 */
    int16_t *level;
    uint8_t *seen, *open;
} heq_quantizer;

HEQ_INTERNAL void heq_quantize_begin(heq_quantizer *quantizer, int32_t step, int plane,
                                     heq_levels *levels);

/* Of a coefficient that reaches the first threshold. */
HEQ_INTERNAL void heq_quantize_level(const heq_quantizer *quantizer, int32_t value, int index);

/* Decide between levels of 0 and 1, in all planes. */
HEQ_INTERNAL void heq_settle(const heq_cost_layer *layer, int size, int planes, int relief,
                             heq_levels *levels);

#endif
#endif
