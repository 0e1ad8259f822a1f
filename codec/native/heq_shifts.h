/* Multiples for places in tables, by shifts and additions.
 *
 * The encoder is for processors and gates without a multiplier, so none must come in by the back
 * door: compilers join shifts and additions into multiplications where those are shorter.
 */
#ifndef HEQ_SHIFTS_H
#define HEQ_SHIFTS_H

#include "heq_hide.h"

/* Value, 0..65535, times (1 << high) + (1 << low). */
static inline int heq_two_shifts(int value, int high, int low)
{
    int part = value << low;
    HEQ_HIDE(part);
    return (value << high) + part;
}

#define times_3(value) heq_two_shifts(value, 1, 0)
#define times_5(value) heq_two_shifts(value, 2, 0)
#define times_6(value) heq_two_shifts(value, 2, 1)
#define times_9(value) heq_two_shifts(value, 3, 0)
#define times_10(value) heq_two_shifts(value, 3, 1)
#define times_18(value) heq_two_shifts(value, 4, 1)

#endif
