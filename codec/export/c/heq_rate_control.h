/* A step for each strip, so that strips fit into a buffer and a file into a budget: part of
 * heq_rate_encoder.c, and the same numbers as heqcodec.file.rate_control, which says why.
 *
 * Logarithms are counted in steps: 128 steps halve the bytes of a strip, roughly. No
 * multiplication or division. A strip is coded again by the caller's function, from rows that are
 * still there.
 */
#ifndef HEQ_RATE_CONTROL_H
#define HEQ_RATE_CONTROL_H

#include <stdint.h>

enum {
    CONTROL_STEPS = 1024,
    CONTROL_AT = 512,             /* step at which means are taken */
    CONTROL_UNIT = 8 << 7,        /* they are in bytes of a patch times 2^8 */
    CONTROL_START = 28928,        /* the mean before any strip was coded; it counts as one */
    CONTROL_MOST_WEIGHT = 5,      /* strips that a mean remembers, a power of two */
    CONTROL_LARGEST = 26 << 7,    /* logarithm of the largest number in a mean */
    CONTROL_TRIALS = 3,           /* codings of a strip before the coarsest step is taken */
    CONTROL_LAST_TRIALS = 16,     /* codings of the last strip */
    CONTROL_CHANGE = 150,         /* steps by which neighbouring strips differ at most */
    CONTROL_ENDING = 4            /* last strips that are coded again where they take too little */
};

typedef struct {
    uint32_t left;   /* bytes for the payloads that are to come */
    uint32_t strips; /* that are to come */
    uint32_t room;   /* bytes that a strip may have */
    uint32_t total;  /* of the mean */
    int16_t columns; /* patches of a strip, as a logarithm */
    int16_t step;    /* of the strip before, or -1 */
    uint8_t weight;
} heq_rate_control;

/* Codes the strip at a step. Returns its bytes, which may be more than there is room for. */
typedef uint32_t (*heq_strip_coder)(void *strip, int step);

static int control_log2(uint32_t number)
{
    uint32_t high = number;
    int whole = 0;
    for (; high > 1; high >>= 1) {
        whole++;
    }
    if (number == 0) {
        return 0;
    }
    return (whole << 7) + (int)(whole > 7 ? number >> (whole - 7) : number << (7 - whole)) - 128;
}

static uint32_t control_exp2(int steps)
{
    uint32_t value = 128 + ((uint32_t)steps & 127);
    int whole = steps >> 7;
    return whole > 7 ? value << (whole - 7) : value >> (7 - whole);
}

/* `by` is below 2^31 and not 0. */
static uint32_t control_quotient(uint32_t number, uint32_t by)
{
    uint32_t result = 0, rest = 0;
    int bit;
    for (bit = 31; bit >= 0; bit--) {
        rest = rest << 1 | (number >> bit & 1);
        result <<= 1;
        if (rest >= by) {
            rest -= by;
            result |= 1;
        }
    }
    return result;
}

static int control_limited(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

static void control_begin(heq_rate_control *control, uint32_t left, uint32_t strips,
                          uint32_t columns, uint32_t room)
{
    control->left = left;
    control->strips = strips;
    control->room = room;
    control->total = CONTROL_START;
    control->weight = 1;
    control->columns = (int16_t)control_log2(columns);
    control->step = -1;
}

static uint32_t control_share(const heq_rate_control *control)
{
    return control_quotient(control->left, control->strips);
}

static int control_next_step(const heq_rate_control *control)
{
    int mean = control_log2(control_quotient(control->total, control->weight)) - CONTROL_UNIT;
    int step = CONTROL_AT + mean - (control_log2(control_share(control)) - control->columns);
    if (control->step >= 0) {
        step = control_limited(step, control->step - CONTROL_CHANGE,
                               control->step + CONTROL_CHANGE);
    }
    return control_limited(step, 0, CONTROL_STEPS - 1);
}

static void control_learn(heq_rate_control *control, int step, uint32_t length)
{
    int logarithm = step - CONTROL_AT + control_log2(length) - control->columns + CONTROL_UNIT;
    if (control->weight >> CONTROL_MOST_WEIGHT != 0) {
        control->total -= control->total >> CONTROL_MOST_WEIGHT;
    } else {
        control->weight++;
    }
    control->total += control_exp2(control_limited(logarithm, 0, CONTROL_LARGEST));
    control->step = (int16_t)step;
}

/* Code a strip at a step, and again where it takes more than `limit`, or where that is asked for
 * less than seven eighths of `share`. Returns the step, at which it was coded last. */
static int control_fit(heq_strip_coder code, void *strip, int step, uint32_t limit, uint32_t share,
                       int repeated, uint32_t *length)
{
    uint32_t found = code(strip, step), target = share < limit ? share : limit;
    int trial;
    for (trial = 0; trial < CONTROL_TRIALS; trial++) {
        int poor = repeated && trial < CONTROL_TRIALS - 1 && found < share - (share >> 3);
        int move, other;
        uint32_t again;
        if (found <= limit && !poor) {
            break;
        }
        move = control_log2(found) - control_log2(target - (target >> 3));
        other = step + (found > limit ? (move > 16 ? move : 16) : (move < -16 ? move : -16));
        other = trial == CONTROL_TRIALS - 1 ? CONTROL_STEPS - 1
                                            : control_limited(other, 0, CONTROL_STEPS - 1);
        if (other == step) {
            break;
        }
        again = code(strip, other);
        if (again > limit && found <= limit) {
            code(strip, step);
            break;
        }
        step = other;
        found = again;
    }
    *length = found;
    return step;
}

/* The last strip: by what its bytes were, every fourth time by halves. Returns the step, or -1. */
static int control_fill(const heq_rate_control *control, heq_strip_coder code, void *strip,
                        uint32_t *length)
{
    uint32_t room = control->left < control->room ? control->left : control->room, found;
    int best = -1, fine = -1, coarse = CONTROL_STEPS, step = control_next_step(control);
    int trial, last = -1;
    for (trial = 0; trial < CONTROL_LAST_TRIALS; trial++) {
        int move;
        found = code(strip, last = step);
        if (found <= room) {
            best = coarse = step;
            *length = found;
            if (found >= room - (room >> 6)) {
                break;
            }
        } else {
            fine = step;
        }
        if (coarse - fine <= 1) {
            break;
        }
        move = control_log2(found) - control_log2(room);
        step = (trial & 3) == 3 ? (fine + coarse) >> 1 : step + move + (move >= 0);
        step = control_limited(step, fine + 1, coarse - 1);
    }
    if (best < 0 && fine < CONTROL_STEPS - 1) {
        *length = code(strip, last = CONTROL_STEPS - 1);
        best = *length <= room ? last : -1;
    }
    if (best >= 0 && best != last) {
        code(strip, best);
    }
    return best;
}

/* The next strip of a file with a budget. Returns its step, at which it was coded last, or -1 where
 * it has no room. */
static int control_strip(heq_rate_control *control, heq_strip_coder code, void *strip,
                         uint32_t *length)
{
    int step;
    if (control->strips == 1) {
        step = control_fill(control, code, strip, length);
    } else {
        uint32_t share = control_share(control), limit = share + ((control->left - share) >> 4);
        limit = limit < control->room ? limit : control->room;
        step = control_fit(code, strip, control_next_step(control), limit, share,
                           control->step < 0 || control->strips <= CONTROL_ENDING, length);
        if (*length > control->left || *length > control->room) {
            step = -1;
        } else {
            control_learn(control, step, *length);
        }
    }
    control->left -= step < 0 ? 0 : *length;
    control->strips--;
    return step;
}

#endif
