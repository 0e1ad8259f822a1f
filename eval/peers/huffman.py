"""Static Huffman codes, one table for each channel: what a microcontroller can write."""

from __future__ import annotations

import heapq

import numpy as np
from heqcodec.base.errors import HeqFormatError
from numpy.typing import NDArray

LONGEST = 32
"""Bits of the longest code word. The rarest of N counted symbols has at most log N / log 1.618
bits (Fibonacci counts are the worst), which stays below this up to four million."""


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Lengths of the best code words for symbols of these counts.

    Args:
        counts: int64 (symbols,), two or more of them; each is taken as at least 1, so that every
            symbol has a word.

    Returns:
        uint8 (symbols,), a complete prefix code (Kraft's sum is 1).

    Raises:
        ValueError: a word would be longer than 32 bits.
    """
    lengths = np.zeros(len(counts), dtype=np.uint8)
    # Symbols below a node; the running number makes ties the same everywhere.
    heap = [(max(int(count), 1), index, [index]) for index, count in enumerate(counts)]
    heapq.heapify(heap)
    number = len(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        members = first[2] + second[2]
        lengths[members] += 1
        heapq.heappush(heap, (first[0] + second[0], number, members))
        number += 1
    if lengths.max() > LONGEST:
        raise ValueError(f"a code word would have {lengths.max()} bits, more than {LONGEST}")
    return lengths


class HuffmanCode:
    """The canonical code of given lengths: shorter words first, then by symbol.

    Args:
        lengths: uint8 (symbols,), 1 to 32.

    Raises:
        HeqFormatError: the lengths make no complete prefix code.
    """

    def __init__(self, lengths: NDArray[np.uint8]) -> None:
        widths = lengths.astype(np.int64)
        if len(widths) < 2 or widths.min() < 1 or widths.max() > LONGEST:
            raise HeqFormatError(f"code lengths must be 1 to {LONGEST}.")
        spans = np.left_shift(1, LONGEST - widths)
        if int(spans.sum()) != 1 << LONGEST:
            raise HeqFormatError("the code lengths make no complete prefix code.")
        self._order = np.lexsort((np.arange(len(widths)), widths))
        # Words at the top of 32 bits, ascending in this order; each begins where the last one ends.
        self._starts = np.concatenate([[0], np.cumsum(spans[self._order])[:-1]])
        self._widths = widths
        self._words = np.empty(len(widths), dtype=np.int64)
        self._words[self._order] = self._starts >> (LONGEST - widths[self._order])

    def encode(self, symbols: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Symbols (n,) to bits, uint8 (m,) of 0 and 1."""
        widths = self._widths[symbols]
        ends = np.cumsum(widths)
        total = int(ends[-1]) if len(ends) else 0
        left = np.repeat(ends, widths) - np.arange(total) - 1
        return ((np.repeat(self._words[symbols], widths) >> left) & 1).astype(np.uint8)

    def decode(self, bits: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int64], int]:
        """Bits, uint8 (m,) of 0 and 1, to ``count`` symbols.

        Returns:
            Symbols int64 (count,), and how many bits they took.

        Raises:
            HeqFormatError: the bits end before.
        """
        # What a word at each position would be; then a walk from word to word.
        found = self._order[np.searchsorted(self._starts, _windows(bits), side="right") - 1]
        steps = self._widths[found].tolist()
        places, place = np.empty(count, dtype=np.int64), 0
        for index in range(count):
            if place >= len(steps):
                raise HeqFormatError("the code ends before all symbols are there.")
            places[index] = place
            place += steps[place]
        if place > len(steps):
            raise HeqFormatError("the code ends within a word.")
        return found[places], place


def _windows(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The 32 bits from each position on, zeros behind the end: uint8 (n,) to int64 (n,)."""
    padded = np.concatenate([bits, np.zeros(LONGEST, dtype=np.uint8)]).astype(np.int64)
    windows = np.zeros(len(bits), dtype=np.int64)
    for offset in range(LONGEST):
        windows = (windows << 1) | padded[offset : offset + len(bits)]
    return windows
