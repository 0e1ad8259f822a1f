"""The colour space of an AVIF file, which Pillow does not report: box `colr` of its primary item.

ISO/IEC 14496-12 (boxes) and 23008-12 (items and their properties).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["nclx"]

_LARGEST = 1 << 24
"""Bytes of the box of all that describes the image; the samples are in another."""


def nclx(stream: BinaryIO) -> tuple[int, int] | None:
    """ColourPrimaries and TransferCharacteristics of the primary item; None if there are none.

    Args:
        stream: the file, seekable; damaged ones give None.
    """
    try:
        meta = _meta(stream)
        boxes = dict(_boxes(meta[4:]))
        properties = dict(_boxes(boxes[b"iprp"]))
        held = list(_boxes(properties[b"ipco"]))
        for index in _associated(properties[b"ipma"], _number(boxes[b"pitm"])):
            kind, data = held[index - 1]
            if kind == b"colr" and data[:4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", data, 4)
                return primaries, transfer
    except (KeyError, IndexError, struct.error):
        pass
    return None


def _meta(stream: BinaryIO) -> bytes:
    """The content of the file's box `meta`."""
    size = stream.seek(0, 2)
    place = 0
    while place + 8 <= size:
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"meta" and 8 < length <= _LARGEST:
            return stream.read(length - 8)
        if length < 8:  # to the end, or of 64 bits: behind what is looked for
            break
        place += length
    raise KeyError("meta")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8:
            return
        yield kind, data[place + 8 : place + length]
        place += length


def _number(pitm: bytes) -> int:
    """The primary item."""
    (number,) = struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)
    return int(number)


def _associated(ipma: bytes, item: int) -> list[int]:
    """Properties of an item, by their place from 1."""
    version, wide = ipma[0], ipma[3] & 1
    (entries,) = struct.unpack_from(">I", ipma, 4)
    place = 8
    for _ in range(entries):
        (number,) = struct.unpack_from(">I" if version else ">H", ipma, place)
        place += 4 if version else 2
        count = ipma[place]
        indices = struct.unpack_from(f">{count}{'H' if wide else 'B'}", ipma, place + 1)
        if number == item:
            # The highest bit says that a reader must understand it.
            return [index & (0x7FFF if wide else 0x7F) for index in indices]
        place += 1 + count * (2 if wide else 1)
    return []
