"""Frames of any size in bounded memory: overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from heqcodec.base.constants import PATCH
from numpy.typing import NDArray

TILE = 24
"""Patches along the side of a tile's core: 768 pixels, so that common photographs are one tile."""

Window = tuple[slice, slice]


def run_tiles(
    run: Callable[[Window], NDArray[np.float32]],
    rows: int,
    columns: int,
    channels: int,
    radius: int,
    core: Window | None = None,
) -> NDArray[np.uint8]:
    """A whole frame, tile by tile.

    Args:
        run: decodes a window of the grid of patches to RGB / 255, (32 R, 32 C, 3).
        rows, columns: of the grid.
        channels: 1 or 3.
        radius: how far a patch reaches, in pixels: tiles are decoded with as much around them.
        core: the patches that are wanted, R x C of them; None for all.

    Returns:
        uint8 (32 R, 32 C, channels).
    """
    wanted = core or (slice(0, rows), slice(0, columns))
    out = np.empty((*(PATCH * (part.stop - part.start) for part in wanted), channels), np.uint8)
    for inner, around in tiles(wanted, rows, columns, radius):
        pixels = run(around)[in_pixels(inner, around)]
        if channels == 1:
            pixels = pixels.mean(axis=2, keepdims=True)
        out[in_pixels(inner, wanted)] = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)
    return out


def tiles(wanted: Window, rows: int, columns: int, radius: int) -> Iterator[tuple[Window, Window]]:
    """Windows that cover a part of a grid once, each with its surroundings within a radius.

    Args:
        wanted: the part, in patches.
        rows, columns: of the grid.
        radius: in pixels.
    """
    halo = -(-radius // PATCH)
    down, across = wanted
    for top in range(down.start, down.stop, TILE):
        for left in range(across.start, across.stop, TILE):
            bottom, right = min(top + TILE, down.stop), min(left + TILE, across.stop)
            yield (
                (slice(top, bottom), slice(left, right)),
                (
                    slice(max(top - halo, 0), min(bottom + halo, rows)),
                    slice(max(left - halo, 0), min(right + halo, columns)),
                ),
            )


def within(inner: Window, outer: Window) -> Window:
    """A window of the grid, counted from the corner of another that holds it."""
    down, across = (
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(inner, outer, strict=True)
    )
    return down, across


def in_pixels(inner: Window, outer: Window) -> Window:
    """`within`, in pixels."""
    down, across = (slice(PATCH * s.start, PATCH * s.stop) for s in within(inner, outer))
    return down, across
