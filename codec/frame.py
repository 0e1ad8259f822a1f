"""From verified strips to pixels: which patches a region needs, and their decoding and filling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.concealment import MID_GREY, fill_rows
from heqcodec.container.header import PATCH, Header
from heqcodec.container.strips import strip_patch_rows

if TYPE_CHECKING:
    from heqcodec.backend import FrameDecoder


@dataclass(frozen=True)
class Window:
    """A rectangle of patches: rows ``row0 <= r < row1``, columns ``column0 <= c < column1``."""

    row0: int
    row1: int
    column0: int
    column1: int

    @property
    def top(self) -> int:
        """First pixel row."""
        return self.row0 * PATCH

    @property
    def left(self) -> int:
        """First pixel column."""
        return self.column0 * PATCH

    def strips(self, header: Header) -> range:
        """Indices of the strips that hold these patch rows."""
        return range(self.row0 // header.strip_rows, (self.row1 - 1) // header.strip_rows + 1)


def whole_window(header: Header) -> Window:
    """All patches of the image."""
    return Window(0, header.patch_rows, 0, header.patch_columns)


def region_window(header: Header, region: tuple[int, int, int, int], radius: int) -> Window:
    """The patches that reach into a region.

    Args:
        region: (x, y, width, height) in pixels, inside the image.
        radius: how far a patch's code reaches beyond the patch's border, in pixels.
    """
    x, y, width, height = region
    return Window(
        max(0, (y - radius) // PATCH),
        min(header.patch_rows, -(-(y + height + radius) // PATCH)),
        max(0, (x - radius) // PATCH),
        min(header.patch_columns, -(-(x + width + radius) // PATCH)),
    )


def decode_window(
    header: Header, window: Window, strips: dict[int, bytes | None], decoder: FrameDecoder
) -> np.ndarray:
    """Decode the patches of a window; rows of lost strips are filled from their neighbours.

    Args:
        strips: payloads by index, None where lost; all strips of the window are there.

    Returns:
        uint8 (H, W, channels), the window's pixels cropped to the image.
    """
    rows, columns = window.row1 - window.row0, window.column1 - window.column0
    height = min(header.height, window.row1 * PATCH) - window.top
    width = min(header.width, window.column1 * PATCH) - window.left
    valid = np.zeros(rows, bool)
    if all(payload is None for payload in strips.values()):
        return np.full((height, width, header.channels), MID_GREY, np.uint8)
    codes = np.zeros((rows, columns, header.patch_bytes), np.uint8)
    for index, payload in strips.items():
        if payload is None:
            continue
        shape = (strip_patch_rows(header, index), header.patch_columns, header.patch_bytes)
        grid = np.frombuffer(payload, np.uint8).reshape(shape)
        first = index * header.strip_rows
        begin, end = max(first, window.row0), min(first + shape[0], window.row1)
        target = slice(begin - window.row0, end - window.row0)
        codes[target] = grid[begin - first : end - first, window.column0 : window.column1]
        valid[target] = True
    grid_valid = None if valid.all() else np.repeat(valid[:, None], columns, axis=1)
    frame = decoder.decode_frame(codes, header.rate, header.channels, grid_valid)
    frame = frame[:height, :width]
    if grid_valid is not None:
        frame = np.array(frame)
        fill_rows(frame, np.repeat(~valid, PATCH)[:height])
    return frame
