"""Mutation of ``.heq`` files that keeps their checksums right: mutants reach what is behind.

Plain Python with a seed: the tests use it without a fuzzer, and the fuzzer as its custom mutator.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

HEADER = 44
CRC = 4
OVERHEAD = 12
"""Bytes of a strip or a chunk around its data: a word, a length, and a CRC-32."""
CODER_BYTE = 10
PACKED = 3
SLICES = 6
TYPES = (b"ICCP", b"EXIF", b"XMP_", b"ALPH", b"END_", b"note", b"ABCD")
"""Chunks that are put in: known ones, one that may be passed over, and one that may not."""
UNMENDED = 8
"""One of so many mutants is left with the checksums that it has."""

Mutate = Callable[[bytes, int], bytes]
"""``mutate(data, most)``: some other bytes, at most so many."""


def records(data: bytes | bytearray) -> list[tuple[int, int]]:
    """Beginnings and ends of strips and chunks, as far as their lengths lead."""
    found, place = [], HEADER
    while len(data) - place >= OVERHEAD:
        (length,) = struct.unpack_from("<I", data, place + 4)
        stop = place + OVERHEAD + length
        if stop > len(data):
            break
        found.append((place, stop))
        place = stop
    return found


def mend(data: bytes) -> bytes:
    """The same bytes with the checksums of header, strips, slices and chunks made right, and with
    a length of the last record that was cut off as long as what is there."""
    made = bytearray(data)
    if len(made) < HEADER:
        return data
    struct.pack_into("<I", made, HEADER - CRC, zlib.crc32(made[: HEADER - CRC]))
    found = records(made)
    end = found[-1][1] if found else HEADER
    if len(made) - end >= OVERHEAD:
        struct.pack_into("<I", made, end + 4, len(made) - end - OVERHEAD)
        found.append((end, len(made)))
    for start, stop in found:
        if made[CODER_BYTE] == PACKED and made[start : start + 4] not in TYPES:
            _mend_slices(made, start + 8, stop - CRC)
        struct.pack_into("<I", made, stop - CRC, zlib.crc32(made[start : stop - CRC]))
    return bytes(made)


def _mend_slices(data: bytearray, place: int, stop: int) -> None:
    """The check bytes of the slices of a packed payload; docs/FORMAT.md says how they stand."""
    for index in range(SLICES):
        length = shift = 0
        while place < stop and shift < 35:
            length |= (data[place] & 127) << shift
            shift += 7
            place += 1
            if data[place - 1] < 128:
                break
        else:
            return
        if length and place + 1 + length > stop:
            return
        if length:
            code = data[place + 1 : place + 1 + length]
            data[place] = zlib.crc32(code, zlib.crc32(bytes([index]))) & 255
            place += 1 + length


def mutant(data: bytes, most: int, seed: int, mutate: Mutate | None = None) -> bytes:
    """A mutant of a file.

    Args:
        data: the file.
        most: bytes that the mutant may have.
        seed: of all draws.
        mutate: changes bytes without a sense of the format; by default `scrambled`.
    """
    draw = random.Random(seed)
    kind = draw.randrange(8)
    if kind == 0:
        made = _moved(data, draw)
    elif kind == 1:
        made = _header_changed(data, draw)
    elif kind == 2:
        made = _chunk_added(data, draw)
    elif mutate is None:
        made = scrambled(data, draw)
    else:
        made = mutate(data, most)
    made = made[:most]
    return made if draw.randrange(UNMENDED) == 0 else mend(made)


def scrambled(data: bytes, draw: random.Random) -> bytes:
    """Some bytes replaced, left out or put in."""
    made = bytearray(data)
    for _ in range(1 << draw.randrange(4)):
        place = draw.randrange(len(made) + 1)
        run = 1 << draw.randrange(5)
        kind = draw.randrange(4)
        if kind == 0:
            made[place : place + run] = draw.randbytes(len(made[place : place + run]))
        elif kind == 1:
            del made[place : place + run]
        elif kind == 2:
            made[place:place] = draw.randbytes(run)
        elif place < len(made):
            made[place] ^= 1 << draw.randrange(8)
    return bytes(made)


def _moved(data: bytes, draw: random.Random) -> bytes:
    """A record copied, left out, or put elsewhere."""
    found = records(data)
    if not found:
        return data
    start, stop = draw.choice(found)
    target = draw.choice(found)[draw.randrange(2)]
    kind = draw.randrange(3)
    if kind == 0:
        return data[:target] + data[start:stop] + data[target:]
    left = data[:start] + data[stop:]
    if kind == 1:
        return left
    target -= (stop - start) * (target >= stop)
    return left[:target] + data[start:stop] + left[target:]


def _header_changed(data: bytes, draw: random.Random) -> bytes:
    """A field of the header set to a value that is likely to matter."""
    if len(data) < HEADER:
        return data
    made = bytearray(data)
    offset, code, values = draw.choice(
        (
            (9, "B", (0, 1, 2)),  # mode
            (10, "B", (0, 1, 2, 3, 4)),  # coder
            (11, "B", (1, 3, 129, 131, 2)),  # channels
            (12, "I", (0, 1, 31, 32, 33, 64, 65, 1 << 20, 0xFFFFFFFF)),  # width
            (16, "I", (0, 1, 31, 32, 33, 64, 97, 1 << 20, 0xFFFFFFFF)),  # height
            (20, "H", (0, 8, 64, 512, 1016, 1023, 1024, 65528, 65535)),  # rate
            (22, "B", (0, 1, 2, 32, 255)),  # strip_rows
            (23, "B", (0, 1, 4, 255)),  # device_rows
        )
    )
    struct.pack_into("<" + code, made, offset, draw.choice(values))
    return bytes(made)


def _chunk_added(data: bytes, draw: random.Random) -> bytes:
    """A chunk put before or behind a record; data of an alpha plane are now and then a stream."""
    found = records(data)
    place = draw.choice(found)[draw.randrange(2)] if found else len(data)
    content = draw.randbytes(draw.randrange(40))
    if draw.randrange(2):
        content = zlib.compress(bytes(draw.randrange(3000)))
    kind = draw.choice(TYPES)
    head = struct.pack("<4sI", kind, len(content)) + content
    return data[:place] + head + struct.pack("<I", zlib.crc32(head)) + data[place:]
