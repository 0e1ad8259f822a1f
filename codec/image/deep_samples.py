"""Samples of more than 8 bits as they lie in PNG and TIFF files, where Pillow needs help.

Of 16-bit colour samples Pillow keeps the high byte. It reads planes of a TIFF file that has each
colour apart as if they had 8 bits, and decompressed big-endian floats in the wrong order.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

__all__ = ["RANGE_16", "correct_layouts", "read_16_bits"]

RANGE_16 = 65535
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
# libtiff gives samples in the machine's order.
_DECOMPRESSED = {"F;32BF": "F;32NF", "I;32BS": "I;32NS", "I;16BS": "I;16NS"}
_BITS_PER_SAMPLE = 258


def correct_layouts(image: Image.Image) -> None:
    """Make Pillow read a TIFF file by its right layout, before its samples are loaded."""
    if image.format != "TIFF" or not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return
    tags: Any = getattr(image, "tag_v2", {})
    right: dict[str, str] = {}
    if image.tile[0].codec_name == "libtiff":
        right = _DECOMPRESSED
    elif set(tags.get(_BITS_PER_SAMPLE, ())) == {16}:
        order = "L" if tags.prefix == b"II" else "B"
        right = {plane: f"{plane};16{order}" for plane in "RGBA"}
    _replace_layouts(image, lambda layout: right.get(layout, layout))


def read_16_bits(
    image: Image.Image, layout: str, stream: BinaryIO | None
) -> NDArray[np.uint16] | None:
    """16-bit samples, uint16 (H, W, channels), the alpha last.

    The file is read a second time with the order of bytes reversed, where the low byte stands in
    the place of the high one.

    Args:
        image: whose high bytes are loaded.
        layout: Pillow's raw mode.
        stream: the file; None if there is none any more.

    Returns:
        None for other layouts than RGB, RGBA and gray with alpha, or without a file.
    """
    if stream is None or image.format not in ("PNG", "TIFF"):
        return None
    if layout == "LA;16B":  # of PNG: its four bytes as if they were RGBA
        both = _reread(stream, lambda _: "RGBA")
        return _joined(both[..., [0, 2]], both[..., [1, 3]])
    if image.mode not in ("RGB", "RGBA") or not re.fullmatch(r"(RGB[AX]?|R);16[BLN]", layout):
        return None
    low = _reread(stream, lambda layout: layout[:-1] + _OTHER_ORDER[layout[-1]])
    return _joined(np.asarray(image), low)


def _reread(stream: BinaryIO, change: Callable[[str], str]) -> NDArray[np.uint8]:
    stream.seek(0)
    image = Image.open(stream)
    correct_layouts(image)
    _replace_layouts(image, change)
    image.load()
    return np.asarray(image)


def _replace_layouts(image: ImageFile.ImageFile, change: Callable[[str], str]) -> None:
    tiles: Any = image.tile
    image.tile = [
        tile._replace(
            args=change(tile.args)
            if isinstance(tile.args, str)
            else (change(tile.args[0]), *tile.args[1:])
        )
        for tile in tiles
    ]


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    whole = high.astype(np.uint16)
    whole <<= 8
    whole |= low
    return whole
