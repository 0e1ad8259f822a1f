"""The index of strips, chunk ``sIDX``: where each strip lies, by one read at the end of a file.

It is the last chunk before ``END_`` and as long as the number of strips says, so its place follows
from the header. What it says is a hint: each strip has its own index and checksum, and a reader
that finds another thing there follows the heads of the strips instead.
"""

from __future__ import annotations

import struct
import zlib
from itertools import accumulate

from heqcodec.container.chunks import CHUNK_CRC, CHUNK_HEAD, CHUNK_OVERHEAD, INDEX, Chunk
from heqcodec.container.header import HEADER_LENGTH, Header
from heqcodec.container.strips import STRIP_OVERHEAD

NUMBER = struct.Struct("<I")


def index_length(strips: int) -> int:
    """Bytes of the data of an index: a number for each strip, and that of these bytes."""
    return NUMBER.size * (strips + 1)


def index_chunk(lengths: list[int]) -> Chunk:
    """The index of strips whose payloads have so many bytes."""
    numbers = (*lengths, index_length(len(lengths)))
    return Chunk(INDEX, b"".join(NUMBER.pack(number) for number in numbers))


def tail_length(header: Header) -> int:
    """Bytes from the beginning of the index to the end of a file."""
    return index_length(header.strip_count) + 2 * CHUNK_OVERHEAD


def is_index(header: Header, chunk: bytes) -> bool:
    """Whether the bytes where an index would be are one, whole or damaged: its type is right, or
    its head is what its checksum says it should be."""
    head = CHUNK_HEAD.pack(INDEX, index_length(header.strip_count))
    (stored,) = CHUNK_CRC.unpack_from(chunk, len(chunk) - CHUNK_CRC.size)
    data = chunk[CHUNK_HEAD.size : -CHUNK_CRC.size]
    return chunk[: len(INDEX)] == INDEX or zlib.crc32(data, zlib.crc32(head)) == stored


def parse_index(header: Header, tail: bytes) -> list[int] | None:
    """Offsets of all strips by the index of a file, and of what follows them; None if it has no
    index that is whole.

    Args:
        header: of the file, in rate mode.
        tail: its last `tail_length` bytes.
    """
    count = header.strip_count
    length = index_length(count)
    body = tail[: CHUNK_HEAD.size + length]
    (stored,) = CHUNK_CRC.unpack_from(tail, len(body))
    if body[: CHUNK_HEAD.size] != CHUNK_HEAD.pack(INDEX, length) or zlib.crc32(body) != stored:
        return None
    *lengths, repeated = struct.unpack_from(f"<{count + 1}I", body, CHUNK_HEAD.size)
    if repeated != length:
        return None
    sizes = (STRIP_OVERHEAD + size for size in lengths)
    return list(accumulate(sizes, initial=HEADER_LENGTH))
