"""Colour tags other than an ICC profile: PNG chunks, AVIF boxes, gain maps.

The order is that of PNG, third edition, section 13.1: cICP, then iCCP, sRGB, and gAMA with cHRM.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from .avif_colour import nclx

if TYPE_CHECKING:
    from .colour import ColourSpace

__all__ = ["colour_space", "has_gain_map"]

_NEAR_GAMMA = 0.05
"""As libpng, a gamma within 5 % of 1/2.2 is that of sRGB."""
_NEAR_POINT = Fraction(1, 1000)
_GAMMAS = (0.05, 20.0)
"""What a gamma may be."""
_GAIN_MAPS = (b"hdrgm:", b"HDRGainMap")
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1"


def colour_space(
    image: Image.Image, stream: BinaryIO | None, icc: bytes | None, notes: list[str]
) -> ColourSpace | None:
    """The colour space that samples have to be converted from.

    Args:
        image: loaded or not.
        stream: its file, if there is one.
        icc: its ICC profile.
        notes: a sentence is appended where a colour space cannot be converted.

    Returns:
        None where the ICC profile counts, where nothing is said, and for sRGB unless cICP says so
        and the ICC profile does not count.
    """
    if image.format == "PNG" and stream is not None:
        for kind, data in _png_chunks(stream):
            if kind == b"cICP" and len(data) == 4 and data[2] == 0:  # of RGB, not YCbCr
                return _coded(data[0], data[1], bool(data[3]), "cICP", notes)
    if icc:
        return None
    space = None
    if image.format == "AVIF" and stream is not None:
        codes = nclx(stream)
        if codes:
            space = _coded(*codes, True, "nclx", notes)
    elif "srgb" not in image.info and ("gamma" in image.info or "chromaticity" in image.info):
        space = _measured(image.info.get("gamma"), image.info.get("chromaticity"), notes)
    return space if space and not space.is_srgb else None


def _coded(
    primaries: int, transfer: int, full_range: bool, where: str, notes: list[str]
) -> ColourSpace | None:
    from .colour import GAMMA, PRIMARIES, TRANSFERS, ColourSpace

    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        notes.append(
            f"The colour space ({where}: primaries {primaries}, transfer {transfer}) is not known "
            "here; the samples were taken as they are."
        )
        return None
    name, points = PRIMARIES[primaries]
    kind, gamma = TRANSFERS[transfer]
    curve = f"gamma {gamma:g}" if kind == GAMMA else kind
    return ColourSpace(f"{name} {curve} ({where})", points, kind, gamma, full_range)


def _measured(
    gamma: float | None, chromaticity: tuple[float, ...] | None, notes: list[str]
) -> ColourSpace | None:
    """Of PNG's gAMA, and cHRM: white, red, green, blue."""
    from .colour import BT709, GAMMA, SRGB, ColourSpace, rgb_to_srgb

    points, kind, exponent, names = BT709, SRGB, 0.0, []
    if chromaticity is not None and len(chromaticity) == 8:
        numbers = [Fraction(round(number * 100000), 100000) for number in chromaticity]
        white, *colours = zip(numbers[::2], numbers[1::2], strict=True)
        points = (*colours, white)
        pairs = zip(sum(points, ()), sum(BT709, ()), strict=True)
        if all(abs(own - other) <= _NEAR_POINT for own, other in pairs):
            points = BT709
        else:
            names.append("primaries of its own (cHRM)")
    if gamma is not None and abs(gamma * 2.2 - 1) >= _NEAR_GAMMA:
        if not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
            notes.append(f"The gamma of {gamma:g} makes no picture and was left out.")
        else:
            kind, exponent = GAMMA, 1 / gamma
            names.append(f"gamma {gamma:g} (gAMA)")
    space = ColourSpace(" and ".join(names), points, kind, exponent)
    try:
        rgb_to_srgb(points)
    except (ValueError, ZeroDivisionError):
        notes.append("The chromaticities span no colours; the samples were taken as they are.")
        return None
    return space


def _png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Chunks before the image data."""
    stream.seek(8)
    while len(head := stream.read(8)) == 8 and head[4:] != b"IDAT":
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"cICP":
            yield head[4:], stream.read(length)
            stream.seek(4, 1)
        else:
            stream.seek(length + 4, 1)


def has_gain_map(image: Image.Image, xmp: bytes | None) -> bool:
    """Whether a JPEG file has a gain map, which makes a picture of high dynamic range of it."""
    if image.format not in ("JPEG", "MPO"):
        return False
    if any(name in (xmp or b"") for name in _GAIN_MAPS):
        return True
    segments = getattr(image, "applist", [])
    return any(_ISO_GAIN_MAP in data[:64] for name, data in segments if name == "APP2")
