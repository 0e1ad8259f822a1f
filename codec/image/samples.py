"""Samples of a Pillow image of any mode, as gray or RGB with optional alpha."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from heqcodec.base.errors import HeqUnsupportedError
from numpy.typing import NDArray
from PIL import Image, ImageCms

from . import metadata
from .deep_samples import RANGE_16, read_16_bits

__all__ = ["Samples", "raw_mode", "read_samples", "reduced"]

_SIXTEEN_BIT_INTEGERS = frozenset({"PNG", "PPM"})
"""Formats whose mode I holds 16 bits; Pillow brings every range of PGM to that."""
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_ROWS = 256
"""Rows reduced at once, so that wide integers stay few."""


class Samples(NamedTuple):
    """What an image holds.

    Attributes:
        colours: uint8 or uint16 (H, W, 1) gray or (H, W, 3) RGB.
        alpha: uint8 (H, W), 255 is opaque; None if the image has no transparency.
        top: the number that is white; 0 is black.
    """

    colours: NDArray[Any]
    alpha: NDArray[np.uint8] | None = None
    top: int = 255


def raw_mode(image: Image.Image) -> str:
    """How samples lie in the file, such as "RGB;16B"; Pillow forgets it when it loads."""
    for tile in getattr(image, "tile", None) or []:
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if arguments and isinstance(arguments[0], str):
            return arguments[0]
    return ""


def reduced(values: NDArray[Any], top: int) -> NDArray[np.uint8]:
    """Samples of 0 to ``top`` as uint8, rounded to nearest."""
    if values.dtype == np.uint8 and top == 255:
        return values
    made = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), _ROWS):
        band = values[row : row + _ROWS].astype(np.uint32)
        made[row : row + _ROWS] = (band * 255 + top // 2) // top
    return made


def read_samples(
    image: Image.Image,
    layout: str,
    stream: BinaryIO | None,
    icc: bytes | None,
    name: str,
    notes: list[str],
) -> Samples:
    """Samples of a loaded image of any mode.

    Args:
        image: a Pillow image whose samples are loaded.
        layout: what ``raw_mode`` gave before it was loaded, "" if it is not known.
        stream: the file it was opened from; None if there is none any more.
        icc: its ICC profile, used for CMYK.
        name: what an error message calls it.
        notes: a sentence is appended for each conversion that loses or changes something.

    Raises:
        HeqUnsupportedError: 32-bit or floating-point samples outside the ranges that have one
            obvious meaning.
    """
    mode = image.mode
    transparent = image.info.get("transparency")
    if mode.startswith("I;16") or mode in ("I", "F"):
        return _wide_samples(image, transparent, name, notes)
    if re.search(r";16[BLN]?$", layout) and not layout.startswith("BGR;"):
        notes.append("16-bit samples were reduced to 8 bits.")
        whole = read_16_bits(image, layout, stream)
        if whole is not None:
            return _sixteen_bits(whole, transparent)
    if mode == "P":
        if transparent is None and (image.palette is None or image.palette.mode == "RGB"):
            return _split(np.asarray(image.convert("RGB")))
        return _split(np.asarray(image.convert("RGBA")))
    if mode in ("1", "L", "RGB"):
        return _split(_keyed(image, layout, transparent))
    if layout == "LA;16B":  # Pillow has no 16-bit LA and repeats the gray
        return _split(np.asarray(image)[..., [0, 3]])
    if mode in ("LA", "RGBA"):
        return _split(np.asarray(image))
    if mode == "CMYK":
        notes.append("CMYK was converted to RGB, and its ICC profile left out.")
        return _split(_cmyk_samples(image, icc))
    wanted = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(mode, "RGB")
    if mode in ("HSV", "LAB", "YCbCr"):
        notes.append(f"{mode} was converted to RGB.")
    return _split(np.asarray(image.convert(wanted)))


def _split(array: NDArray[np.uint8]) -> Samples:
    """uint8 (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), the alpha last."""
    if array.ndim == 2:
        array = array[..., None]
    count = 1 if array.shape[2] < 3 else 3
    alpha = array[..., count] if array.shape[2] > count else None
    return Samples(array[..., :count], alpha)


def _sixteen_bits(whole: NDArray[np.uint16], transparent: Any) -> Samples:
    """Samples of uint16 (H, W, channels), the alpha last."""
    count = 1 if whole.shape[2] < 3 else 3
    colours = whole[..., :count]
    if whole.shape[2] > count:
        return Samples(colours, reduced(whole[..., count], RANGE_16), RANGE_16)
    if not isinstance(transparent, tuple):
        return Samples(colours, None, RANGE_16)
    clear = (colours == np.asarray(transparent)).all(axis=-1)
    return Samples(colours, _opacity(clear), RANGE_16)


def _opacity(clear: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(clear, 0, 255).astype(np.uint8)


def _keyed(image: Image.Image, layout: str, transparent: Any) -> NDArray[np.uint8]:
    """Samples of mode 1, L or RGB, with an alpha channel if one colour stands for transparent."""
    samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    if isinstance(transparent, bytes):  # a palette's, kept by a conversion: nothing to apply
        return samples
    if transparent is None:
        return samples
    # PNG gives the colour at the file's depth, Pillow the samples at 8 bits.
    if image.mode == "1":
        transparent = 255 if transparent else 0
    if match := re.fullmatch(r"L;([24])", layout):
        transparent = transparent * 255 // ((1 << int(match[1])) - 1)
    if layout.startswith("RGB;16"):
        transparent = tuple(value >> 8 for value in transparent)
    equal = samples == np.asarray(transparent)
    clear = equal.all(axis=-1) if samples.ndim == 3 else equal
    return np.dstack([samples, _opacity(clear)])


def _wide_samples(image: Image.Image, transparent: Any, name: str, notes: list[str]) -> Samples:
    """Gray samples of 12, 16 or 32 bits or floats."""
    values = np.asarray(image)
    if image.mode == "F":
        top = _float_range(values, name)
        notes.append(f"Floating-point samples were read as 0 to {top} and reduced to 8 bits.")
        values, top = np.rint(values * (255 / top)).astype(np.uint8), 255
    else:
        top = _integer_range(image, values, name, notes)
        values = values.astype(np.uint16)
    clear = values == transparent if isinstance(transparent, int) else None
    # 8 bits and fewer Pillow turns round itself.
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:
        values = (top - values).astype(values.dtype)
    return Samples(values[..., None], None if clear is None else _opacity(clear), top)


def _float_range(values: NDArray[np.float32], name: str) -> int:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 255.0):
        raise HeqUnsupportedError(
            f"{name} holds floating-point samples from {low:g} to {high:g}, and only 0 to 1 "
            "or 0 to 255 can be read; convert it to an 8-bit PNG."
        )
    return 1 if high <= 1.0 else 255


def _integer_range(image: Image.Image, values: NDArray[Any], name: str, notes: list[str]) -> int:
    """The number that is white: what the file says, else the least usual one that holds all."""
    if image.mode != "I":
        bits = min(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0], 16)
        notes.append(f"{bits}-bit samples were reduced to 8 bits.")
        return (1 << bits) - 1
    if image.format in _SIXTEEN_BIT_INTEGERS:
        notes.append("16-bit samples were reduced to 8 bits.")
        return RANGE_16
    low, high = int(values.min()), int(values.max())
    if not (low >= 0 and high <= RANGE_16):
        raise HeqUnsupportedError(
            f"{name} holds 32-bit samples from {low} to {high}, and only 0 to 255 or 0 to "
            f"{RANGE_16} can be read; convert it to an 8-bit PNG."
        )
    top = 255 if high <= 255 else RANGE_16
    notes.append(
        f"32-bit samples, from {low} to {high}, were read as 0 to {top}: nothing says how much is "
        "white."
    )
    return top


def _cmyk_samples(image: Image.Image, icc: bytes | None) -> NDArray[np.uint8]:
    if icc and metadata.icc_space(icc) == "CMYK":
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(
                image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return np.asarray(converted)
    return np.asarray(image.convert("RGB"))
