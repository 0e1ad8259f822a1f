"""Writing of decoded images, in formats that give back every pixel, or nearly."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.files import replaced_file
from PIL import Image

from . import metadata
from .pillow_images import reason
from .tiff_tags import geo_values

__all__ = ["SUFFIXES", "output_format", "save_image"]

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


def save_image(
    pixels: np.ndarray,
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    geo: bytes | None = None,
) -> None:
    """Write samples to an image file; a file at a path appears whole or not at all.

    Args:
        pixels: uint8 (H, W), (H, W, 1), (H, W, 2) gray and alpha, (H, W, 3) or (H, W, 4).
        target: a path, whose suffix chooses the format, or a binary file object.
        format: a Pillow format name, instead of the suffix; PNG for a file object without one.
        icc, exif, xmp, geo: metadata as in ``LoadedImage``, written where the format has a place.

    Raises:
        HeqUnsupportedError: no such format, or it cannot hold these samples.
        HeqError: the file cannot be written.
    """
    is_path = isinstance(target, (str, os.PathLike))
    name = os.fspath(target) if is_path else "the output"  # type: ignore[arg-type]
    format = format.upper() if format else output_format(name) if is_path else "PNG"
    if format not in SUFFIXES.values():
        known = ", ".join(dict.fromkeys(SUFFIXES.values()))
        raise HeqUnsupportedError(f"{format} cannot be written; choose one of {known}.")
    if pixels.shape[2:] in ((2,), (4,)) and format not in ALPHA_FORMATS:
        # Several of Pillow's writers drop alpha in silence.
        raise HeqUnsupportedError(
            f"{name} would lose the transparency, which {format} has no place for; choose .png, "
            ".webp or .tif."
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = _as_the_suffix_says(pixels, name)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # Into memory first: Pillow seeks in some formats, and a standard output cannot; and an error
    # of the format then differs from one of the disk.
    buffer = io.BytesIO()
    try:
        tags = geo_values(geo) if geo else None
        options = metadata.pillow_options(format, icc, exif, xmp, tags)
        image.save(buffer, format=format, **SAVE_OPTIONS.get(format, {}), **options)
    except Exception as error:  # Pillow's, for sizes or metadata that a format cannot take
        raise HeqUnsupportedError(
            f"{name} cannot be written as {format} ({reason(error)}); choose .png, which holds "
            "everything."
        ) from error
    try:
        if is_path:
            with replaced_file(target) as stream:  # type: ignore[arg-type]
                stream.write(buffer.getbuffer())
        else:
            target.write(buffer.getbuffer())  # type: ignore[union-attr]
    except OSError as error:
        raise HeqError(f"{name} cannot be written: {error.strerror or error}.") from error


def _as_the_suffix_says(pixels: np.ndarray, name: str) -> np.ndarray:
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
