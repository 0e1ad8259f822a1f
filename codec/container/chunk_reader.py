"""Reading the chunks at the end of a file, and finding the next one after damage."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable

from heqcodec.base.errors import (
    HeqChecksumError,
    HeqError,
    HeqFormatError,
    HeqTruncatedError,
    HeqUnsupportedError,
)
from heqcodec.container.chunks import (
    CHUNK_CRC,
    CHUNK_HEAD,
    CHUNK_OVERHEAD,
    CHUNK_TYPES,
    END,
    Chunk,
    can_be_chunk,
    is_ancillary,
    is_chunk_type,
)
from heqcodec.container.record_search import RecordSearch

Read = Callable[[int, int], bytes]
"""``read(offset, length)`` gives exactly ``length`` bytes of the file."""


def read_chunks(
    read: Read,
    begin: int,
    end: int,
    *,
    types: frozenset[bytes] | None = None,
    partial: bool = False,
    optional: range = range(0),
) -> tuple[list[Chunk], list[str]]:
    """Chunks between two offsets, END_ excepted.

    Args:
        read: gives bytes of the file.
        begin: offset of the first chunk.
        end: offset of the end of the file.
        types: only these are read; the data of others are passed over unverified. None for all.
        partial: list damage instead of raising it.
        optional: bytes of a chunk that is passed over where it is damaged.

    Returns:
        The chunks in file order, and the names of the damaged ones.

    Raises:
        HeqFormatError, HeqTruncatedError, HeqChecksumError, HeqUnsupportedError: damage, or a
            chunk that is needed and unknown, unless ``partial``.
    """
    chunks: list[Chunk] = []
    damaged: list[str] = []
    seen: set[bytes] = set()
    position = begin
    whole: _WholeChunks | None = None
    while True:
        chunk = None
        # After the first damage no length is followed that was not verified: each of a hostile
        # file could lead to its end.
        if whole is None or whole.stop(position) is not None:
            try:
                chunk, stop = _read_chunk(read, position, end, types)
            except HeqError:
                if not partial and position == optional.start < optional.stop:
                    position = optional.stop
                    continue
                if not partial:
                    raise
        if chunk is None:
            damaged.append(_name_at(read, position, end))
            whole = whole or _WholeChunks(read, position, end)
            following = whole.following(whole.stop(position) or position + 1)
            if following is None:
                return chunks, damaged
            position = following
        elif chunk.type == END:
            if stop != end:
                if not partial:
                    raise HeqFormatError(
                        f"{end - stop} bytes follow the end of the file; nothing was expected; "
                        "cut them off, or decode with partial."
                    )
                damaged.append("after END_")
            return chunks, damaged
        else:
            if chunk.type not in seen or is_ancillary(chunk.type):
                if types is None or chunk.type in types:
                    chunks.append(chunk)
            elif partial:
                damaged.append(chunk.name)
            else:
                raise HeqFormatError(
                    f"Chunk {chunk.name} appears twice; one was expected; the file was written by "
                    "a faulty program."
                )
            seen.add(chunk.type)
            position = stop


def _read_chunk(
    read: Read, position: int, end: int, types: frozenset[bytes] | None
) -> tuple[Chunk, int]:
    """The chunk at ``position`` (without data if it is not wanted) and the offset after it."""
    if position + CHUNK_OVERHEAD > end:
        raise HeqTruncatedError(
            f"The file ends at byte {end} without its END_ chunk; get a complete copy, or decode "
            "with partial to keep what is there."
        )
    head = read(position, CHUNK_HEAD.size)
    name, length = CHUNK_HEAD.unpack(head)
    stop = position + CHUNK_OVERHEAD + length
    label = Chunk(name).name
    if not is_chunk_type(name):
        raise HeqFormatError(
            f"At byte {position} a chunk was expected and {head[:4].hex(' ')} was found; the file "
            "is damaged; get another copy, or decode with partial."
        )
    if stop > end:
        raise HeqTruncatedError(
            f"Chunk {label} announces {length} bytes and only {end - position - CHUNK_OVERHEAD} "
            "are there; get a complete copy, or decode with partial to go without it."
        )
    wanted = types is None or name in types or name == END
    data = b""
    if wanted:
        data = read(position + CHUNK_HEAD.size, length)
        (stored,) = CHUNK_CRC.unpack(read(stop - CHUNK_CRC.size, CHUNK_CRC.size))
        expected = zlib.crc32(data, zlib.crc32(head))
        if stored != expected:
            raise HeqChecksumError(
                f"Chunk {label} is damaged: its CRC-32 is {expected:08x}, the file says "
                f"{stored:08x}; get another copy, or decode with partial to go without it."
            )
    if name not in CHUNK_TYPES and not is_ancillary(name):
        raise HeqUnsupportedError(
            f"The file has a chunk {label} that this version does not know and that is needed to "
            "show it right; upgrade heqcodec, or decode with partial to go without it."
        )
    if name == END and length:
        raise HeqFormatError(f"The END_ chunk has {length} bytes of data; none were expected.")
    return Chunk(name, data), stop


class _WholeChunks:
    """Where whole chunks lie in a part of a file, found in one search."""

    def __init__(self, read: Read, begin: int, end: int) -> None:
        found = RecordSearch(read(begin, end - begin), begin).whole(can_be_chunk)
        self._starts = [record.start for record in found]
        self._stops = {record.start: record.stop for record in found}

    def stop(self, position: int) -> int | None:
        """Offset after the chunk at ``position``; None if none is whole there."""
        return self._stops.get(position)

    def following(self, position: int) -> int | None:
        """Offset of the first one at ``position`` or behind it."""
        place = bisect_left(self._starts, position)
        return self._starts[place] if place < len(self._starts) else None


def _name_at(read: Read, position: int, end: int) -> str:
    """The type at ``position`` if it is a valid one, else ``"?"``; END_ if nothing is left."""
    if position >= end:
        return Chunk(END).name
    name = read(position, min(4, end - position))
    return Chunk(name).name if is_chunk_type(name) else "?"
