"""What an image file says beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metadata:
    """ICC profile, EXIF, XMP and georeferencing tags of a file; None where it has none.

    Attributes:
        icc: ICC profile.
        exif: EXIF as a bare TIFF structure.
        xmp: XMP packet.
        geo: a TIFF structure of the tags of GeoTIFF, for the pixels of the whole image.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    geo: bytes | None = None
