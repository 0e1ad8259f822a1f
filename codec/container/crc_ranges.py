"""CRC-32 of any ranges of a block of bytes, each at the same small cost whatever its length.

A CRC-32 is the remainder of a polynomial over two elements, so that of a range follows from those
of the two beginnings of the block that end at its borders: modulo the polynomial,
``crc(AB) = crc(A) * x^(8 |B|) ^ crc(B)`` (zlib's ``crc32_combine``). The search after damage tests
every place that could be the head of something; with a pass over the bytes for each, a file could
be filled with heads until the search takes the square of its length.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = np.uint32(0xEDB88320)
"""Of CRC-32, the highest power in the lowest bit, as the registers here are."""
ROW = 256
"""Bytes between two beginnings whose CRC is computed by zlib; numpy does those within a row."""
ROWS = 1 << 12
"""Rows done at once."""
_LOW = 16
"""Bits of a length that one table of powers covers."""


class CrcRanges:
    """CRC-32 of ranges of some bytes; it holds four bytes for each.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._beginnings = _beginnings(data)

    def of(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint32]:
        """CRC-32 of ``data[start:stop]`` for each pair, int64 (N,) with start <= stop."""
        lengths = stops - starts
        count = 1 << int(lengths.max(initial=0) >> _LOW).bit_length()
        high = _powers(3 + _LOW, count)[lengths >> _LOW]
        low = _powers(3, 1 << _LOW)[lengths & ((1 << _LOW) - 1)]
        before = _product(self._beginnings[starts], _product(high, low))
        crcs: NDArray[np.uint32] = self._beginnings[stops] ^ before
        return crcs


def _beginnings(data: bytes) -> NDArray[np.uint32]:
    """``zlib.crc32(data[:n])`` for n = 0 to ``len(data)``, uint32 (len(data) + 1,)."""
    table = _table()
    out = np.empty(len(data) + 1, np.uint32)
    view, crc = memoryview(data), 0
    for begin in range(0, len(data), ROW * ROWS):
        block = view[begin : begin + ROW * ROWS]
        rows = -(-len(block) // ROW)
        register = np.empty(rows, np.uint32)
        for row in range(rows):
            register[row] = crc
            crc = zlib.crc32(block[row * ROW : (row + 1) * ROW], crc)
        # Columns lie together: each is one step of all rows. Steps past the end are cut off.
        columns = np.zeros((rows, ROW), np.uint8)
        columns.reshape(-1)[: len(block)] = np.frombuffer(block, np.uint8)
        columns = np.ascontiguousarray(columns.T)
        found = np.empty((ROW, rows), np.uint32)
        register = ~register
        for column in range(ROW):
            found[column] = ~register
            register = table[(register ^ columns[column]) & 255] ^ (register >> np.uint32(8))
        out[begin : begin + len(block)] = found.T.reshape(-1)[: len(block)]
    out[len(data)] = crc
    return out


def crc_before(whole: int, tail: int, length: int) -> int:
    """CRC-32 of what comes before the last ``length`` bytes of something.

    ``crc(AB) = crc(A) * x^(8 |B|) ^ crc(B)``, solved for A: x has an inverse.

    Args:
        whole: CRC-32 of it all.
        tail: CRC-32 of the last bytes.
        length: of these, below 2^32.
    """
    rest = whole ^ tail
    for power in _inverse_powers():
        if length & 1:
            rest = _product_of_two(rest, power)
        length >>= 1
    return rest


@cache
def _inverse_powers() -> list[int]:
    """``x^-(8 * 2^n)`` for n = 0 to 31."""
    power = 1 << 31
    for _ in range(8):  # times 1 / x: a shift the other way
        power = ((power ^ int(POLYNOMIAL)) << 1 | 1) if power >> 31 else power << 1
    powers = [power]
    while len(powers) < 32:
        powers.append(_product_of_two(powers[-1], powers[-1]))
    return powers


def _product_of_two(left: int, right: int) -> int:
    """`_product` of integers: of two alone it is quicker."""
    total = 0
    for bit in range(31, -1, -1):
        if left >> bit & 1:
            total ^= right
        right = right >> 1 ^ (int(POLYNOMIAL) if right & 1 else 0)
    return total


@cache
def _table() -> NDArray[np.uint32]:
    """The step of a CRC's register by its lowest byte, uint32 (256,)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = _times_x(table)
    return table


@cache
def _powers(doublings: int, count: int) -> NDArray[np.uint32]:
    """Powers 0 to ``count - 1`` of ``x^(2^doublings)``, uint32 (count,)."""
    powers = np.array([1 << 31], np.uint32)  # x^0
    factor = _times_x(powers)
    for _ in range(doublings):
        factor = _product(factor, factor)
    while len(powers) < count:
        powers = np.concatenate((powers, _product(powers, factor)))
        factor = _product(factor, factor)
    return powers[:count]


def _times_x(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Products with x: a shift, and the polynomial where a bit falls out."""
    return (values >> np.uint32(1)) ^ (POLYNOMIAL * (values & np.uint32(1)))


def _product(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Products modulo the polynomial, element by element; shapes as numpy broadcasts them."""
    total = np.zeros(np.broadcast(left, right).shape, np.uint32)
    for bit in range(31, -1, -1):
        total ^= right * ((left >> np.uint32(bit)) & np.uint32(1))
        right = _times_x(right)
    return total
