"""Raw dumps as images for the encoder."""

from __future__ import annotations

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.container.source import Source, open_source
from heqcodec.image.arrays import LoadedImage, check_size
from numpy.typing import NDArray

from .bayer import bayer_samples
from .colour import rgb_samples, yuv_samples
from .layout import BYTES_OF_PAIRS, RawLayout, parse_layout


def load_raw(source: Source, raw: str, max_pixels: int | None) -> LoadedImage:
    """Read a raw dump of an image sensor as uint8 gray or RGB samples.

    Args:
        source: a path, the bytes of the dump, or a binary file object.
        raw: what it holds; see `heqcodec.image.raw.layout.parse_layout`.
        max_pixels: largest width times height; None for no limit.

    Raises:
        HeqLimitError: more than ``max_pixels`` pixels.
        HeqError: ``raw`` says nothing that there is, or the dump has another size.
        OSError: the file cannot be opened or read; ``FileNotFoundError`` if there is none.
        TypeError: the source is none of these, or a file object in text mode.
    """
    layout = parse_layout(raw)
    check_size(layout.width, layout.height, max_pixels, "the image")
    with open_source(source) as stream:
        data = np.frombuffer(stream.read(), dtype=np.uint8)
    check_bytes(layout, data.size, raw)
    return LoadedImage(np.ascontiguousarray(samples_of(layout, data)))


def check_bytes(layout: RawLayout, size: int, raw: str) -> None:
    """Raise HeqError unless a dump of so many bytes has the layout that ``raw`` says."""
    if size != layout.size:
        raise HeqError(
            f"The raw dump has {size:,} bytes, and {raw} is {layout.size:,}; give its size, "
            "kind and stride."
        )


def samples_of(layout: RawLayout, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) of the bytes of a dump, uint8 (N,)."""
    if layout.bayer is not None:
        return bayer_samples(layout, data)
    if layout.kind in BYTES_OF_PAIRS:
        return rgb_samples(layout, data)
    return yuv_samples(layout, data)
