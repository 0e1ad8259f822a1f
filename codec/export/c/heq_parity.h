/* Forward error correction of packets: a systematic Reed-Solomon code over GF(256) by tables, as
 * codec/packets/parity.py has it. The rows of a group's parity packets are its shift register.
 */
#ifndef HEQ_PARITY_H
#define HEQ_PARITY_H

#include <stddef.h>
#include <stdint.h>

#define HEQ_PARITY_HEAD 7 /* protected before a payload: its length, word, first, count */

typedef struct {
    uint8_t *rows;      /* of parity packets, one after another */
    size_t length;      /* of a row */
    size_t longest;     /* protected bytes of a packet of the group */
    uint8_t count;      /* rows */
    uint8_t held;       /* packets of the group so far */
    uint8_t powers[255]; /* of 2, that the generator's coefficients are, but the first */
} heq_parity;

/* Begin with `count` rows, 0..254, of `length` bytes. */
HEQ_INTERNAL void heq_parity_begin(heq_parity *parity, int count, size_t length, uint8_t *rows);

/* Begin a group. */
HEQ_INTERNAL void heq_parity_clear(heq_parity *parity);

/* Take the next packet of the group: parts of its head, and its payload. */
HEQ_INTERNAL void heq_parity_add(heq_parity *parity, uint32_t word, uint32_t first, uint32_t count,
                                 const uint8_t *payload, size_t length);

/* A row of the group, `longest` bytes. */
HEQ_INTERNAL void heq_parity_row(const heq_parity *parity, int row, uint8_t *bytes);

#endif
