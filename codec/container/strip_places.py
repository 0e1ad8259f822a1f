"""Where the strips of a file lie: computed in patch mode, found by their heads in rate mode.

In rate mode a strip's own length says where the next begins. Where that chain is broken, partial
reading looks for the next place from which a head and a checksum agree, so that a damaged strip
costs only itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from heqcodec.container.chunk_reader import Read, find_chunk
from heqcodec.container.chunks import CHUNK_TYPES, is_chunk_type
from heqcodec.container.header import HEADER_LENGTH, Header, Mode
from heqcodec.container.strips import (
    STRIP_CRC,
    STRIP_HEAD,
    STRIP_OVERHEAD,
    chunks_offset,
    strip_offset,
)
from heqcodec.errors import HeqFormatError, HeqTruncatedError

BLOCK = 1 << 20
"""Bytes searched at once."""
CANDIDATE_COST = 1 << 10
"""What a place looked at counts against the effort of a search, in bytes."""
EFFORT = 8
"""Bytes that all searches in a file may verify, in lengths of the file; a hostile file can make
each search long, and an honest one needs less than 3."""


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
    if header.mode == Mode.PATCH:
        return _ComputedPlaces(header, size)
    return _SearchedPlaces(header, read, size) if partial else _ChainedPlaces(header, read, size)


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
    """Rate mode: heads are followed as far as asked for, and must be right."""

    def __init__(self, header: Header, read: Read, size: int) -> None:
        self._count, self._read, self._size = header.strip_count, read, size
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
        found, length = STRIP_HEAD.unpack(self._read(start, STRIP_HEAD.size))
        if found != index:
            raise HeqFormatError(
                f"At byte {start} strip {index} of {self._count} was expected, and number {found} "
                "was found: its index or the length of the strip before is damaged; get another "
                "copy, or decode with partial to keep the rest."
            )
        if length > left:
            raise HeqTruncatedError(
                f"Strip {index} announces {length} bytes and only {left} are there: the file is "
                "cut short, or that length is damaged; get a complete copy, or decode with partial."
            )
        return start + STRIP_OVERHEAD + int(length)


class _SearchedPlaces:
    """Rate mode, partial reading: where a head leads nowhere, the next strip is looked for."""

    def __init__(self, header: Header, read: Read, size: int) -> None:
        self._count, self._read, self._size = header.strip_count, read, size
        self._effort = EFFORT * size + BLOCK
        self._chunk_types = np.frombuffer(b"".join(CHUNK_TYPES), "<u4")
        self._extents: dict[int, Extent] = {}
        position, index = HEADER_LENGTH, 0
        while index < self._count:
            found = self._followed(position, index) or self._searched(position, index)
            if found is None:
                break
            position, index = found
        self.present = index
        self.chunks_begin = position
        if index < self._count:
            if position < size:
                self._extents[index] = Extent(position, size, False)
            following = find_chunk(read, position, size)
            self.chunks_begin = size if following is None else following

    def extent(self, index: int) -> Extent | None:
        return self._extents.get(index)

    def _followed(self, start: int, index: int) -> tuple[int, int] | None:
        """Place and index of the next strip by the length of this one, if that leads there."""
        if start + STRIP_OVERHEAD > self._size:
            return None
        told, length = STRIP_HEAD.unpack(self._read(start, STRIP_HEAD.size))
        stop = start + STRIP_OVERHEAD + length
        if stop > self._size:
            return None
        # The next strip in its place speaks for the length; without it the checksum does.
        if not self._begins(stop, index + 1) and not (
            told == index and self._matches(start, stop, index)
        ):
            return None
        self._extents[index] = Extent(start, stop, True)
        return stop, index + 1

    def _begins(self, place: int, index: int) -> bool:
        """Whether strip ``index``, or after the last one a chunk, seems to begin here."""
        if place + STRIP_OVERHEAD > self._size:
            return False
        head = self._read(place, 4)
        if index == self._count:
            return is_chunk_type(head)
        return int.from_bytes(head, "little") == index

    def _searched(self, start: int, index: int) -> tuple[int, int] | None:
        """Place and index of the next strip that is whole, or that ends this one rightly."""
        for place, found in self._candidates(start, index):
            closes = found == index + 1 and place >= start + STRIP_OVERHEAD
            if closes and self._matches(start, place, index):
                self._extents[index] = Extent(start, place, True)
                return place, found
            if found == self._count:
                continue
            length = int.from_bytes(self._read(place + 4, 4), "little")
            stop = place + STRIP_OVERHEAD + length
            if stop <= self._size and self._matches(place, stop, found):
                if found > index:
                    self._extents[index] = Extent(start, place, False)
                return place, found
        return None

    def _candidates(self, start: int, index: int) -> Iterator[tuple[int, int]]:
        """Places from ``start`` on that hold the index of this or a later strip, or, for the last
        strip, a chunk (index ``count``), until the effort is spent."""
        for begin in range(start, self._size - STRIP_OVERHEAD + 1, BLOCK):
            data = self._read(begin, min(BLOCK + 3, self._size - begin))
            places, indices = [], []
            for shift in range(min(4, len(data) - 3)):
                values = np.frombuffer(data, "<u4", (len(data) - shift) // 4, shift)
                chunk = np.isin(values, self._chunk_types) & (index == self._count - 1)
                hits = np.flatnonzero(chunk | (values >= index) & (values < self._count))
                places.append(shift + 4 * hits)
                indices.append(np.where(chunk[hits], self._count, values[hits]))
            found = np.concatenate(places)
            in_order = np.argsort(found)[: max(self._effort, 0) // CANDIDATE_COST + 1]
            for place, number in zip(
                found[in_order].tolist(), np.concatenate(indices)[in_order].tolist(), strict=True
            ):
                if begin + place > self._size - STRIP_OVERHEAD or place >= BLOCK:
                    break
                self._effort -= CANDIDATE_COST
                if self._effort < 0:
                    return
                yield begin + place, number

    def _matches(self, start: int, stop: int, index: int) -> bool:
        """Whether these bytes are strip ``index``, its own index and length aside."""
        self._effort -= stop - start
        if self._effort < 0:
            return False
        length = stop - start - STRIP_OVERHEAD
        found = zlib.crc32(STRIP_HEAD.pack(index, length))
        end = stop - STRIP_CRC.size
        for place in range(start + STRIP_HEAD.size, end, BLOCK):
            found = zlib.crc32(self._read(place, min(BLOCK, end - place)), found)
        return self._read(end, STRIP_CRC.size) == STRIP_CRC.pack(found)
