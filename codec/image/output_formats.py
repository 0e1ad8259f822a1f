"""The image files that decoding can write: those that give back every pixel, or nearly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqUnsupportedError

__all__ = ["ALPHA_FORMATS", "SAVE_OPTIONS", "SUFFIXES", "as_the_suffix_says", "output_format"]

# Pillow writes more, but not the picture: icons are reduced, palettes have 256 colours, PDF and
# MPO become JPEG, and a codestream (.j2k) needs a file name, which a buffer has not.
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jp2": "JPEG2000",
    ".bmp": "BMP",
    ".tga": "TGA",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
}
"""Pillow's formats by suffix."""
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}
"""Who decodes to a lossy format wants our losses, not that format's on top."""
ALPHA_FORMATS = frozenset({"AVIF", "JPEG2000", "PNG", "TGA", "TIFF", "WEBP"})


def output_format(path: str | os.PathLike[str]) -> str:
    """The Pillow format that the suffix of ``path`` names, such as "PNG".

    Raises:
        HeqUnsupportedError: none that can be written; the message lists those that can.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        found = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise HeqUnsupportedError(
            f"{os.fspath(path)} has {found}; images can be written as {', '.join(SUFFIXES)}."
        )
    return SUFFIXES[suffix]


def as_the_suffix_says(pixels: np.ndarray, name: str) -> np.ndarray:
    """Samples of as many channels as a netpbm suffix promises; others unchanged.

    Args:
        pixels: uint8 (H, W, 1) or (H, W, 3), or with alpha.
        name: of the file.

    Raises:
        HeqUnsupportedError: colours for ``.pgm``.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".pgm" and pixels.shape[2] == 3:
        raise HeqUnsupportedError(f"{name} would lose the colours; choose .ppm.")
    if suffix == ".ppm" and pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return pixels
