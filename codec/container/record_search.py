"""Search for whole records, strips or chunks, among bytes of which nothing is known.

Both are four bytes that say what it is, a length, so many bytes, and the CRC-32 of it all. Every
place is tried, without an order that a file could exploit and without a limit that it could use
up: what stands in the two fields is compared first, then the checksum by `CrcRanges`, so that all
costs together grow with the number of bytes alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cached_property
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from heqcodec.container.crc_ranges import CrcRanges
from numpy.typing import NDArray

BLOCK = 1 << 20
"""Places tried at once."""
OVERHEAD = 12
"""Bytes of a record around its data."""

Wanted = Callable[[NDArray[np.uint32], NDArray[np.uint32]], NDArray[np.bool_]]
"""Which pairs of first word (little-endian) and length can be of a record that is looked for."""


class Record(NamedTuple):
    """A whole record.

    Attributes:
        start, stop: bytes ``start`` to ``stop`` hold it, checksum included.
        word: its first four bytes, little-endian; of a strip that is chosen, its index.
    """

    start: int
    stop: int
    word: int


class RecordSearch:
    """Whole records in a part of a file.

    Args:
        data: the bytes of the part.
        offset: where in the file they begin.
    """

    def __init__(self, data: bytes, offset: int) -> None:
        self._data, self._offset = data, offset

    @cached_property
    def _crcs(self) -> CrcRanges:
        return CrcRanges(self._data)

    def whole(self, wanted: Wanted) -> list[Record]:
        """All records with a right checksum, by their places; they may overlap.

        Args:
            wanted: says which words and lengths to look at.
        """
        found = []
        for begin in range(0, len(self._data) - OVERHEAD + 1, BLOCK):
            for shift in range(4):
                found += self._aligned(begin + shift, wanted)
        return sorted(found)

    def _aligned(self, begin: int, wanted: Wanted) -> list[Record]:
        """Whole records at ``begin``, ``begin + 4`` and so on, within a block."""
        size = len(self._data)
        count = (min(begin + BLOCK + 4, size) - begin) // 4
        if count < 2:
            return []
        words = np.frombuffer(self._data, "<u4", count, begin)
        hits = np.flatnonzero(wanted(words[:-1], words[1:]))
        starts = begin + 4 * hits
        ends = starts + 8 + words[1:][hits].astype(np.int64)
        inside = ends + 4 <= size
        starts, ends, hits = starts[inside], ends[inside], hits[inside]
        if not len(hits):
            return []
        octets = np.frombuffer(self._data, np.uint8)
        stored = octets[ends[:, None] + np.arange(4)].view("<u4")[:, 0]
        right = np.flatnonzero(self._crcs.of(starts, ends) == stored)
        return [
            Record(self._offset + start, self._offset + end + 4, word)
            for start, end, word in zip(
                starts[right].tolist(),
                ends[right].tolist(),
                words[hits[right]].tolist(),
                strict=True,
            )
        ]


def longest_rising(records: Iterable[Record]) -> list[Record]:
    """The longest row of records, one after the other in the file, with rising words.

    Strips that were copied over others, or stand within the payload of another, so cost nothing
    but what they cover.

    Args:
        records: by their places.
    """
    # tails[n] is, of all rows of n + 1 records that end before the present place, the one with the
    # smallest last word; those that do not end yet wait in a heap.
    rows: list[tuple[Record, int]] = []
    tails: list[int] = []
    words: list[int] = []
    waiting: list[tuple[int, int, int]] = []

    def settle(place: int | None) -> None:
        while waiting and (place is None or waiting[0][0] <= place):
            _, length, number = heappop(waiting)
            word = rows[number][0].word
            if length == len(tails):
                tails.append(number)
                words.append(word)
            elif word < words[length]:
                tails[length], words[length] = number, word

    for number, record in enumerate(records):
        settle(record.start)
        length = bisect_left(words, record.word)
        rows.append((record, tails[length - 1] if length else -1))
        heappush(waiting, (record.stop, length, number))
    settle(None)
    chosen = []
    number = tails[-1] if tails else -1
    while number >= 0:
        record, number = rows[number]
        chosen.append(record)
    return chosen[::-1]
