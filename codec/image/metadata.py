"""EXIF, XMP and ICC blocks of an image, as the container keeps them.

EXIF is kept as a bare TIFF structure (no ``Exif\\0\\0`` prefix, as in PNG's ``eXIf``), XMP as
UTF-8 text, ICC as the profile's bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

__all__ = [
    "EXIF_PREFIX",
    "exif_block",
    "icc_space",
    "orientation",
    "pillow_options",
    "without_exif_orientation",
    "without_xmp_orientation",
    "xmp_block",
]

EXIF_PREFIX = b"Exif\x00\x00"
ORIENTATION_TAG = 0x0112
TIFF_XMP_TAG = 700

# A TIFF's own directory mixes description with layout (strip offsets, compression), which would
# be wrong in any other file; these are the descriptive tags of EXIF 2.32 tables 4 and 5.
_DESCRIPTIVE_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
_DESCRIPTIVE_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)

_XMP_ORIENTATION = re.compile(
    rb"""\s*tiff:Orientation\s*=\s*(?:"[^"]*"|'[^']*')|<tiff:Orientation>[^<]*</tiff:Orientation>"""
)


def exif_block(image: Image.Image) -> bytes | None:
    """The EXIF of a loaded Pillow image as a bare TIFF structure, or None if it has none.

    May raise whatever Pillow raises for damaged EXIF; the caller decides to go on without.
    """
    raw = image.info.get("exif")
    if isinstance(raw, Image.Exif):
        raw = raw.tobytes()
    if isinstance(raw, bytes) and raw:
        while raw.startswith(EXIF_PREFIX):
            raw = raw[len(EXIF_PREFIX) :]
        return raw if raw[:2] in (b"II", b"MM") else None
    source = image.getexif()
    kept = Image.Exif()
    for tag in _DESCRIPTIVE_TAGS:
        if tag in source:
            kept[tag] = source[tag]
    for directory in _DESCRIPTIVE_DIRECTORIES:
        values = source.get_ifd(directory)
        if values:
            kept[directory] = dict(values)
    if not len(kept):
        return None
    return kept.tobytes().removeprefix(EXIF_PREFIX)


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8 of a loaded image (XMP's if EXIF has none); 1 for anything odd."""
    value = image.getexif().get(ORIENTATION_TAG)
    if value is None:
        match = _XMP_ORIENTATION.search(xmp_block(image) or b"")
        digits = re.search(rb"[1-8]", match[0]) if match else None
        value = int(digits[0]) if digits else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def without_exif_orientation(exif: bytes) -> bytes:
    """``exif`` with the orientation entry of its first directory removed.

    The entries behind it move up and nothing else does, so that every offset in the block stays
    true: maker notes and thumbnails, which a rewrite of the whole block would break, survive.

    Raises:
        ValueError: not a TIFF structure, or its first directory does not fit in it.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError("EXIF does not begin with a TIFF header")
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        tags = [struct.unpack_from(order + "H", exif, start + 2 + 12 * i)[0] for i in range(count)]
    except struct.error as error:
        raise ValueError("the first EXIF directory reaches past the end of the block") from error
    end = start + 2 + 12 * count + 4
    if end > len(exif):
        raise ValueError("the first EXIF directory reaches past the end of the block")
    entries = [
        exif[start + 2 + 12 * i : start + 14 + 12 * i]
        for i in range(count)
        if tags[i] != ORIENTATION_TAG
    ]
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + exif[end - 4 : end]
    return exif[:start] + directory.ljust(end - start, b"\x00") + exif[end:]


def without_xmp_orientation(xmp: bytes) -> bytes:
    """``xmp`` without its ``tiff:Orientation`` property, in either of its two spellings."""
    return _XMP_ORIENTATION.sub(b"", xmp)


def xmp_block(image: Image.Image) -> bytes | None:
    """The XMP packet of a loaded Pillow image, or None. Some plugins give text, some bytes."""
    value: Any = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return value.rstrip(b"\x00") or None if isinstance(value, bytes) else None


def icc_space(icc: bytes) -> str:
    """The colour space that an ICC profile describes, such as "RGB" or "GRAY"; "" if it is none.

    ICC.1:2022 section 7.2: signature ``acsp`` at byte 36, data colour space at bytes 16 to 19.
    """
    if len(icc) < 128 or icc[36:40] != b"acsp":
        return ""
    return icc[16:20].decode("ascii", "replace").strip()


def pillow_options(
    format: str,
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
    geo: Mapping[int, Any] | None = None,
) -> dict[str, Any]:
    """Keyword arguments that make Pillow's ``save`` write these blocks in a format; ``geo`` are
    georeferencing tags by number, for TIFF.

    May raise whatever Pillow's EXIF reader raises for damaged EXIF.
    """
    options: dict[str, Any] = {}
    if icc:
        options["icc_profile"] = icc
    if exif:
        options["exif"] = EXIF_PREFIX + exif
    if xmp and format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif (xmp or geo) and format == "TIFF":  # these are tags here, and tags come from the EXIF
        tags = Image.Exif()
        tags.load(exif or b"")
        if xmp:
            tags[TIFF_XMP_TAG] = xmp
        tags.update(geo or {})
        options["exif"] = tags
    elif xmp:
        options["xmp"] = xmp
    return options
