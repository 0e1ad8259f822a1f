"""From verified strips to pixels: which patches a region needs, and their decoding and filling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

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


Grids = tuple[np.ndarray, ...]
"""What a strip holds, patch by patch: arrays (rows, columns, ...)."""


class Painter(Protocol):
    """Turns the strips of a file into pixels."""

    radius: int
    """How far, in pixels, what is known of a patch reaches beyond its border."""

    def grids(self, index: int, payload: bytes | None) -> Grids | None:
        """What strip ``index`` holds, from its verified payload; None where it is lost.

        Raises:
            HeqFormatError: the payload is none, unless the file is read in part.
        """
        ...

    def paint(self, grids: Grids, valid: np.ndarray | None) -> np.ndarray:
        """Pixels uint8 (32 R, 32 C, channels) of grids (R, C, ...); see ``FrameDecoder``."""
        ...


class PatchPainter:
    """The strips of a file of the patch mode: codes, all of one length.

    Args:
        header: of the file.
        decoder: of its model.
    """

    def __init__(self, header: Header, decoder: FrameDecoder) -> None:
        self.radius = decoder.radius
        self._header, self._decoder = header, decoder

    def grids(self, index: int, payload: bytes | None) -> Grids | None:
        """See `Painter`: one grid, uint8 (rows, columns, rate / 8)."""
        if payload is None:
            return None
        rows = strip_patch_rows(self._header, index)
        codes = np.frombuffer(payload, np.uint8)
        return (codes.reshape(rows, self._header.patch_columns, self._header.patch_bytes),)

    def paint(self, grids: Grids, valid: np.ndarray | None) -> np.ndarray:
        """See `Painter`."""
        header = self._header
        return self._decoder.decode_frame(grids[0], header.rate, header.channels, valid)


def paint_window(
    header: Header, window: Window, strips: dict[int, Grids | None], painter: Painter
) -> np.ndarray:
    """Decode the patches of a window; rows of lost strips are filled from their neighbours.

    Args:
        strips: what they hold by index, None where lost; all strips of the window are there. They
            are taken out one by one, so that no grid is held twice.

    Returns:
        uint8 (H, W, channels), the window's pixels cropped to the image.
    """
    rows, columns = window.row1 - window.row0, window.column1 - window.column0
    height = min(header.height, window.row1 * PATCH) - window.top
    width = min(header.width, window.column1 * PATCH) - window.left
    valid = np.zeros(rows, bool)
    frame_grids: Grids = ()
    for index in sorted(strips):
        grids = strips.pop(index)
        if grids is None:
            continue
        if not frame_grids:
            frame_grids = tuple(
                np.zeros((rows, columns, *grid.shape[2:]), grid.dtype) for grid in grids
            )
        first = index * header.strip_rows
        begin, end = max(first, window.row0), min(first + len(grids[0]), window.row1)
        target = slice(begin - window.row0, end - window.row0)
        for whole, grid in zip(frame_grids, grids, strict=True):
            whole[target] = grid[begin - first : end - first, window.column0 : window.column1]
        valid[target] = True
    if not frame_grids:
        return np.full((height, width, header.channels), MID_GREY, np.uint8)
    grid_valid = None if valid.all() else np.repeat(valid[:, None], columns, axis=1)
    frame = painter.paint(frame_grids, grid_valid)[:height, :width]
    if grid_valid is not None:
        frame = np.array(frame)
        fill_rows(frame, np.repeat(~valid, PATCH)[:height])
    return frame
