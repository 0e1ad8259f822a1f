"""Embedded bit planes of a list of coefficients, with adaptive run lengths: bits in, bits out.

After Malvar, "Fast progressive image coding without wavelets", DCC 2000: no arithmetic coder and
no tables. The first coefficient, DC, stands apart. With P the number of bit planes in use::

    4 bits   P, of the coefficients other than DC
    DC >> P  in 14 - P bits, with an offset of 2^13
    for each plane p = P - 1 ... 0:
        1 bit    of DC at p
        scan     the coefficients not significant yet, in order; k is adaptive, fresh each plane:
                     0                 the next 2^k of them, or all that are left, stay below 2^p
                     1 k-bit sign      so many stay below, the one after them reaches 2^p
        refine   the bit at p of each coefficient that was significant before this plane, in order

Whatever is cut off the end costs only precision, so a budget is met by cutting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PLANE_BITS = 4
MAX_PLANES = 14
DC_OFFSET = 2**13

# The run parameter k in halves: Malvar's rule with steps that were best on validation photographs.
_START, _UP, _DOWN = 4, 3, 2


class Known(NamedTuple):
    """What a code tells of the coefficients, each (n,) with DC first.

    low: int32, the smallest value or magnitude that it may have; DC with its sign.
    width: int32, how many values it may have from there; 0 for a coefficient not significant.
    negative: bool; False for DC.
    """

    low: NDArray[np.int32]
    width: NDArray[np.int32]
    negative: NDArray[np.bool_]


def encode(values: NDArray[np.int32], bits: int) -> NDArray[np.uint8]:
    """The first bits of the code of a list of integers.

    Args:
        values: int32 (n,), n at least 2, DC first: -2^13..2^13 - 1, others below 2^14 in magnitude.
        bits: length of the code.

    Returns:
        uint8 (bits,) of 0 and 1; zeros after the end of a code that is shorter.
    """
    code: list[int] = []

    def put(value: int, width: int) -> None:
        code.extend(value >> place & 1 for place in reversed(range(width)))

    dc = int(values[0]) + DC_OFFSET
    magnitude, negative = np.abs(values[1:]), values[1:] < 0
    top = int(magnitude.max()).bit_length()
    put(top, PLANE_BITS)
    put(dc >> top, MAX_PLANES - top)
    waiting = np.arange(len(magnitude))
    significant = np.zeros(0, dtype=waiting.dtype)
    for plane in range(top - 1, -1, -1):
        if len(code) >= bits:
            break
        code.append(dc >> plane & 1)
        reached = np.flatnonzero(magnitude[waiting] >= 1 << plane)
        place, state = 0, _START
        for hit in [*reached.tolist(), len(waiting)]:
            while hit - place >= 1 << (state >> 1) or hit == len(waiting) > place:
                code.append(0)
                place += 1 << (state >> 1)
                state += _UP
            if hit == len(waiting) or len(code) >= bits:
                break
            code.append(1)
            put(hit - place, state >> 1)
            code.append(int(negative[waiting[hit]]))
            place, state = hit + 1, max(0, state - _DOWN)
        code.extend((magnitude[significant] >> plane & 1).tolist())
        significant = np.sort(np.append(significant, waiting[reached]))
        waiting = np.delete(waiting, reached)
    return np.array((code + [0] * bits)[:bits], dtype=np.uint8)


def decode(code: NDArray[np.uint8], count: int) -> Known:
    """What a code tells of ``count`` integers.

    Args:
        code: uint8 (bits,) of 0 and 1, any; at least 18.
        count: n.
    """
    bits = iter(code.tolist())
    low, width = np.zeros(count, np.int32), np.zeros(count, np.int32)
    negative = np.zeros(count, np.bool_)
    top = min(_number(bits, PLANE_BITS), MAX_PLANES)
    low[0] = (_number(bits, MAX_PLANES - top) << top) - DC_OFFSET
    width[0] = 1 << top
    try:
        for plane in range(top - 1, -1, -1):
            _decode_plane(bits, plane, low, width, negative)
    except StopIteration:
        pass
    return Known(low, width, negative)


def _number(bits: Iterator[int], width: int) -> int:
    value = 0
    for _ in range(width):
        value = 2 * value + next(bits)
    return value


def _decode_plane(
    bits: Iterator[int],
    plane: int,
    low: NDArray[np.int32],
    width: NDArray[np.int32],
    negative: NDArray[np.bool_],
) -> None:
    """Read one plane into the arrays; ``StopIteration`` at the end of the code."""
    threshold = 1 << plane
    low[0] += threshold * next(bits)
    width[0] = threshold
    earlier = np.flatnonzero(width[1:]) + 1
    waiting = np.flatnonzero(width == 0)
    place, state = 0, _START
    while place < len(waiting):
        if not next(bits):
            place += 1 << (state >> 1)
            state += _UP
            continue
        place += _number(bits, state >> 1)
        sign = next(bits)
        if place < len(waiting):  # else damage
            hit = waiting[place]
            low[hit], width[hit], negative[hit] = threshold, threshold, bool(sign)
        place, state = place + 1, max(0, state - _DOWN)
    for coefficient in earlier:
        low[coefficient] += threshold * next(bits)
        width[coefficient] = threshold
