"""The file of a patch-constant peer: 20 bytes of header, then the patches' codes, all of one size.

Little-endian::

    4  magic   48 45 51 50 ("HEQP")
    1  version 1
    1  kind    which codec, see the classes
    2  bits    of each patch, a multiple of 8
    4  width   of the image in pixels, without padding
    4  height
    4  tables  first bytes of the SHA-256 of the fitted tables; zeros for a codec without
    patches row by row, bits / 8 bytes each, and nothing after them

So patch ``n`` begins at byte ``20 + n * bits / 8``, and the size of a file follows from the
image's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from heqcodec.base.errors import HeqFormatError, HeqLimitError, HeqTruncatedError
from numpy.typing import NDArray

from .planes import SIDE

MAGIC = b"HEQP"
VERSION = 1
MAX_PIXELS = 2**28
"""Largest width times height that a file may announce; memory follows it."""
_HEADER = struct.Struct("<4sBBHII4s")
HEADER_BYTES = _HEADER.size


def patch_grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of patches that cover an image."""
    return -(-height // SIDE), -(-width // SIDE)


@dataclass(frozen=True)
class PatchFile:
    """One coded image.

    kind: number of the codec, 1 to 255.
    tables: 4 bytes.
    width, height: of the image, in pixels.
    codes: uint8 (patches, bytes of a patch).
    """

    kind: int
    tables: bytes
    width: int
    height: int
    codes: NDArray[np.uint8]

    def pack(self) -> bytes:
        """The bytes of the file."""
        bits = 8 * self.codes.shape[1]
        header = _HEADER.pack(MAGIC, VERSION, self.kind, bits, self.width, self.height, self.tables)
        return header + self.codes.tobytes()

    @classmethod
    def parse(cls, data: bytes, kind: int, tables: bytes) -> PatchFile:
        """Read the bytes of a file of this kind, made with these tables.

        Raises:
            HeqFormatError: it is no such file, of another kind or other tables, or something
                follows it.
            HeqTruncatedError: it ends early.
            HeqLimitError: it announces more than ``MAX_PIXELS``.
        """
        if data[: len(MAGIC)] != MAGIC:
            raise HeqFormatError("This is no file of a patch-constant peer.")
        if len(data) < HEADER_BYTES:
            raise HeqTruncatedError("The file of a patch-constant peer ends in its header.")
        _, version, found, bits, width, height, identity = _HEADER.unpack_from(data)
        if (version, found) != (VERSION, kind):
            raise HeqFormatError("The file was written by another patch-constant peer.")
        if identity != tables:
            raise HeqFormatError(
                "The file was written with other tables; decode it with the version of heqcodec "
                "that wrote it."
            )
        if not (width and height and bits and bits % 8 == 0):
            raise HeqFormatError("The file of a patch-constant peer announces an empty image.")
        if width * height > MAX_PIXELS:
            raise HeqLimitError(
                f"The file announces {width}x{height} pixels, which is more than {MAX_PIXELS}."
            )
        rows, columns = patch_grid(width, height)
        size = HEADER_BYTES + rows * columns * bits // 8
        if len(data) != size:
            reason = HeqTruncatedError if len(data) < size else HeqFormatError
            raise reason(
                f"The file has {len(data)} bytes, and {size} are needed for its {rows * columns} "
                "patches."
            )
        codes = np.frombuffer(data, np.uint8, offset=HEADER_BYTES).reshape(rows * columns, -1)
        return cls(kind, identity, width, height, codes)
