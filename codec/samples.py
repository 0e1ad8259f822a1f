"""Samples of a Pillow image of any mode, reduced to uint8 gray or RGB with optional alpha."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import numpy as np
from heqcodec import metadata
from heqcodec.errors import HeqUnsupportedError
from PIL import Image, ImageCms

__all__ = ["raw_mode", "uint8_samples"]


def raw_mode(image: Image.Image) -> str:
    """How samples lie in the file, such as "RGB;16B"; Pillow forgets it when it loads."""
    for tile in getattr(image, "tile", None) or []:
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if arguments and isinstance(arguments[0], str):
            return arguments[0]
    return ""


def uint8_samples(
    image: Image.Image, layout: str, icc: bytes | None, name: str, notes: list[str]
) -> np.ndarray:
    """Samples of a loaded image of any mode.

    Args:
        image: a Pillow image whose samples are loaded.
        layout: what ``raw_mode`` gave before it was loaded, "" if it is not known.
        icc: its ICC profile, used for CMYK.
        name: what an error message calls it.
        notes: a sentence is appended for each conversion that loses or changes something.

    Returns:
        uint8 (H, W) gray, (H, W, 2) gray and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha.

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
    if mode == "P":
        if transparent is None and (image.palette is None or image.palette.mode == "RGB"):
            return np.asarray(image.convert("RGB"))
        return np.asarray(image.convert("RGBA"))
    if mode in ("1", "L", "RGB"):
        return _keyed(image, layout, transparent)
    if layout == "LA;16B":  # Pillow has no 16-bit LA and repeats the gray
        return np.asarray(image)[..., [0, 3]]
    if mode in ("LA", "RGBA"):
        return np.asarray(image)
    if mode == "CMYK":
        notes.append("CMYK was converted to RGB, and its ICC profile left out.")
        return _cmyk_samples(image, icc)
    wanted = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(mode, "RGB")
    if mode in ("HSV", "LAB", "YCbCr"):
        notes.append(f"{mode} was converted to RGB.")
    return np.asarray(image.convert(wanted))


def _keyed(image: Image.Image, layout: str, transparent: Any) -> np.ndarray:
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
    opaque = ~(equal.all(axis=-1) if samples.ndim == 3 else equal)
    return np.dstack([samples, np.where(opaque, 255, 0).astype(np.uint8)])


def _wide_samples(image: Image.Image, transparent: Any, name: str, notes: list[str]) -> np.ndarray:
    """Gray samples of 16 or 32 bits or floats, reduced to uint8."""
    values = np.asarray(image)
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0.0 and high <= 255.0):
            raise HeqUnsupportedError(
                f"{name} holds floating-point samples from {low:g} to {high:g}, and only 0 to 1 "
                "or 0 to 255 can be read; convert it to an 8-bit PNG."
            )
        top = 1 if high <= 1.0 else 255
        notes.append(f"Floating-point samples were read as 0 to {top} and reduced to 8 bits.")
        return np.rint(values * (255 / top)).astype(np.uint8)
    if image.mode == "I":
        low, high = int(values.min()), int(values.max())
        if not (low >= 0 and high <= 65535):
            raise HeqUnsupportedError(
                f"{name} holds 32-bit samples from {low} to {high}, and only 0 to 65535 can be "
                "read; convert it to an 8-bit PNG."
            )
    notes.append("16-bit samples were reduced to 8 bits.")
    values = values.astype(np.uint32)
    reduced = ((values * 255 + 32767) // 65535).astype(np.uint8)  # round(v / 257)
    if not isinstance(transparent, int):
        return reduced
    return np.dstack([reduced, np.where(values == transparent, 0, 255).astype(np.uint8)])


def _cmyk_samples(image: Image.Image, icc: bytes | None) -> np.ndarray:
    if icc and metadata.icc_space(icc) == "CMYK":
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(
                image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return np.asarray(converted)
    return np.asarray(image.convert("RGB"))
