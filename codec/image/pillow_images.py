"""Image files and Pillow images to uint8 samples: whatever Pillow can open."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from heqcodec.base.errors import HeqError, HeqLimitError, HeqUnsupportedError
from heqcodec.container.header import MAGIC
from numpy.typing import NDArray
from PIL import Image

from . import metadata, samples
from .arrays import LoadedImage, check_size
from .colour_tags import colour_space, has_gain_map
from .deep_samples import correct_layouts
from .jpeg_end import file_without_end, with_end
from .tiff_tags import geo_of_tiff

if TYPE_CHECKING:
    from .colour import ColourSpace

__all__ = ["read_pillow", "read_stream", "reason"]

# Ghostscript (EPS) and the system's metafile player would run to draw these.
_PROGRAM_FORMATS = frozenset({"EPS", "WMF"})
_REREAD_FORMATS = frozenset({"AVIF", "JPEG", "MPO", "PNG", "TIFF"})
"""Formats of which something is read that Pillow does not tell."""
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda array: array,
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
"""What makes a picture upright, by EXIF orientation."""

_limit_lock = threading.RLock()


@contextlib.contextmanager
def pillow_limit(max_pixels: int | None) -> Iterator[None]:
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


def read_stream(stream: BinaryIO, name: str, max_pixels: int | None) -> LoadedImage:
    """Read an image file.

    Args:
        stream: the file, from its start, seekable.
        name: what an error message calls it.
        max_pixels: largest width times height; None for no limit.

    Raises:
        HeqError: as :func:`heqcodec.image.images.load_image`.
    """
    head = stream.read(8)
    stream.seek(0)
    if not head:
        raise HeqError(f"{name} is empty; give an image file.")
    if head == MAGIC:
        raise HeqUnsupportedError(f"{name} is a .heq file already; decode it first.")
    with pillow_limit(max_pixels):
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
    return read_pillow(image, name, max_pixels, stream)


def read_pillow(
    image: Image.Image, name: str, max_pixels: int | None, stream: BinaryIO | None = None
) -> LoadedImage:
    """Read a Pillow image.

    Args:
        image: loaded or not.
        name: what an error message calls it.
        max_pixels: largest width times height; None for no limit.
        stream: the file that it was opened from, for what Pillow does not tell of it; None if the
            image has to say.

    Raises:
        HeqError: as :func:`heqcodec.image.images.load_image`.
    """
    check_size(image.width, image.height, max_pixels, name)
    if 0 in image.size:
        raise HeqUnsupportedError(
            f"{name} is {image.width}x{image.height}; an image needs a pixel at least."
        )
    if image.format in _PROGRAM_FORMATS:
        raise HeqUnsupportedError(
            f"{name} is a {image.format} drawing, not samples; convert it to PNG."
        )
    with pillow_limit(max_pixels):
        try:
            return _loaded(image, name, stream or _file_of(image))
        except HeqError:
            raise
        except Exception as error:  # as in read_stream
            raise HeqError(_damaged(name, error)) from error


def _damaged(name: str, error: Exception) -> str:
    return f"{name} is damaged or unusual ({reason(error)}); fetch it again or convert it to PNG."


def reason(error: Exception) -> str:
    """An exception's message as part of a sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _file_of(image: Image.Image) -> BinaryIO | None:
    """A copy of the file that a Pillow image was opened from; None if it is loaded already."""
    stream = getattr(image, "fp", None)
    if image.format not in _REREAD_FORMATS or stream is None or not getattr(image, "tile", None):
        return None
    place = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(place)
    return io.BytesIO(data)


def _loaded(image: Image.Image, name: str, stream: BinaryIO | None) -> LoadedImage:
    notes: list[str] = []
    _choose_frame(image, notes)
    if image.format == "TIFF":
        correct_layouts(image)
    layout = samples.raw_mode(image)
    image = _with_pixels(image, stream, notes)

    icc = image.info.get("icc_profile") or None
    try:
        exif, orientation = metadata.exif_block(image), metadata.orientation(image)
        exif = metadata.without_exif_orientation(exif) if exif else None
    except Exception:  # Pillow's EXIF reader, on damaged EXIF: the pixels are still good
        exif, orientation = None, 1
        notes.append("The EXIF data are damaged and were left out.")
    xmp = metadata.xmp_block(image)

    space = colour_space(image, stream, icc, notes)
    if has_gain_map(image, xmp):
        notes.append("The gain map for displays of a high dynamic range was left out.")
    found = samples.read_samples(image, layout, stream, icc, name, notes)
    pixels, alpha = _srgb_samples(found, space, notes), found.alpha
    if space and icc:
        icc = None
        notes.append("The ICC profile was left out, since cICP goes before it.")
    if orientation != 1:
        turn = _TURNS[orientation]
        pixels, alpha = turn(pixels), None if alpha is None else turn(alpha)
        xmp = metadata.without_xmp_orientation(xmp) if xmp else None
        notes.append("The EXIF orientation was applied.")
    samples_of = "GRAY" if pixels.shape[2] == 1 else "RGB"
    if icc and metadata.icc_space(icc) != samples_of:
        if image.mode != "CMYK":
            notes.append("The ICC profile is for another kind of samples and was left out.")
        icc = None
    # Tags of a turned image would be for other pixels.
    geo = geo_of_tiff(image) if orientation == 1 else None
    return LoadedImage(
        np.ascontiguousarray(pixels),
        None if alpha is None else np.ascontiguousarray(alpha),
        icc,
        exif,
        xmp,
        notes,
        geo,
    )


def _srgb_samples(
    found: samples.Samples, space: ColourSpace | None, notes: list[str]
) -> NDArray[np.uint8]:
    if space is None or space.is_srgb:
        return samples.reduced(found.colours, found.top)
    from .colour import to_srgb

    pixels, clipped = to_srgb(found.colours, found.top, space)
    beyond = f"; {clipped:.2%} of the pixels lie beyond it and were clipped" if clipped else ""
    notes.append(f"The colours were converted from {space.name} to sRGB{beyond}.")
    return pixels


def _choose_frame(image: Image.Image, notes: list[str]) -> None:
    """Go to the first of several frames."""
    if image.format == "PSD":
        # What opens is the flattened image, under the number of the first layer; once a layer was
        # sought there is no way back to it.
        with contextlib.suppress(Exception):  # damaged layers: nothing here needs them
            layers, shown = getattr(image, "n_frames", 1), image.tell()
            if shown > 1:
                notes.append(f"Layer {shown} of {layers} was taken.")
            elif layers > 1:
                notes.append(f"The flattened image was taken, not its {layers} layers.")
        return
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"Only the first of {frames} frames was taken.")
        if image.tell():
            image.seek(0)


def _with_pixels(image: Image.Image, stream: BinaryIO | None, notes: list[str]) -> Image.Image:
    """The image with its pixels loaded; of a JPEG file without an end marker, another.

    Raises:
        OSError: the image is cut short, among others of Pillow's.
    """
    if image.format == "JPEG" and stream is not None:
        place = stream.tell()
        data = file_without_end(stream)
        stream.seek(place)
        if data is not None:
            whole = with_end(data)
            if whole is None:
                raise OSError("the file ends within its image")
            image = Image.open(io.BytesIO(whole))
            notes.append("The JPEG file has no end marker; its image is whole.")
    image.load()
    return image
