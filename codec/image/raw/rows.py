"""Raw dumps by rows: a band at a time into the encoder."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from heqcodec.image.arrays import LoadedImage, check_size
from heqcodec.image.row_source import Rows
from numpy.typing import NDArray

from .layout import YUV420, RawLayout, parse_layout
from .loading import check_bytes, samples_of

_AROUND = 4
"""Rows around a band that its colours are made of, in Bayer patterns; even, as their squares."""


class RawRows(Rows):
    """A raw dump of an image sensor.

    Args:
        path: of the dump, of the layout's size.
        layout: of the dump.
    """

    def __init__(self, path: str | os.PathLike[str], layout: RawLayout) -> None:
        self._path, self._layout = path, layout
        self.shape = (layout.height, layout.width, 1 if layout.kind == "gray8" else 3)

    def _band(self, start: int, stop: int) -> NDArray[Any]:
        """See `Rows`."""
        layout = self._layout
        around = _AROUND if layout.bayer else 0
        first = max(start // 2 * 2 - around, 0)
        last = min(stop + stop % 2 + around, layout.height)
        data = self._bytes(first * layout.stride, last * layout.stride)
        if layout.kind in YUV420:
            begin, step = layout.stride * layout.height, layout.chroma_stride
            size = step * ((layout.height + 1) // 2)
            for plane in range(2 if layout.kind == "yuv420p" else 1):
                place = begin + plane * size
                part = self._bytes(place + first // 2 * step, place + (last + 1) // 2 * step)
                data = np.concatenate((data, part))
        pixels = samples_of(replace(layout, height=last - first), data)
        return pixels[start - first : stop - first]

    def _bytes(self, start: int, stop: int) -> NDArray[np.uint8]:
        # Read and not mapped, whose pages would count as memory.
        return np.fromfile(self._path, np.uint8, stop - start, offset=start)


def load_raw_rows(path: str | os.PathLike[str], raw: str, max_pixels: int | None) -> LoadedImage:
    """A raw dump that is read as it is encoded; arguments and errors as `load_raw`."""
    layout = parse_layout(raw)
    check_size(layout.width, layout.height, max_pixels, "the image")
    check_bytes(layout, os.stat(path).st_size, raw)
    pixels: Any = RawRows(path, layout)
    return LoadedImage(pixels)
