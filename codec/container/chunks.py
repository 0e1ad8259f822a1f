"""Chunks: metadata and alpha after the strips, in PNG's manner.

A chunk is a type of four ASCII letters, a length, data and a CRC-32. They follow the strips, so
that strip offsets depend on the header alone.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.container.header import U32_MAX
from numpy.typing import NDArray

CHUNK_HEAD = struct.Struct("<4sI")
CHUNK_CRC = struct.Struct("<I")
CHUNK_OVERHEAD = CHUNK_HEAD.size + CHUNK_CRC.size

ICC = b"ICCP"
EXIF = b"EXIF"
XMP = b"XMP_"
GEO = b"gEOT"
ALPHA = b"ALPH"
INDEX = b"sIDX"
END = b"END_"

CHUNK_TYPES: dict[bytes, str] = {
    ICC: "ICC profile",
    EXIF: "EXIF block",
    XMP: "XMP packet",
    GEO: "georeferencing tags",
    ALPHA: "alpha plane",
    INDEX: "index of strips",
    END: "end of file",
}
"""The types that this version knows; each at most once in a file, END_ exactly once and last."""


@dataclass(frozen=True)
class Chunk:
    """One chunk: its type (4 ASCII bytes) and its data."""

    type: bytes
    data: bytes = b""

    @property
    def name(self) -> str:
        """The type as text."""
        return self.type.decode("ascii", "backslashreplace")

    def pack(self) -> bytes:
        """The bytes of this chunk: type, length, data, CRC-32.

        Raises:
            HeqFormatError: an invalid type, or more than 2^32 - 1 bytes of data.
        """
        if not is_chunk_type(self.type):
            raise HeqFormatError(
                f"A chunk type is four ASCII letters or underscores beginning with a letter; this "
                f"one is {self.type!r}."
            )
        if len(self.data) > U32_MAX:
            raise HeqFormatError(
                f"Chunk {self.name} has {len(self.data)} bytes; at most {U32_MAX} fit."
            )
        body = CHUNK_HEAD.pack(self.type, len(self.data)) + self.data
        return body + CHUNK_CRC.pack(zlib.crc32(body))


def is_chunk_type(name: bytes) -> bool:
    """Whether four bytes are a valid chunk type: ASCII letters and ``_``, a letter first."""
    text = name.replace(b"_", b"A")
    return len(name) == 4 and text.isalpha() and text.isascii() and name[:1] != b"_"


def can_be_chunk(words: NDArray[np.uint32], lengths: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Mask of the pairs of type and length that are heads of valid chunks.

    Args:
        words: uint32 (N,), four bytes each as a little-endian number; see `is_chunk_type`.
        lengths: uint32 (N,), of the data; END_ has none.

    Returns:
        bool (N,).
    """
    valid = np.ones(words.shape, bool)
    for shift in (0, 8, 16, 24):
        octets = (words >> np.uint32(shift)) & np.uint32(0xFF)
        letters = (octets | np.uint32(0x20)) - np.uint32(ord("a")) < 26
        valid &= letters | (octets == ord("_")) & (shift > 0)
    ends = words == int.from_bytes(END, "little")
    return valid & (~ends | (lengths == 0))


def is_ancillary(name: bytes) -> bool:
    """Whether a reader may skip an unknown chunk of this type: its first letter is lower-case."""
    return name[:1].islower()


def alpha_chunk(alpha: np.ndarray) -> Chunk:
    """The alpha plane, without loss.

    Args:
        alpha: uint8 (H, W).
    """
    return Chunk(ALPHA, zlib.compress(np.ascontiguousarray(alpha).tobytes(), 9))


def read_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """Alpha plane from the data of an ALPH chunk, never more than ``width * height`` bytes.

    Returns:
        uint8 (H, W), read-only.

    Raises:
        HeqFormatError: not a zlib stream of exactly ``width * height`` bytes.
    """
    expected = width * height
    stream = zlib.decompressobj()
    try:
        plane = stream.decompress(data, expected)
        surplus = stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise HeqFormatError(
            f"The alpha plane (chunk ALPH) is not a zlib stream ({error}); decode with partial to "
            "go without it."
        ) from error
    if len(plane) != expected or surplus or not stream.eof or stream.unused_data:
        more = surplus or stream.unused_data
        found = "more data" if more else f"{len(plane)} bytes"
        raise HeqFormatError(
            f"The alpha plane (chunk ALPH) must hold exactly {width} x {height} = {expected} "
            f"bytes; found {found}; decode with partial to go without it."
        )
    return np.frombuffer(plane, np.uint8).reshape(height, width)
