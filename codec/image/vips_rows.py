"""PNG and JPEG images by rows, read by libvips as they are encoded."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from numpy.typing import NDArray
from PIL import Image

from . import metadata
from .arrays import LoadedImage, check_size
from .colour_tags import colour_space, has_gain_map
from .pillow_images import pillow_limit
from .row_source import Rows

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}


class VipsRows(Rows):
    """An image file that libvips reads from top to bottom; going back begins anew.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open()
        self.shape = self._image.height, self._image.width, self._image.bands

    def _open(self) -> None:
        import pyvips

        self._image = pyvips.Image.new_from_file(self._path, access="sequential", fail_on="error")
        self._region, self._next = pyvips.Region.new(self._image), 0

    def _band(self, start: int, stop: int) -> NDArray[Any]:
        """See `Rows`."""
        import pyvips

        image = self._image
        shape = stop - start, image.width, image.bands
        try:
            if start < self._next:
                self._open()
            data = self._region.fetch(0, start, image.width, stop - start) if stop > start else b""
        except pyvips.Error as error:
            raise HeqError(f"{self._path} is damaged: {_sentence(error)}.") from error
        self._next = stop
        return np.frombuffer(data, _TYPES[image.format]).reshape(shape)


def load_by_vips(path: str | os.PathLike[str], max_pixels: int | None) -> LoadedImage:
    """A PNG or JPEG image; arguments and errors as `heqcodec.image.rows.load_rows`."""
    name = os.fspath(path)
    import pyvips

    try:
        pixels: Any = VipsRows(name)
        image = pixels._image
    except pyvips.Error as error:
        raise HeqError(f"{name} is damaged or unusual: {_sentence(error)}.") from error
    check_size(image.width, image.height, max_pixels, name)
    if image.format not in _TYPES or image.interpretation == "cmyk" or image.bands not in (1, 3):
        raise HeqUnsupportedError(
            f"{name} has {image.bands} channels of {image.format} as {image.interpretation}; by "
            "rows gray and RGB of 8 or 16 bits are read, without alpha. Encode it whole."
        )
    notes: list[str] = []
    icc, exif, xmp = (_block(image, f"{kind}-data") for kind in ("icc-profile", "exif", "xmp"))
    # Only its head is read, of whatever size.
    with pillow_limit(None), Image.open(name) as opened, open(name, "rb") as stream:
        space = colour_space(opened, stream, icc, notes)
        if has_gain_map(opened, xmp):
            notes.append("The gain map for displays of a high dynamic range was left out.")
    if space or _block(image, "orientation") not in (None, 1):
        raise HeqUnsupportedError(
            f"{name} is turned, or of colours that are converted; by rows neither is read. Encode "
            "it whole."
        )
    if icc and metadata.icc_space(icc) != ("GRAY" if image.bands == 1 else "RGB"):
        icc = None
        notes.append("The ICC profile is for another kind of samples and was left out.")
    try:
        exif = (
            metadata.without_exif_orientation(exif.removeprefix(metadata.EXIF_PREFIX))
            if exif
            else None
        )
    except Exception:  # of whatever kind Pillow raises
        exif = None
        notes.append("The EXIF data are damaged and were left out.")
    return LoadedImage(pixels, None, icc, exif, xmp, notes)


def _block(image: Any, field: str) -> Any:
    """A field of libvips's metadata, or None."""
    return image.get(field) if image.get_typeof(field) else None


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "detail", error)).splitlines()]
    return "; ".join(line for line in lines if line).rstrip(".") or "libvips gives no reason"
