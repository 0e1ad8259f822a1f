"""JPEG files without their end marker, as some embedded cameras write them: whole, or cut short?

libjpeg fills what a scan lacks with zeros and does not tell Pillow. So the file is decoded with
several continuations: they change what is missing, and nothing of an image that is whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["file_without_end", "with_end"]

_END = b"\xff\xd9"
_END_OF_IMAGE = _END[1]
_TAIL = 1 << 16
"""Bytes looked at first: nearly every file ends with its marker."""
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Start of frame: Huffman and arithmetic codes, sequential and progressive."""
_SCAN, _RESTART_INTERVAL = 0xDA, 0xDD
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""The marker that ends the coded data of a scan; restart markers are part of the data."""
_CONTINUATIONS = (b"\x00" * 2048, b"\x55" * 2048, b"\xaa" * 2048, b"\xfe" * 2048)
_COEFFICIENTS = 64


def file_without_end(stream: BinaryIO) -> bytes | None:
    """The bytes of a JPEG file without an end marker; None if it has one.

    Args:
        stream: the file, seekable.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _TAIL))
    if stream.read().rstrip(b"\0").endswith(_END):
        return None
    # Other data may follow the image.
    stream.seek(0)
    data = stream.read()
    return None if any(kind == _END_OF_IMAGE for kind, _ in _segments(data)) else data


def with_end(data: bytes) -> bytes | None:
    """A JPEG file with an end marker added, or None where part of the image is missing.

    Args:
        data: the file, without an end marker. Zeros at its end, where a camera sends a buffer that
            is larger, are dropped.
    """
    body = data.rstrip(b"\0")
    # A zero or two may belong to the data: the stuffing behind a byte FF, and a last byte. FF at
    # the very end is half a marker.
    body = (body + data[len(body) : len(body) + 2]).rstrip(b"\xff")
    segments = list(_segments(body))
    if not _all_scans_are_there(segments):
        return None
    try:
        image = _pixels(body + _END)
        for continuation in _continuations(segments):
            if not np.array_equal(image, _pixels(body + continuation + _END)):
                return None
    except Exception:  # Pillow's, of any kind, for damaged files
        return None
    return body + _END


def _pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def _continuations(segments: list[tuple[int, bytes]]) -> Iterator[bytes]:
    yield from _CONTINUATIONS
    if any(kind == _RESTART_INTERVAL and any(content) for kind, content in segments):
        # Where the file ends with an interval, only the next restart marker leads on.
        for number in range(8):
            yield bytes([0xFF, 0xD0 + number]) + _CONTINUATIONS[1]


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and their parameters, without the coded data, up to the end marker if it is there."""
    place = 2
    while found := _MARKER.search(data, place):
        kind, start = found[0][-1], found.end()
        if kind == _END_OF_IMAGE:
            yield kind, b""
            return
        length = int.from_bytes(data[start : start + 2], "big")
        if length < 2 or start + length > len(data):
            return
        yield kind, data[start + 2 : start + length]
        place = start + length


def _all_scans_are_there(segments: list[tuple[int, bytes]]) -> bool:
    """Whether each coefficient of each component was sent to its last bit."""
    lacking: dict[int, list[int]] = {}
    for kind, content in segments:
        if kind in _FRAMES:
            lacking = {number: [1] * _COEFFICIENTS for number in content[6::3]}
        elif kind == _SCAN:
            count = content[0] if content else 0
            if len(content) != 4 + 2 * count:
                return False
            first, last, precision = content[-3:]
            for number in content[1 : 1 + 2 * count : 2]:
                bits = [precision & 15] * (last - first + 1)
                lacking.get(number, [0] * _COEFFICIENTS)[first : last + 1] = bits
    return bool(lacking) and not any(map(any, lacking.values()))
