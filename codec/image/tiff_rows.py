"""Huge TIFF images by rows: read a band at a time into the encoder, written a band at a time."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.files import replaced_file
from heqcodec.base.metadata import Metadata
from numpy.typing import NDArray

from .arrays import LoadedImage, check_size
from .metadata import without_exif_orientation
from .row_source import Rows
from .tiff_tags import (
    GEO_TAGS,
    exif_directory,
    exif_of_tiff,
    exif_texts,
    geo_block,
    geo_values,
    rename_tags,
)

_GRAY, _RGB, _YCBCR = 1, 2, 6
_CONTIGUOUS, _JPEG, _ICC, _XMP, _ORIENTATION = 1, 7, 34675, 700, 274
_SOFTWARE = 305
_STAND_INS = {34664: 34665, 34852: 34853}
"""tifffile writes no tags that point to directories of EXIF; these stand in their places."""
_STRIP = 32
"""Rows of a strip of a written TIFF file."""
_BIG = (1 << 32) - (1 << 25)
"""Bytes of samples from which a TIFF file has offsets of 64 bits."""


class TiffRows(Rows):
    """A page of a TIFF file.

    Args:
        page: of an open ``tifffile.TiffFile``.
        name: of the file, for messages.
    """

    def __init__(self, page: Any, name: str) -> None:
        self._page, self._name = page, name
        height, width = int(page.imagelength), int(page.imagewidth)
        self.shape = (height, width, int(page.samplesperpixel))
        self._whole = None
        if page.is_memmappable and page.is_contiguous:
            self._whole = np.memmap(
                page.parent.filehandle.path,
                page.parent.byteorder + page.dtype.char,
                "r",
                page.dataoffsets[0],
                (height, width, int(page.samplesperpixel)),
            )
        self._held: dict[int, NDArray[Any]] = {}

    def _band(self, start: int, stop: int) -> NDArray[Any]:
        """See `Rows`."""
        if self._whole is not None:
            return self._whole[start:stop]
        page = self._page
        height = page.tilelength if page.is_tiled else min(page.rowsperstrip, len(self))
        first, last = start // height, -(-stop // height)
        for done in [index for index in self._held if index < first]:
            del self._held[done]
        for index in range(first, last):
            if index not in self._held:
                self._held[index] = self._decoded(index, height)
        parts = [
            self._held[index][max(start - index * height, 0) : stop - index * height]
            for index in range(first, last)
        ]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _decoded(self, index: int, height: int) -> NDArray[Any]:
        """A row of the file's tiles, or a strip."""
        page = self._page
        rows = min(height, len(self) - index * height)
        band = np.zeros((rows, self.shape[1], int(page.samplesperpixel)), page.dtype)
        across = -(-self.shape[1] // page.tilewidth) if page.is_tiled else 1
        file = page.parent.filehandle
        for segment in range(index * across, (index + 1) * across):
            file.seek(page.dataoffsets[segment])
            data = file.read(page.databytecounts[segment])
            try:
                # Strips and tiles of the file in a row; what lies beyond the image is cut off.
                part, _, _ = page.decode(data or None, segment, jpegtables=page.jpegtables)
            except Exception as error:  # of whatever kind its decompressor raises
                raise HeqError(f"{self._name} is damaged or unusual: {error}") from error
            if part is not None:
                left = (segment - index * across) * (page.tilewidth if page.is_tiled else 0)
                part = part[0][:rows, : self.shape[1] - left]
                band[: len(part), left : left + part.shape[1]] = part
        return band


def load_tiff(path: str | os.PathLike[str], max_pixels: int | None) -> LoadedImage:
    """A TIFF or BigTIFF image, in strips or tiles (so a COG, too); see `heqcodec.image.rows`."""
    import tifffile

    name = os.fspath(path)
    try:
        file = tifffile.TiffFile(name)
        page: Any = file.pages[0]
        tags = page.tags
        kind = page.dtype, page.planarconfig, page.samplesperpixel, int(page.photometric)
        turned = tags.valueof(_ORIENTATION, 1)
        icc, xmp = (tags.valueof(tag) for tag in (_ICC, _XMP))
        geo = geo_block({tag: tags.valueof(tag) for tag in GEO_TAGS})
    except (tifffile.TiffFileError, IndexError, KeyError, ValueError) as error:
        raise HeqError(f"{name} cannot be read by rows: {error}") from error
    check_size(page.imagewidth, page.imagelength, max_pixels, name)
    dtype, planes, samples, photometric = kind
    gray = photometric == _GRAY and samples == 1
    colour = photometric == _RGB or (photometric == _YCBCR and int(page.compression) == _JPEG)
    if dtype not in (np.uint8, np.uint16) or not (gray or (colour and samples == 3)):
        raise HeqUnsupportedError(
            f"{name} has {samples} samples of type {dtype} and photometric {photometric}; by rows "
            "gray and RGB of 8 or 16 bits are read, without alpha."
        )
    if (samples > 1 and planes != _CONTIGUOUS) or turned != 1:
        raise HeqUnsupportedError(
            f"{name} has planes apart or is turned; by rows neither is read. Encode it whole."
        )
    notes = [f"Only the first of {len(file.pages)} pages was taken."] * (len(file.pages) > 1)
    try:
        exif = exif_of_tiff(path)
        exif = without_exif_orientation(exif) if exif else None
    except Exception:  # of whatever kind Pillow raises
        exif = None
        notes.append("The EXIF data cannot be read and were left out.")
    pixels: Any = TiffRows(page, name)
    return LoadedImage(pixels, None, icc or None, exif, xmp or None, notes, geo)


def write_tiff(
    target: str | os.PathLike[str],
    shape: tuple[int, int, int],
    bands: Iterator[NDArray[np.uint8]],
    metadata: Metadata,
) -> None:
    """A TIFF file with deflate; arguments and errors as `heqcodec.image.rows.write_rows`."""
    import tifffile

    def strips() -> Iterator[bytes]:
        for band in bands:
            for top in range(0, len(band), _STRIP):
                strip = band[top : top + _STRIP]
                # TIFF's horizontal predictor: differences from the left neighbour, modulo 256.
                differences = np.diff(strip, axis=1, prepend=np.zeros_like(strip[:, :1]))
                yield zlib.compress(differences.tobytes())
            del band, strip, differences  # before the next band is made

    xmp, geo, exif = metadata.xmp, metadata.geo, metadata.exif
    size = shape[0] * shape[1] * shape[2]
    tags: list[tuple[Any, ...]] = [(_XMP, 1, len(xmp), xmp, True)] if xmp else []
    tags += [_tag(tag, value) for tag, value in (geo_values(geo) if geo else {}).items()]
    big = size > _BIG
    with replaced_file(target) as stream:
        # The stream's own name is a number, which tifffile takes for a path.
        handle = tifffile.FileHandle(stream, name="image.tif")
        writer = tifffile.TiffWriter(handle, bigtiff=big, byteorder="<")
        exif_tags, software = _exif_tags(stream, exif, big) if exif else ([], None)
        writer.write(
            strips(),
            shape=shape if shape[2] > 1 else shape[:2],
            dtype=np.uint8,
            photometric="rgb" if shape[2] > 1 else "minisblack",
            extrasamples=["unassalpha"] if shape[2] == 4 else None,
            rowsperstrip=_STRIP,
            compression="zlib",
            predictor=True,
            iccprofile=metadata.icc,
            software=software,
            extratags=tags + exif_tags,
            metadata=None,
        )
        if any(tag[0] in _STAND_INS for tag in exif_tags):
            stream.flush()
            stream.seek(8 if big else 4)
            rename_tags(stream, int.from_bytes(stream.read(8 if big else 4), "little"), _STAND_INS)


def _tag(number: int, value: Any) -> tuple[Any, ...]:
    """A tag as tifffile takes it."""
    if isinstance(value, str):
        data = value.encode() + b"\0"
        return number, GEO_TAGS[number], len(data), data, True
    return number, GEO_TAGS[number], len(value), value, True


def _exif_tags(
    stream: BinaryIO, exif: bytes, big: bool
) -> tuple[list[tuple[Any, ...]], bytes | None]:
    """Write EXIF's directories to a file that begins; tags that point to them, and texts."""
    tags: list[tuple[Any, ...]] = []
    try:
        texts = exif_texts(exif)
        software = texts.pop(_SOFTWARE, None)
        tags += [(tag, 2, len(text) + 1, text + b"\0", True) for tag, text in texts.items()]
        for stand_in, tag in _STAND_INS.items():
            stream.seek(0, os.SEEK_END)
            stream.write(bytes(-stream.tell() % 8))
            offset = stream.tell()
            if (directory := exif_directory(exif, tag, offset, big)) is not None:
                stream.write(directory)
                tags.append((stand_in, 13, 1, offset, True))
    except Exception:  # of whatever kind Pillow raises
        return [], None
    return tags, software
