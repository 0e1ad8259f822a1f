"""From verified strips to pixels: which patches a region needs, and their decoding and filling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqLimitError
from heqcodec.base.progress import report
from heqcodec.container.header import SMALL_FRAME, Header
from heqcodec.container.strips import Strip, strip_patch_rows
from heqcodec.purenet import tiles

from .concealment import MID_GREY, fill_rows

if TYPE_CHECKING:
    from heqcodec.base.patch_protocols import FrameDecoder


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
        """Indices of the strips that hold these patch rows; in a progressive file, of those of
        the first part."""
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


def check_window(
    header: Header, region: tuple[int, int, int, int], radius: int, max_pixels: int | None
) -> None:
    """Raise unless what decoding a region holds keeps to the limit: its patches, and the strips
    around a row of tiles over the whole width of the image.

    Args:
        region, radius: as `region_window`.
        max_pixels: as for `check_pixels`, which passes images that keep to it as a whole.

    Raises:
        HeqLimitError: it is too much.
    """
    whole = header.patch_rows * header.patch_columns * PATCH**2
    if max_pixels is None or whole <= max(max_pixels, SMALL_FRAME):
        return
    window = region_window(header, region, radius)
    around = tiles.TILE + 2 * (-(-radius // PATCH)) + 2 * header.strip_rows
    rows = min(header.strip_rows * len(window.strips(header)), around)
    patches = (window.row1 - window.row0) * (window.column1 - window.column0)
    held = (patches + rows * header.patch_columns) * PATCH**2
    if held > max_pixels:
        raise HeqLimitError(
            f"The region of {region[2]} x {region[3]} in an image of {header.width} x "
            f"{header.height} takes {held} pixels, with the strips around it, and the limit is "
            f"{max_pixels}; if you trust it, raise max_pixels to {held}."
        )


Grids = tuple[np.ndarray, ...]
"""What a strip holds, patch by patch: arrays (rows, columns, ...)."""


class StripReader(Protocol):
    """What a strip decoder asks of the file; see `heqcodec.container.reader.ContainerReader`."""

    header: Header
    partial: bool

    def read_strip(self, index: int) -> Strip | None:
        """A strip, verified; None if it is damaged and the file is read in part."""
        ...

    def read_remains(self, index: int) -> Strip | None:
        """What is left of a damaged strip."""
        ...

    def mark_damaged(self, index: int) -> None:
        """List a strip as damaged."""
        ...


class StripDecoder(Protocol):
    """Turns the strips of a file into pixels."""

    radius: int
    """How far, in pixels, what is known of a patch reaches beyond its border."""

    def grids(self, index: int, strip: Strip | None) -> Grids | None:
        """What strip ``index`` holds, which is verified; None where it is lost.

        Raises:
            HeqFormatError: the payload is none, unless the file is read in part.
        """
        ...

    def decode(
        self, grids: Grids, valid: np.ndarray | None, core: tuple[slice, slice]
    ) -> np.ndarray:
        """Pixels uint8 (32 R, 32 C, channels) of the R x C patches ``core`` of grids; see
        ``FrameDecoder``."""
        ...


class PatchStripDecoder:
    """The strips of a file of the patch mode: codes, all of one length.

    Args:
        header: of the file.
        decoder: of its model.
    """

    def __init__(self, header: Header, decoder: FrameDecoder) -> None:
        self.radius = decoder.radius
        self._header, self._decoder = header, decoder

    def grids(self, index: int, strip: Strip | None) -> Grids | None:
        """See `StripDecoder`: one grid, uint8 (rows, columns, rate / 8)."""
        if strip is None:
            return None
        rows = strip_patch_rows(self._header, index)
        codes = np.frombuffer(strip.payload, np.uint8)
        return (codes.reshape(rows, self._header.patch_columns, self._header.patch_bytes),)

    def decode(
        self, grids: Grids, valid: np.ndarray | None, core: tuple[slice, slice]
    ) -> np.ndarray:
        """See `StripDecoder`."""
        header = self._header
        return self._decoder.decode_frame(grids[0], header.rate, header.channels, valid, core)


class WindowStrips:
    """The strips around the tile that is decoded: those above are dropped, so few are held."""

    def __init__(self, header: Header, window: Window, read: Callable[[int], Grids | None]) -> None:
        self._header, self._window, self._read = header, window, read
        self._held: dict[int, Grids | None] = {}

    def cut(self, around: tuple[slice, slice]) -> tuple[Grids, np.ndarray]:
        """The levels or codes of a part of the window.

        Args:
            around: its patches, counted from the window's corner; of a call after another, not
                above it.

        Returns:
            Its grids, nothing if it is all lost; and which rows are not, bool (R,).
        """
        window, strip_rows = self._window, self._header.strip_rows
        top, bottom = window.row0 + around[0].start, window.row0 + around[0].stop
        left, right = window.column0 + around[1].start, window.column0 + around[1].stop
        needed = Window(top, bottom, left, right).strips(self._header)
        for index in [index for index in self._held if index < needed.start]:
            del self._held[index]
        cut: Grids = ()
        valid = np.zeros(bottom - top, bool)
        for index in needed:
            if index not in self._held:
                self._held[index] = self._read(index)
            grids = self._held[index]
            if grids is None:
                continue
            if not cut:
                shape = (bottom - top, right - left)
                cut = tuple(np.zeros((*shape, *grid.shape[2:]), grid.dtype) for grid in grids)
            first = index * strip_rows
            begin, end = max(first, top), min(first + len(grids[0]), bottom)
            for whole, grid in zip(cut, grids, strict=True):
                whole[begin - top : end - top] = grid[begin - first : end - first, left:right]
            valid[begin - top : end - top] = True
        return cut, valid


def decode_window(
    header: Header,
    window: Window,
    box: tuple[int, int, int, int],
    read: Callable[[int], Grids | None],
    strip_decoder: StripDecoder,
) -> np.ndarray:
    """Decode a rectangle of pixels, tile by tile; rows of lost strips are filled from their
    neighbours within it.

    Besides the result, memory holds the strips around a row of tiles, and what a tile takes.

    Args:
        window: the patches that reach into it.
        box: the rectangle: (x, y, width, height) in pixels.
        read: what a strip holds by its index, None where it is lost; called in rising order.

    Returns:
        uint8 (height, width, channels).
    """
    out = np.empty((box[3], box[2], header.channels), np.uint8)
    lost = np.zeros(box[3], bool)
    for rows, pixels, missing in decode_bands(header, window, box, read, strip_decoder):
        out[rows], lost[rows] = pixels, missing
    if lost.any():
        fill_rows(out, lost)
    return out


def decode_bands(
    header: Header,
    window: Window,
    box: tuple[int, int, int, int],
    read: Callable[[int], Grids | None],
    strip_decoder: StripDecoder,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """A rectangle of pixels by rows of tiles, from top to bottom; arguments as `decode_window`.

    Yields:
        Which rows of the rectangle; their pixels, uint8 (rows, width, channels); and which of the
        rows are lost and grey, bool (rows,).
    """
    x, y, width, height = box
    grid = (slice(0, window.row1 - window.row0), slice(0, window.column1 - window.column0))
    strips = WindowStrips(header, window, read)
    parts = list(tiles.tiles(grid, grid[0].stop, grid[1].stop, strip_decoder.radius))
    done = 0
    for down, row in groupby(parts, key=lambda part: (part[0][0].start, part[0][0].stop)):
        top = window.top + PATCH * down[0]
        rows = slice(max(top, y), max(y, min(window.top + PATCH * down[1], y + height)))
        out = np.full((max(0, rows.stop - rows.start), width, header.channels), MID_GREY, np.uint8)
        lost = np.zeros(len(out), bool)
        for inner, around in row:
            grids, valid = strips.cut(around)
            core = tiles.within(inner, around)
            left = window.left + PATCH * inner[1].start
            columns = slice(max(left, x), min(window.left + PATCH * inner[1].stop, x + width))
            if len(out) and columns.start < columns.stop:
                if grids:
                    known = np.repeat(valid[:, None], around[1].stop - around[1].start, axis=1)
                    pixels = strip_decoder.decode(grids, None if valid.all() else known, core)
                    inside = pixels[rows.start - top : rows.stop - top]
                    out[:, columns.start - x : columns.stop - x] = inside[
                        :, columns.start - left : columns.stop - left
                    ]
                missing = np.repeat(~valid[core[0]], PATCH)
                lost = missing[rows.start - top : rows.stop - top]
            done += 1
            report(done, len(parts))
        if len(out):
            yield slice(rows.start - y, rows.stop - y), out, lost
        del out  # before the next band is made
