"""Images as people have them: files, arrays and Pillow images to uint8 samples."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Union, cast

from heqcodec.container.header import DEFAULT_MAX_PIXELS
from heqcodec.container.source import Source, open_source
from PIL import Image

from .arrays import LoadedImage, SupportsArray, check_size, is_array, load_array
from .output_formats import save_image
from .pillow_images import read_pillow, read_stream

__all__ = ["ImageSource", "LoadedImage", "load_image", "save_image"]


ImageSource = Union[
    str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, SupportsArray, Image.Image,
    LoadedImage,
]  # fmt: skip
_FILES = (bytes, bytearray, memoryview, str, os.PathLike)


def load_image(
    source: ImageSource, max_pixels: int | None = DEFAULT_MAX_PIXELS, raw: str | None = None
) -> LoadedImage:
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
        raw: what a raw dump holds, see `heqcodec.image.raw.loading.load_raw`; the source is then a
            path, bytes or a binary file object.

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
    if raw is not None:
        from .raw.loading import load_raw

        return load_raw(cast("Source", source), raw, max_pixels)
    if isinstance(source, LoadedImage):
        height, width = source.pixels.shape[:2]
        check_size(width, height, max_pixels, "the image")
        return source
    if isinstance(source, Image.Image):
        return read_pillow(source, getattr(source, "filename", "") or "the image", max_pixels)
    if is_array(source):
        return load_array(source, max_pixels)
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
