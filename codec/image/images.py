"""Images as people have them, in and out: files, arrays and Pillow images to uint8 samples."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Union, cast

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.files import replaced_file
from heqcodec.container.header import DEFAULT_MAX_PIXELS
from heqcodec.container.source import Source, open_source
from PIL import Image

from . import metadata
from .arrays import SupportsArray, is_array, to_array, to_uint8
from .loaded_image import LoadedImage, check_size
from .output_formats import ALPHA_FORMATS, SAVE_OPTIONS, SUFFIXES, as_the_suffix_says, output_format
from .pillow_images import read_pillow, read_stream, reason

__all__ = ["ImageSource", "LoadedImage", "load_image", "save_image"]


ImageSource = Union[
    str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, SupportsArray, Image.Image,
    LoadedImage,
]  # fmt: skip
_FILES = (bytes, bytearray, memoryview, str, os.PathLike)


def load_image(source: ImageSource, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> LoadedImage:
    """Read an image of any kind as uint8 gray or RGB samples with optional alpha.

    Args:
        source: a path, the bytes of an image file, a binary file object, a Pillow image, or an
            array (H, W), (H, W, 1) gray, (H, W, 2) gray and alpha, (H, W, 3) RGB or (H, W, 4) RGB
            and alpha: uint8, bool (white is True), or floats from 0 to 1. Other dtypes are an error
            and not a guess, because an array's range is the caller's to know. Whatever has
            ``__array__`` is an array; a torch tensor may also be (C, H, W), on any device. A
            ``LoadedImage`` is returned as it is.
        max_pixels: largest width times height, checked before anything is decompressed; None for
            no limit.

    Conversions of files and Pillow images, each named in ``notes``: samples of 12 and 16 bits are
    rounded to 8; 32-bit integers are read as 0..255 or else as 0..65535, floats as 0..1 or else as
    0..255; CMYK goes through its ICC profile if it has one; other RGB profiles are kept, and what
    PNG (cICP, gAMA, cHRM) and AVIF (nclx) say without one is converted to sRGB, where colours
    beyond it are clipped; gain maps are left out; EXIF orientation is applied; of several
    frames the first is taken, of layers their flattened image; a JPEG file may lack its end marker.

    Raises:
        HeqLimitError: more than ``max_pixels`` pixels.
        HeqUnsupportedError: a sample type or file type that heqcodec does not take.
        HeqError: no image, or a damaged one. Nothing else escapes for a bad file.
        OSError: the file cannot be opened or read; ``FileNotFoundError`` if there is none.
        TypeError: the source is none of these, or a file object in text mode.
    """
    if isinstance(source, LoadedImage):
        height, width = source.pixels.shape[:2]
        check_size(width, height, max_pixels, "the image")
        return source
    if isinstance(source, Image.Image):
        return read_pillow(source, getattr(source, "filename", "") or "the image", max_pixels)
    if is_array(source):
        return _from_array(source, max_pixels)
    if not (isinstance(source, _FILES) or hasattr(source, "read")):
        raise TypeError(
            f"An image cannot be read from a {type(source).__name__}; give a path, bytes, a binary "
            "file object, a NumPy array, a torch tensor or a Pillow image."
        )
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the image"
    with open_source(cast("Source", source)) as stream:
        if not isinstance(source, _FILES):
            # Pillow seeks to the start of a file, and what is given may stand elsewhere.
            name = str(getattr(source, "name", name))
            stream = io.BytesIO(stream.read())
        return read_stream(stream, name, max_pixels)


def save_image(
    pixels: np.ndarray,
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> None:
    """Write samples to an image file; a file at a path appears whole or not at all.

    Args:
        pixels: uint8 (H, W), (H, W, 1), (H, W, 2) gray and alpha, (H, W, 3) or (H, W, 4).
        target: a path, whose suffix chooses the format, or a binary file object.
        format: a Pillow format name, instead of the suffix; PNG for a file object without one.
        icc, exif, xmp: metadata as in ``LoadedImage``, written where the format has a place.

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
    pixels = as_the_suffix_says(pixels, name)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # Into memory first: Pillow seeks in some formats, and a standard output cannot; and an error
    # of the format is then told apart from one of the disk.
    buffer = io.BytesIO()
    try:
        options = metadata.pillow_options(format, icc, exif, xmp)
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


def _from_array(source: SupportsArray, max_pixels: int | None) -> LoadedImage:
    array = to_array(source)
    check_size(array.shape[1], array.shape[0], max_pixels, "the array")
    array = to_uint8(array)
    colours = 1 if array.shape[2] < 3 else 3
    alpha = array[..., colours] if array.shape[2] > colours else None
    return LoadedImage(
        pixels=np.ascontiguousarray(array[..., :colours]),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
    )
