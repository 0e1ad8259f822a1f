"""A small image of independent samples, a colour profile, and files of them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

RNG = np.random.default_rng(5)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GRAY = COLOURS[..., 0]
ALPHA = COLOURS[..., 2]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png(
    depth: int, kind: int, size: tuple[int, int], rows: list[bytes], trns: bytes = b""
) -> bytes:
    """A PNG file from unfiltered rows, for what Pillow cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"tRNS", trns) if trns else b"")
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
