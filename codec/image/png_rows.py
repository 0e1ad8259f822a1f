"""PNG and netpbm files written a band of rows at a time."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.base.files import replaced_file
from heqcodec.base.metadata import Metadata
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_PAETH = 4
"""The filter of each row. PNG, third edition, section 9.4."""


def write_png(
    target: str | os.PathLike[str],
    shape: tuple[int, int, int],
    bands: Iterator[NDArray[np.uint8]],
    metadata: Metadata,
) -> None:
    """A PNG file; arguments and errors as `heqcodec.image.rows.write_rows`. PNG has no place for
    georeferencing tags."""
    height, width, channels = shape
    packer = zlib.compressobj()
    with replaced_file(target) as stream:
        stream.write(_SIGNATURE)
        kind = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
        _write_chunk(stream, b"IHDR", kind)
        if metadata.icc:
            _write_chunk(stream, b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
        if metadata.exif:
            _write_chunk(stream, b"eXIf", metadata.exif)
        if metadata.xmp:
            _write_chunk(stream, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
        above = np.zeros((1, width, channels), np.uint8)
        for band in bands:
            data = packer.compress(_filtered(band, above))
            if data:
                _write_chunk(stream, b"IDAT", data)
            above = band[-1:].copy()
            del band, data  # before the next band is made
        _write_chunk(stream, b"IDAT", packer.flush())
        _write_chunk(stream, b"IEND", b"")


def write_netpbm(
    target: str | os.PathLike[str],
    shape: tuple[int, int, int],
    bands: Iterator[NDArray[np.uint8]],
    metadata: Metadata,
) -> None:
    """Bare samples after a line of text: PGM or PPM; arguments and errors as
    `heqcodec.image.rows.write_rows`. There is no place for metadata."""
    height, width, channels = shape
    suffix = Path(target).suffix.lower()
    if channels == 4 or (channels == 3 and suffix == ".pgm"):
        lost = "transparency" if channels == 4 else "colours"
        raise HeqUnsupportedError(f"{os.fspath(target)} would lose the {lost}; choose .png.")
    copies = 3 if suffix == ".ppm" and channels == 1 else 1
    kind = "P5" if channels * copies == 1 else "P6"
    with replaced_file(target) as stream:
        stream.write(f"{kind}\n{width} {height}\n255\n".encode())
        for band in bands:
            stream.write(band.repeat(copies, 2).tobytes())
            del band  # before the next band is made


def _write_chunk(stream: BinaryIO, name: bytes, data: bytes) -> None:
    body = name + data
    stream.write(struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body)))


def _filtered(band: NDArray[np.uint8], above: NDArray[np.uint8]) -> bytes:
    """Rows (R, W, C) as PNG's filter Paeth leaves them, each after its filter's number; ``above``
    is the row before them, (1, W, C)."""
    rows, width, channels = band.shape
    out = np.empty((rows, 1 + width * channels), np.uint8)
    out[:, 0] = _PAETH
    for row, own in enumerate(band):
        up = (band[row - 1] if row else above[0]).astype(np.int16)
        left, corner = np.zeros_like(up), np.zeros_like(up)
        left[1:], corner[1:] = own[:-1], up[:-1]
        guess = left + up - corner
        near_left, near_up, near_corner = (abs(guess - part) for part in (left, up, corner))
        chosen = np.where(near_up <= near_corner, up, corner)
        chosen = np.where((near_left <= near_up) & (near_left <= near_corner), left, chosen)
        out[row, 1:] = (own - chosen).astype(np.uint8).reshape(-1)
    return out.tobytes()
