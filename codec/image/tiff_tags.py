"""Tags of TIFF files that are kept with an image: georeferencing, and EXIF.

Georeferencing tags are kept as GeoJP2 keeps them: as a TIFF structure of a directory without an
image.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from .metadata import exif_block

__all__ = [
    "GEO_TAGS",
    "exif_directory",
    "exif_of_tiff",
    "exif_texts",
    "geo_block",
    "geo_of_tiff",
    "geo_values",
    "moved_geo",
    "rename_tags",
]

_SHORT, _DOUBLE, _ASCII = 3, 12, 2
_SCALE, _TIEPOINT, _TRANSFORMATION = 33550, 33922, 34264
GEO_TAGS = {
    _SCALE: _DOUBLE,
    _TIEPOINT: _DOUBLE,
    _TRANSFORMATION: _DOUBLE,
    34735: _SHORT,  # GeoKeyDirectoryTag
    34736: _DOUBLE,  # GeoDoubleParamsTag
    34737: _ASCII,  # GeoAsciiParamsTag
    42112: _ASCII,  # GDAL_METADATA
    42113: _ASCII,  # GDAL_NODATA
}
"""Tags of GeoTIFF 1.1 (OGC 19-008r4, requirements 7), and GDAL's two, with their types in TIFF."""
_HEADER = b"II*\x00\x08\x00\x00\x00"
_BIG_HEADER = b"II+\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"
_TEXTS = (270, 271, 272, 305, 306, 315, 33432)
"""Description, make, model, software, time, artist and copyright."""


def geo_block(values: Mapping[int, Any]) -> bytes | None:
    """Georeferencing tags as a TIFF structure; None if there are none.

    Args:
        values: of tags by number; those of `GEO_TAGS` are taken: numbers, tuples of them, texts.
    """
    directory = ImageFileDirectory_v2(_HEADER)
    for tag, kind in GEO_TAGS.items():
        if (value := values.get(tag)) is not None:
            directory.tagtype[tag] = kind
            directory[tag] = value.encode() if isinstance(value, str) else value
    return _HEADER + directory.tobytes(len(_HEADER)) if len(directory) else None


def geo_of_tiff(image: Image.Image) -> bytes | None:
    """Georeferencing tags of an image of Pillow as `geo_block`; None if it has none."""
    if not isinstance(image, TiffImageFile):
        return None
    try:
        found = image.tag_v2
        return geo_block({tag: _plain(found[tag]) for tag in GEO_TAGS if tag in found})
    except Exception:  # of whatever kind Pillow raises, on damaged tags
        return None


def geo_values(block: bytes) -> dict[int, Any]:
    """The tags of `geo_block`: tuples of numbers, texts; nothing if it is no such structure."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            directory = ImageFileDirectory_v2(block[: len(_HEADER)])
            stream = io.BytesIO(block)
            stream.seek(directory.next)
            directory.load(stream)
            return {tag: _plain(directory[tag]) for tag in GEO_TAGS if tag in directory}
    except Exception:  # of whatever kind Pillow raises
        return {}


def moved_geo(block: bytes, x: int, y: int) -> bytes | None:
    """Tags of the rectangle of an image that begins at a pixel, for the tags of the image.

    Tie points name pixels, which get other numbers; a transformation is applied to what was added
    to them.
    """
    values = geo_values(block)
    if _TIEPOINT in values:
        points = list(values[_TIEPOINT])  # six numbers each: pixel i, j, k; place x, y, z
        points[0::6] = [column - x for column in points[0::6]]
        points[1::6] = [row - y for row in points[1::6]]
        values[_TIEPOINT] = tuple(points)
    if len(values.get(_TRANSFORMATION, ())) == 16:
        matrix = list(values[_TRANSFORMATION])  # 4 x 4, by rows
        for row in range(0, 12, 4):
            matrix[row + 3] += matrix[row] * x + matrix[row + 1] * y
        values[_TRANSFORMATION] = tuple(matrix)
    return geo_block(values)


def exif_of_tiff(path: str | os.PathLike[str]) -> bytes | None:
    """EXIF of a TIFF or BigTIFF file, without reading its pixels.

    May raise whatever Pillow raises for damaged EXIF, or samples that it does not know.
    """
    with TiffImageFile(os.fspath(path)) as image:  # Image.open refuses large ones
        return exif_block(image)


def exif_directory(exif: bytes, tag: int, offset: int, big: bool) -> bytes | None:
    """A directory of EXIF as it stands in a file, little-endian; None if there is none.

    Args:
        exif: a TIFF structure.
        tag: that points to the directory: 34665 for EXIF's own, 34853 for that of GPS.
        offset: where it will stand.
        big: in BigTIFF.

    May raise whatever Pillow raises for damaged EXIF.
    """
    values = _loaded(exif).get_ifd(tag)
    if not values:
        return None
    directory = ImageFileDirectory_v2(_BIG_HEADER if big else _HEADER, group=tag)
    for name, value in values.items():
        directory[name] = value
    return directory.tobytes(offset)


def exif_texts(exif: bytes) -> dict[int, bytes]:
    """Texts of EXIF's first directory by tag; may raise as `exif_directory`."""
    found = _loaded(exif)
    return {
        tag: text.encode("utf-8", "replace")
        for tag in _TEXTS
        if isinstance(text := found.get(tag), str) and text
    }


def rename_tags(stream: Any, directory: int, names: Mapping[int, int]) -> None:
    """Write other numbers to tags of a directory of a little-endian TIFF file.

    Args:
        stream: readable, writable.
        directory: where it begins.
        names: new numbers by old ones, which leave their order as it was.
    """
    stream.seek(0)
    big = stream.read(4)[2:] == b"+\x00"
    count, entry = ("<Q", 20) if big else ("<H", 12)
    stream.seek(directory)
    (entries,) = struct.unpack(count, stream.read(struct.calcsize(count)))
    first = stream.tell()
    for place in range(first, first + entries * entry, entry):
        stream.seek(place)
        (tag,) = struct.unpack("<H", stream.read(2))
        if tag in names:
            stream.seek(place)
            stream.write(struct.pack("<H", names[tag]))
    stream.seek(0, os.SEEK_END)


def _loaded(exif: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(exif)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):  # Pillow reads bytes as Latin-1
        return value.encode("latin-1", "replace").decode("utf-8", "replace")
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
