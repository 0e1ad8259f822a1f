"""An image between its file and the encoder."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from heqcodec.base.errors import HeqLimitError
from numpy.typing import NDArray

__all__ = ["LoadedImage", "check_size"]


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


def check_size(width: int, height: int, max_pixels: int | None, name: str) -> None:
    """Raise HeqLimitError if an image has more than ``max_pixels`` pixels; None is no limit."""
    if max_pixels is not None and width * height > max_pixels:
        raise HeqLimitError(
            f"{name} is {width}x{height}, {width * height:,} pixels, and the limit is "
            f"{max_pixels:,}; raise max_pixels if you trust it."
        )
