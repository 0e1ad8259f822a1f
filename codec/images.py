"""Images as people have them, in and out: files, arrays and Pillow images to uint8 samples."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Union, cast

import numpy as np
from heqcodec import metadata, samples
from heqcodec.arrays import SupportsArray, is_array, to_array, to_uint8
from heqcodec.container.header import DEFAULT_MAX_PIXELS, MAGIC
from heqcodec.container.source import Source, open_source
from heqcodec.errors import HeqError, HeqLimitError, HeqUnsupportedError
from heqcodec.files import replaced_file
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ImageSource", "LoadedImage", "load_image", "output_format", "save_image"]

# Ghostscript (EPS) and the system's metafile player would run to draw these.
_PROGRAM_FORMATS = frozenset({"EPS", "WMF"})
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Who decodes to a lossy format wants our losses, not that format's on top.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "AVIF": {"quality": 95},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}
_ALPHA_FORMATS = frozenset({"AVIF", "JPEG2000", "PNG", "TGA", "TIFF", "WEBP"})


@dataclass
class LoadedImage:
    """An image ready for the encoder.

    Attributes:
        pixels: uint8 (H, W, C), C is 1 (gray) or 3 (RGB), contiguous.
        alpha: uint8 (H, W), 255 is opaque; None if the image has no transparency.
        icc: ICC profile that matches ``pixels``, or None.
        exif: EXIF as a bare TIFF structure without an orientation tag, or None.
        xmp: XMP packet, or None.
        notes: what was changed on the way in, one sentence each.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)


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

    Conversions of files and Pillow images, each told in ``notes``: 16-bit samples lose their low
    byte; 32-bit integers are read as 16-bit ones; floats are read as 0..1 or else as 0..255; CMYK
    goes through its ICC profile if it has one; EXIF orientation is applied; of several frames the
    first is taken.

    Raises:
        HeqLimitError: more than ``max_pixels`` pixels.
        HeqUnsupportedError: a sample type or file type that heqcodec does not take.
        HeqError: no image, or a damaged one. Nothing else escapes for a bad file.
        OSError: the file cannot be opened or read; ``FileNotFoundError`` if there is none.
        TypeError: the source is none of these, or a file object in text mode.
    """
    if isinstance(source, LoadedImage):
        height, width = source.pixels.shape[:2]
        _check_size(width, height, max_pixels, "the image")
        return source
    if isinstance(source, Image.Image):
        return _guarded(source, getattr(source, "filename", "") or "the image", max_pixels)
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
        return _from_stream(stream, name, max_pixels)


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
    if pixels.shape[2:] in ((2,), (4,)) and format not in _ALPHA_FORMATS:
        # Several of Pillow's writers drop alpha in silence.
        raise HeqUnsupportedError(
            f"{name} would lose the transparency, which {format} has no place for; choose .png, "
            ".webp or .tif."
        )
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
    # Into memory first: Pillow seeks in some formats, and a standard output cannot; and an error
    # of the format is then told apart from one of the disk.
    buffer = io.BytesIO()
    try:
        options = metadata.pillow_options(format, icc, exif, xmp)
        image.save(buffer, format=format, **_SAVE_OPTIONS.get(format, {}), **options)
    except Exception as error:  # Pillow's, for sizes or metadata that a format cannot take
        raise HeqUnsupportedError(
            f"{name} cannot be written as {format} ({_reason(error)}); choose .png, which holds "
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


def output_format(path: str | os.PathLike[str]) -> str:
    """The Pillow format that the suffix of ``path`` names, such as "PNG".

    Raises:
        HeqUnsupportedError: none that can be written; ``.heq`` is not an output of decoding.
    """
    suffix = Path(path).suffix.lower()
    format = Image.registered_extensions().get(suffix)
    if format is None or format == "HEQ" or format not in Image.SAVE:
        raise HeqUnsupportedError(
            f"{os.fspath(path)} has the suffix {suffix!r}, which names no image format that can be "
            "written; use .png, .jpg, .webp, .tif or .bmp."
        )
    return format


def _check_size(width: int, height: int, max_pixels: int | None, name: str) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise HeqLimitError(
            f"{name} is {width}x{height}, {width * height:,} pixels, and the limit is "
            f"{max_pixels:,}; raise max_pixels if you trust it."
        )


def _from_array(source: SupportsArray, max_pixels: int | None) -> LoadedImage:
    array = to_array(source)
    _check_size(array.shape[1], array.shape[0], max_pixels, "the array")
    array = to_uint8(array)
    colours = 1 if array.shape[2] < 3 else 3
    alpha = array[..., colours] if array.shape[2] > colours else None
    return LoadedImage(
        pixels=np.ascontiguousarray(array[..., :colours]),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
    )


_limit_lock = threading.RLock()


@contextlib.contextmanager
def _pillow_limit(max_pixels: int | None) -> Iterator[None]:
    """Silence Pillow's warnings, and lift its own size limit as far as the caller's goes."""
    with _limit_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        if max_pixels is None or (before is not None and max_pixels > before):
            Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _from_stream(stream: BinaryIO, name: str, max_pixels: int | None) -> LoadedImage:
    head = stream.read(8)
    stream.seek(0)
    if not head:
        raise HeqError(f"{name} is empty; give an image file.")
    if head == MAGIC:
        raise HeqUnsupportedError(f"{name} is a .heq file already; decode it first.")
    with _pillow_limit(max_pixels):
        try:
            image = Image.open(stream)
        except Image.UnidentifiedImageError as error:
            raise HeqError(
                f"{name} is not an image that Pillow can read, or its first bytes are damaged; "
                "convert it to PNG."
            ) from error
        except Image.DecompressionBombError as error:
            raise HeqLimitError(
                f"{name} has more than twice the {Image.MAX_IMAGE_PIXELS:,} pixels of the limit; "
                "raise max_pixels if you trust it."
            ) from error
        # Pillow's plugins raise whatever their parser meets in a damaged file (SyntaxError,
        # struct.error, OverflowError and others), so the net has to be this wide.
        except Exception as error:
            raise HeqError(_damaged(name, error)) from error
    return _guarded(image, name, max_pixels)


def _guarded(image: Image.Image, name: str, max_pixels: int | None) -> LoadedImage:
    _check_size(image.width, image.height, max_pixels, name)
    if 0 in image.size:
        raise HeqUnsupportedError(
            f"{name} is {image.width}x{image.height}; an image needs a pixel at least."
        )
    if image.format in _PROGRAM_FORMATS:
        raise HeqUnsupportedError(
            f"{name} is a {image.format} drawing, not samples; convert it to PNG."
        )
    with _pillow_limit(max_pixels):
        try:
            return _from_pillow(image, name)
        except HeqError:
            raise
        except Exception as error:  # as in _from_stream
            raise HeqError(_damaged(name, error)) from error


def _damaged(name: str, error: Exception) -> str:
    return f"{name} is damaged or unusual ({_reason(error)}); fetch it again or convert it to PNG."


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _from_pillow(image: Image.Image, name: str) -> LoadedImage:
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"Only the first of {frames} frames was taken.")
        if image.tell():
            image.seek(0)
    raw_mode = samples.raw_mode(image)
    image.load()

    icc = image.info.get("icc_profile") or None
    try:
        exif, turn = metadata.exif_block(image), metadata.orientation(image)
        exif = metadata.without_exif_orientation(exif) if exif else None
    except Exception:  # Pillow's EXIF reader, on damaged EXIF: the pixels are still good
        exif, turn = None, 1
        notes.append("The EXIF data are damaged and were left out.")
    xmp = metadata.xmp_block(image)

    array = samples.uint8_samples(image, raw_mode, icc, name, notes)
    if turn != 1:
        array = np.asarray(Image.fromarray(array).transpose(_TRANSPOSITIONS[turn]))
        xmp = metadata.without_xmp_orientation(xmp) if xmp else None
        notes.append("The EXIF orientation was applied.")
    loaded = _from_array(array, None)
    space = "GRAY" if loaded.pixels.shape[2] == 1 else "RGB"
    if icc and metadata.icc_space(icc) != space:
        if image.mode != "CMYK":
            notes.append("The ICC profile is for another kind of samples and was left out.")
        icc = None
    return LoadedImage(loaded.pixels, loaded.alpha, icc, exif, xmp, notes)
