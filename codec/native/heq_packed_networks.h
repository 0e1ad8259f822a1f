/* Predictions of the packed coder: small networks in integers, and what corrects them as a strip is
 * coded. */
#ifndef HEQ_PACKED_NETWORKS_H
#define HEQ_PACKED_NETWORKS_H

#include <string.h>
#include "heq_packed_state.h"

/* Probability of a 1 in 1/65536; the table's steps are 1/256, logits are in 1/4096. */
static inline uint32_t squash(const coder *c, int32_t logit)
{
    return c->tables->squash[clamp((logit >> 4) + HEQ_PACKED_SQUASH / 2, 0, HEQ_PACKED_SQUASH - 1)];
}

typedef struct {
    int32_t logit; /* the network's, in 1/4096 */
    int32_t *mix;
    int count;
    correction *given[MIXED - 1];
} prediction;

static inline int decide(coder *c, int bit, const prediction *p)
{
    int32_t inputs[MIXED];
    inputs[0] = p->logit;
    int64_t sum = (int64_t)p->mix[0] * p->logit;
    for (int i = 0; i < p->count; i++) {
        inputs[i + 1] = p->given[i]->bias >> 4; /* 1/65536 to 1/4096 */
        sum += (int64_t)p->mix[i + 1] * inputs[i + 1];
    }
    sum >>= 16; /* weights are in 1/65536 */
    int32_t logit = sum < -LOGIT_LIMIT ? -LOGIT_LIMIT : sum > LOGIT_LIMIT ? LOGIT_LIMIT : (int)sum;
    uint32_t ones = squash(c, logit);
    bit = code_bit(c, bit, ones);
    /* The gradient is error times input, 2^16 by 2^12; over 2^19 that is 2^9, for weights in 2^16 a
     * rate of 1/128. */
    int32_t error = (bit << 16) - (int32_t)ones;
    for (int i = 0; i <= p->count; i++) {
        p->mix[i] = clamp(p->mix[i] + (int32_t)((int64_t)error * inputs[i] >> MIX_SHIFT),
                          -MIX_LIMIT, MIX_LIMIT);
    }
    for (int i = 0; i < p->count; i++) {
        correction *given = p->given[i];
        uint32_t own = squash(c, p->logit + inputs[i + 1]);
        /* A Newton step of logistic regression: the error over the information so far, which is in
         * 1/1024. A bit has the information p (1 - p): 2^32 over 2^22 is 1/1024, too. */
        int32_t move = ((bit << 16) - (int32_t)own) * 1024 / (int32_t)(given->seen + PRIOR);
        given->bias = clamp(given->bias + move, -BIAS_LIMIT, BIAS_LIMIT);
        uint32_t seen = given->seen + (uint32_t)((uint64_t)own * (65536 - own) >> 22) + 1;
        given->seen = seen > SEEN_LIMIT ? SEEN_LIMIT : seen;
    }
    return bit;
}

/* The layers of a network up to its heads. */
static void run_network(const heq_packed_tables *t, int net, const uint8_t *inputs, int16_t *out)
{
    int32_t sums[HIDDEN];
    int16_t hidden[HIDDEN];
    memcpy(sums, t->first_bias + net * HIDDEN, sizeof sums);
    const int16_t *weights = t->first + (int64_t)net * INPUTS * HIDDEN;
    for (int i = 0; i < INPUTS; i++, weights += HIDDEN) {
        int16_t input = inputs[i];
        for (int j = 0; input && j < HIDDEN; j++) {
            sums[j] += weights[j] * input;
        }
    }
    for (int j = 0; j < HIDDEN; j++) {
        hidden[j] = (int16_t)clamp(sums[j] >> 6, 0, 4095);
    }
    weights = t->second + (int64_t)net * SECOND * HIDDEN;
    for (int i = 0; i < SECOND; i++, weights += HIDDEN) {
        int32_t sum = 0;
        for (int j = 0; j < HIDDEN; j++) {
            sum += weights[j] * hidden[j];
        }
        out[i] = (int16_t)clamp((sum + t->second_bias[net * SECOND + i]) >> 10, 0, 4095);
    }
}

static int32_t run_head(const heq_packed_tables *t, int net, int head, const int16_t *inputs)
{
    const int16_t *weights = t->third + ((int64_t)net * HEADS + head) * SECOND;
    int32_t sum = t->third_bias[net * HEADS + head];
    for (int i = 0; i < SECOND; i++) {
        sum += weights[i] * inputs[i];
    }
    return clamp(sum >> 6, -LOGIT_LIMIT, LOGIT_LIMIT);
}

static void keep_sample(heq_packed_samples *s, const uint8_t *inputs, int net, int value,
                        const int16_t *borders)
{
    if (s && s->inputs && s->count < s->capacity) {
        memcpy(s->inputs + s->count * INPUTS, inputs, INPUTS);
        memcpy(s->borders + s->count * 6, borders, 6 * sizeof *borders);
        s->nets[s->count] = (uint8_t)net;
        s->values[s->count++] = (uint8_t)(value > 255 ? 255 : value);
    }
}

#endif
