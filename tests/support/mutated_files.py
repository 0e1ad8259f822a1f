"""Files with random changes, of which some have right checksums, so that decoders see them."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator, Sequence

HEADER = 44


def mutated(sources: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """``count`` mutants of the sources: bytes changed, cut, doubled or lost; in two of three the
    checksums of header and strips are put right."""
    draw = random.Random(seed)
    for number in range(count):
        data = bytearray(draw.choice(sources))
        for _ in range(draw.choice((1, 1, 2, 5, 20))):
            place = draw.randrange(8, len(data))
            kind = draw.randrange(8)
            if kind == 0:
                del data[place : place + draw.randrange(1, 9)]
            elif kind == 1:
                data[place:place] = data[place : place + draw.randrange(1, 9)]
            elif kind == 2:
                data[place] = draw.choice((0, 1, 127, 128, 255))
            else:
                data[place] ^= 1 << draw.randrange(8)
            if len(data) <= HEADER:
                break
        if draw.randrange(20) == 0:
            data = data[: draw.randrange(len(data))]
        yield bytes(_checked(data) if number % 3 else data)


def _checked(data: bytearray) -> bytearray:
    """Checksums of the header and of the records that follow each other put right."""
    if len(data) < HEADER:
        return data
    data[40:44] = struct.pack("<I", zlib.crc32(data[:40]))
    at = HEADER
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack("<I", zlib.crc32(data[at:end]))
        at = end + 4
    return data
