"""Reader: verifies before it trusts, and reads only what is needed.

Nothing is allocated from a length in the file before it was checked against the bytes that are
there. With ``partial`` the reader never gives up after the header: damaged strips and chunks are
listed, everything else is returned.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import BinaryIO

from heqcodec.base.errors import HeqChecksumError, HeqError, HeqFormatError, HeqTruncatedError
from heqcodec.container.chunk_reader import read_chunks
from heqcodec.container.chunks import CHUNK_OVERHEAD, Chunk
from heqcodec.container.header import (
    DEFAULT_MAX_PIXELS,
    HEADER_LENGTH,
    Header,
    check_pixels,
    parse_header,
)
from heqcodec.container.index import is_index, parse_index, tail_length
from heqcodec.container.repair import repair_header
from heqcodec.container.strip_places import StripPlaces, strip_places
from heqcodec.container.strips import (
    STRIP_CRC,
    STRIP_HEAD,
    STRIP_OVERHEAD,
    Strip,
    check_strip,
    repair_strip,
    smallest_size,
    strip_length,
    valid_rate,
)


class ContainerReader:
    """Random access to the parts of a ``.heq`` file.

    Attributes:
        header: the verified header.
        file_size: bytes from the start of the file to the end of the stream.
        partial: whether damage is listed instead of raised.
        damaged_chunks: names of the chunks found damaged so far; ``"?"`` for one whose type is
            not readable.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        partial: bool = False,
    ) -> None:
        """Read and verify the header, the limit, and the size of the file.

        Args:
            stream: seekable, at the first byte of the file; it is not closed.
            max_pixels: largest number of pixels; None for no limit.
            partial: list damage instead of raising it.

        Raises:
            HeqFormatError, HeqTruncatedError, HeqChecksumError, HeqUnsupportedError: see
                :func:`heqcodec.container.header.parse_header`.
            HeqLimitError: more pixels than ``max_pixels``.
        """
        self.partial = partial
        self.damaged_chunks: list[str] = []
        self._damaged_strips: set[int] = set()
        self._repaired: dict[str, None] = {}
        self._stream = stream
        self._tail: bytes | None = None
        self._start = stream.tell()
        self.file_size = stream.seek(0, os.SEEK_END) - self._start
        self.header = self._read_header()
        check_pixels(self.header.width, self.header.height, max_pixels)
        self._places: StripPlaces | None = None
        self._index: list[int] | None = None
        smallest = smallest_size(self.header)
        if not partial and self.file_size < smallest:
            raise HeqTruncatedError(
                f"The file is cut short: {self.file_size} bytes found, at least {smallest} needed "
                f"for {self.header.width} x {self.header.height} pixels; get a complete copy, or "
                "decode with partial to keep what is there."
            )

    @property
    def damaged_strips(self) -> list[int]:
        """Indices of the strips found damaged or missing so far, ascending."""
        return sorted(self._damaged_strips)

    @property
    def repaired(self) -> list[str]:
        """What was put right without loss so far, such as ``"header"`` or ``"strip 3"``."""
        return list(self._repaired)

    @property
    def strips_present(self) -> int:
        """Number of strips that lie wholly inside the file, damaged or not."""
        return self._found_places().present

    def read_strip(self, index: int) -> Strip | None:
        """One strip, verified; None if it is damaged and ``partial`` is set.

        Raises:
            HeqChecksumError, HeqFormatError, HeqTruncatedError: damage, unless ``partial``.
        """
        indexed = self._indexed_strip(index)
        if indexed is not None:
            return indexed
        extent = self._found_places().extent(index)
        if extent is None or not extent.closed or extent.stop > self.file_size:
            self._damaged_strips.add(index)
            return None
        data = self._read(extent.start, extent.stop - extent.start)
        if not self._fits(index, len(data)):
            self._damaged_strips.add(index)
            return None
        try:
            return check_strip(self.header, index, data)
        except (HeqChecksumError, HeqFormatError):
            if not self.partial:
                raise
        strip = repair_strip(self.header, index, data)
        if strip is None:
            self._damaged_strips.add(index)
        else:
            self._repaired[f"strip {index}"] = None
        return strip

    def _indexed_strip(self, index: int) -> Strip | None:
        """The strip where the index of the file says that it lies, if that is true."""
        if self._places is not None or not self._find_index():
            return None
        assert self._index is not None
        start, stop = self._index[index : index + 2]
        try:
            return check_strip(self.header, index, self._read(start, stop - start))
        except HeqError:
            return None  # The heads of the strips are the truth: from now on they are followed.

    def _find_index(self) -> bool:
        """Whether the file has an index that nothing has spoken against."""
        if self._tail is None:
            length = tail_length(self.header)
            known = not self.header.constant_rate and self.file_size >= HEADER_LENGTH + length
            self._tail = self._read(self.file_size - length, length) if known else b""
            self._index = parse_index(self.header, self._tail) if known else None
            if self._index and self._index[-1] > self.file_size - length:
                self._index = None
        return self._index is not None

    def _fits(self, index: int, length: int) -> bool:
        """Whether a strip can be so long: in patch mode the header fixes it, and what a search has
        found between two whole strips can be shorter or longer, with a checksum of its own."""
        fixed = self.header.constant_rate
        return not fixed or length == STRIP_OVERHEAD + strip_length(self.header, index)

    def read_strips(self, indices: Iterable[int]) -> dict[int, Strip | None]:
        """Several strips, by index; see :meth:`read_strip`."""
        return {index: self.read_strip(index) for index in indices}

    def read_remains(self, index: int) -> Strip | None:
        """What is left of a damaged strip, unverified: it may be anything.

        Not longer than the strip says it is, nor than the bytes up to what follows it; nothing if
        index and length are both wrong, so that it may not begin there at all, or if its rate is
        none; nothing in patch mode, where a part of a payload is of no use without a checksum.
        """
        extent = self._found_places().extent(index)
        if self.header.constant_rate or extent is None:
            return None
        stop = min(extent.stop - STRIP_CRC.size * extent.closed, self.file_size)
        begin = extent.start + STRIP_HEAD.size
        if stop <= begin:
            return None
        found, rate, length = STRIP_HEAD.unpack(self._read(extent.start, STRIP_HEAD.size))
        if (found != index and length != stop - begin) or not valid_rate(self.header, rate, 1):
            return None
        if not extent.closed:
            stop = min(stop, begin + length)
        return Strip(rate, self._read(begin, stop - begin))

    def mark_damaged(self, index: int) -> None:
        """List a strip as damaged whose checksum is right and whose payload is none."""
        self._damaged_strips.add(index)

    def read_chunks(self, types: frozenset[bytes] | None = None) -> list[Chunk]:
        """Verified chunks, END_ excepted, in file order.

        Args:
            types: only these are read, others are passed over unread; None for all.

        Raises:
            HeqFormatError, HeqTruncatedError, HeqChecksumError, HeqUnsupportedError: damage or a
                chunk that is needed and unknown, unless ``partial``.
        """
        if self._places is None and self._find_index():
            assert self._index is not None
            with contextlib.suppress(HeqError):
                return read_chunks(self._read, self._index[-1], self.file_size, types=types)[0]
        begin = self._found_places().chunks_begin
        self._find_index()
        chunks, self.damaged_chunks = read_chunks(
            self._read,
            begin,
            self.file_size,
            types=types,
            partial=self.partial,
            optional=self._index_range(),
        )
        return chunks

    def _index_range(self) -> range:
        """The bytes of the index of strips, whole or damaged; none if there is none."""
        tail, start = self._tail or b"", self.file_size - len(self._tail or b"")
        chunk = tail[:-CHUNK_OVERHEAD]
        found = bool(tail) and is_index(self.header, chunk)
        return range(start, start + len(chunk)) if found else range(0)

    def _found_places(self) -> StripPlaces:
        if self._places is None:
            self._places = strip_places(self.header, self._read, self.file_size, self.partial)
        return self._places

    def _read_header(self) -> Header:
        data = self._read(0, min(HEADER_LENGTH, self.file_size))
        try:
            return parse_header(data)
        except HeqError as error:
            if not self.partial:
                raise
            repaired = repair_header(data)
            if repaired is None or repaired == data:
                raise error
        header = parse_header(repaired)
        self._repaired["header"] = None
        return header

    def _read(self, offset: int, length: int) -> bytes:
        behind = self.file_size - offset
        if self._tail and length <= behind <= len(self._tail):
            place = len(self._tail) - behind
            return self._tail[place : place + length]
        self._stream.seek(self._start + offset)
        data = self._stream.read(length)
        if len(data) != length:
            raise HeqTruncatedError(
                f"The file gave {len(data)} of {length} bytes at offset {offset}; it was cut short "
                "while it was read; get a complete copy."
            )
        return data
