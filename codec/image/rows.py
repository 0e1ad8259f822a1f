"""Huge images by rows: TIFF, PNG, JPEG and raw dumps in; TIFF, PNG and netpbm out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.base.metadata import Metadata
from numpy.typing import NDArray

from .arrays import LoadedImage
from .png_rows import write_netpbm, write_png
from .row_source import Rows
from .tiff_rows import load_tiff, write_tiff

__all__ = ["SUFFIXES", "Rows", "load_rows", "write_rows"]

_WRITERS: dict[str, Callable[..., None]] = {
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".png": write_png,
    ".ppm": write_netpbm,
    ".pgm": write_netpbm,
    ".pnm": write_netpbm,
}
SUFFIXES = tuple(_WRITERS)
"""Of files that `write_rows` writes."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG, _JPEG = b"\x89PNG", b"\xff\xd8\xff"


def load_rows(
    path: str | os.PathLike[str], max_pixels: int | None, raw: str | None = None
) -> LoadedImage:
    """An image that is read as it is encoded.

    TIFF and BigTIFF, in strips or tiles, need tifffile; PNG and JPEG need pyvips. Interlaced PNG
    and progressive JPEG take memory by their size.

    Args:
        path: of the file, which stays open as long as the image is used.
        max_pixels: largest width times height; None for no limit.
        raw: what a raw dump holds; see `heqcodec.image.raw.layout.parse_layout`.

    Returns:
        An image whose ``pixels`` is a `Rows`, for :func:`heqcodec.encode`. The first page is
        taken; samples of 16 bits are rounded to 8.

    Raises:
        HeqUnsupportedError: samples or an order of them that are not read by rows, or a package is
            not installed.
        HeqLimitError: more pixels than ``max_pixels``.
        HeqError: no such file, or a damaged one.
        OSError: it cannot be opened.
    """
    if raw is not None:
        from .raw.rows import load_raw_rows

        return load_raw_rows(path, raw, max_pixels)
    with open(path, "rb") as stream:
        head = stream.read(4)
    if head.startswith((_PNG, _JPEG)):
        from .vips_rows import load_by_vips

        return load_by_vips(path, max_pixels)
    if head not in _TIFF:
        raise HeqUnsupportedError(
            f"{os.fspath(path)} cannot be read by rows: that is for TIFF, PNG, JPEG and raw dumps. "
            "Encode it whole."
        )
    return load_tiff(path, max_pixels)


def write_rows(
    target: str | os.PathLike[str],
    shape: tuple[int, int, int],
    bands: Iterator[NDArray[np.uint8]],
    **metadata: Any,
) -> None:
    """Write an image of bands as a file, which appears whole or not at all.

    Args:
        target: a path; its suffix, one of `SUFFIXES`, chooses the format.
        shape: height, width and channels: 1, 3 or 4.
        bands: uint8 (rows, width, channels) from top to bottom, together the height; all but the
            last have a multiple of 32 rows.
        metadata: attributes of a `Metadata`, written where the format has a place; EXIF that
            is damaged is left out.

    Raises:
        HeqUnsupportedError: the format cannot hold the channels.
        OSError: it cannot be written.
    """
    _WRITERS[Path(target).suffix.lower()](target, shape, bands, Metadata(**metadata))
