"""Where the strips of a file lie: computed in patch mode, found by their heads in rate mode.

In rate mode a strip's own length says where the next begins. Partial reading follows the heads in
both modes; where they lead nowhere, it looks for everything that is whole behind that place, so
that a damaged strip costs only itself.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple, Protocol

import numpy as np
from heqcodec.base.errors import HeqFormatError, HeqTruncatedError
from heqcodec.container.chunk_reader import Read
from heqcodec.container.chunks import CHUNK_TYPES, can_be_chunk
from heqcodec.container.header import HEADER_LENGTH, Header
from heqcodec.container.record_search import RecordSearch, Wanted, longest_rising
from heqcodec.container.strips import (
    STRIP_CRC,
    STRIP_HEAD,
    STRIP_OVERHEAD,
    chunks_offset,
    rate_by_checksum,
    strip_length,
    strip_offset,
    valid_rate,
    valid_rates,
)
from numpy.typing import NDArray

BLOCK = 1 << 20
"""Bytes read at once."""
INDEX_MASK = np.uint32(0xFFFF)
"""Of the first four bytes of a strip, little-endian; above it is the rate."""


class Extent(NamedTuple):
    """Bytes ``start`` to ``stop`` of the file, where a strip lies or should lie.

    Attributes:
        closed: whether ``stop`` is the strip's end, and not merely where the file or what is left
            of the strip ends.
    """

    start: int
    stop: int
    closed: bool


class StripPlaces(Protocol):
    """Where strips and chunks lie."""

    def extent(self, index: int) -> Extent | None:
        """Where strip ``index`` lies; None if nothing of it was found (partial reading only)."""
        ...

    @property
    def present(self) -> int:
        """One more than the index of the last strip that lies wholly inside the file."""
        ...

    @property
    def chunks_begin(self) -> int:
        """Offset of the first chunk, or of the end of the file if that comes before."""
        ...


def strip_places(header: Header, read: Read, size: int, partial: bool) -> StripPlaces:
    """The places of a file.

    Args:
        header: its header.
        read: gives its bytes.
        size: bytes of the file.
        partial: whether to search on where the chain of strips is broken.
    """
    if partial:
        return _SearchedPlaces(header, read, size)
    if header.constant_rate:
        return _ComputedPlaces(header, size)
    return _ChainedPlaces(header, read, size)


class _ComputedPlaces:
    """Patch mode: the header says it all."""

    def __init__(self, header: Header, size: int) -> None:
        self._header, self._size = header, size

    def extent(self, index: int) -> Extent:
        start, stop = strip_offset(self._header, index), strip_offset(self._header, index + 1)
        return Extent(start, stop, True)

    @property
    def present(self) -> int:
        if self._size >= chunks_offset(self._header):
            return self._header.strip_count
        first, second = strip_offset(self._header, 0), strip_offset(self._header, 1)
        return max(0, self._size - first) // (second - first)

    @property
    def chunks_begin(self) -> int:
        return min(chunks_offset(self._header), self._size)


class _ChainedPlaces:
    """Rate mode: heads are followed as far as needed, and must be right."""

    def __init__(self, header: Header, read: Read, size: int) -> None:
        self._header, self._count = header, header.strip_count
        self._read, self._size = read, size
        self._starts = [HEADER_LENGTH]

    def extent(self, index: int) -> Extent:
        while len(self._starts) <= index + 1:
            self._starts.append(self._following(len(self._starts) - 1, self._starts[-1]))
        return Extent(self._starts[index], self._starts[index + 1], True)

    @property
    def present(self) -> int:
        return self._count

    @property
    def chunks_begin(self) -> int:
        return self.extent(self._count - 1).stop

    def _following(self, index: int, start: int) -> int:
        """Offset after strip ``index``, which begins at ``start``."""
        left = self._size - start - STRIP_OVERHEAD
        if left < 0:
            raise HeqTruncatedError(
                f"The file ends at byte {self._size}, before strip {index} of {self._count}; get a "
                "complete copy, or decode with partial to keep what is there."
            )
        found, rate, length = STRIP_HEAD.unpack(self._read(start, STRIP_HEAD.size))
        if found != index or not valid_rate(self._header, rate, length):
            raise HeqFormatError(
                f"At byte {start} strip {index} of {self._count} was expected, and number {found} "
                f"with rate {rate} was found: its head or the length of the strip before is "
                "damaged; get another copy, or decode with partial to keep the rest."
            )
        if length > left:
            raise HeqTruncatedError(
                f"Strip {index} announces {length} bytes and only {left} are there: the file is "
                "cut short, or that length is damaged; get a complete copy, or decode with partial."
            )
        return start + STRIP_OVERHEAD + int(length)


class _SearchedPlaces:
    """Partial reading: where a head leads nowhere, all whole strips that follow are looked for.

    In rate mode heads say how long strips are. In patch mode the header does, but bytes that were
    lost or added on the way move all that follows.
    """

    def __init__(self, header: Header, read: Read, size: int) -> None:
        self._header, self._read, self._size = header, read, size
        self._count = header.strip_count
        self._extents: dict[int, Extent] = {}
        place, index = self._followed(HEADER_LENGTH, range(self._count), None)
        if index < self._count:
            place = self._searched(place, index)
        self.chunks_begin = min(place, size)

    def extent(self, index: int) -> Extent | None:
        return self._extents.get(index)

    @property
    def present(self) -> int:
        return 1 + max((i for i, extent in self._extents.items() if extent.closed), default=-1)

    def _searched(self, begin: int, index: int) -> int:
        """Places of strips from ``index`` on, which begin at ``begin`` or later; where they end."""
        search = RecordSearch(self._read(begin, max(0, self._size - begin)), begin)
        place = begin
        whole = search.whole(self._strips_from(index))
        for record in longest_rising(
            record._replace(word=record.word & int(INDEX_MASK)) for record in whole
        ):
            self._fill(place, record.start, range(index, record.word))
            self._extents[record.word] = Extent(record.start, record.stop, True)
            place, index = record.stop, record.word + 1
        if index == self._count:
            return place
        chunks = (record.start for record in search.whole(can_be_chunk))
        following = next((start for start in chunks if start >= place), None)
        return self._fill(place, following, range(index, self._count))

    def _fill(self, begin: int, end: int | None, missing: range) -> int:
        """Places of damaged strips between two that are whole, and where the last seems to end.

        Args:
            begin: where the first begins.
            end: where the last ends; None where only the end of the file is known.
            missing: their indices.
        """
        stop = self._size if end is None else end
        begin, index = self._followed(begin, missing, stop)
        left = range(index, missing.stop)
        if not left:
            return begin
        if self._header.constant_rate and end is not None:
            # A strip whose head was hit, before one that is whole.
            while left:
                start = stop - STRIP_OVERHEAD - strip_length(self._header, left[-1])
                if start < begin or not self._matches(start, stop, left[-1]):
                    break
                self._extents[left[-1]] = Extent(start, stop, True)
                stop, left = start, left[:-1]
        if left:
            enough = stop - begin >= STRIP_OVERHEAD
            alone = len(left) == 1 and end is not None and enough
            self._extents[index] = Extent(begin, stop, alone)
        return self._size if end is None else end

    def _followed(self, place: int, indices: range, end: int | None) -> tuple[int, int]:
        """Follow heads from ``place``, the beginning of the first of some strips.

        Args:
            end: where the last ends, or the next whole chunk begins; None if unknown.

        Returns:
            The place and the index that were reached; ``indices.stop`` if they were right.
        """
        for index in indices:
            stop = self._stop(place, index)
            if stop > (self._size if end is None else end):
                return place, index
            # What follows in its place speaks for the length; without it the checksum does. A chunk
            # may be the second one, unless the search has found the first.
            trusted = end is not None or index + 1 < self._count
            leads = stop == end or (trusted and self._begins(stop, index + 1))
            if not leads and not self._matches(place, stop, index):
                return place, index
            self._extents[index] = Extent(place, stop, True)
            place = stop
        return place, indices.stop

    def _stop(self, start: int, index: int) -> int:
        """Where the strip that begins at ``start`` ends by what is known of its length."""
        if start + STRIP_OVERHEAD > self._size:
            return self._size + 1
        if self._header.constant_rate:
            return start + STRIP_OVERHEAD + strip_length(self._header, index)
        _, _, length = STRIP_HEAD.unpack(self._read(start, STRIP_HEAD.size))
        return start + STRIP_OVERHEAD + int(length)

    def _begins(self, place: int, index: int) -> bool:
        """Whether strip ``index``, or after the last one a chunk, seems to begin here."""
        if place + STRIP_OVERHEAD > self._size:
            return False
        head = self._read(place, STRIP_HEAD.size)
        if index == self._count:
            return head[:4] in CHUNK_TYPES
        found, rate, length = STRIP_HEAD.unpack(head)
        return found == index and valid_rate(self._header, rate, length)

    def _matches(self, start: int, stop: int, index: int) -> bool:
        """Whether these bytes are strip ``index``, its own head aside."""
        length = stop - start - STRIP_OVERHEAD
        end = stop - STRIP_CRC.size
        crc = 0
        for place in range(start + STRIP_HEAD.size, end, BLOCK):
            crc = zlib.crc32(self._read(place, min(BLOCK, end - place)), crc)
        (stored,) = STRIP_CRC.unpack(self._read(end, STRIP_CRC.size))
        return rate_by_checksum(self._header, index, length, crc, stored) is not None

    def _strips_from(self, first: int) -> Wanted:
        """Of the heads of strips from ``first`` on, which can be right."""
        header, count = self._header, self._count

        def wanted(words: NDArray[np.uint32], lengths: NDArray[np.uint32]) -> NDArray[np.bool_]:
            indices = words & INDEX_MASK
            rates = words >> np.uint32(16)
            known = (indices >= first) & (indices < count) & valid_rates(header, rates, lengths)
            if not header.constant_rate:
                return known
            full, last = strip_length(header, 0), strip_length(header, count - 1)
            expected: NDArray[np.bool_] = lengths == np.where(indices == count - 1, last, full)
            return known & expected

        return wanted
