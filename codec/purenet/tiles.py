"""Frames of any size in bounded memory: overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from heqcodec.backend import PATCH
from heqcodec.progress import report
from numpy.typing import NDArray

TILE = 24
"""Patches along the side of a tile's core: 768 pixels, so that common photographs are one tile."""

Window = tuple[slice, slice]


def paint_tiles(
    run: Callable[[Window], NDArray[np.float32]],
    rows: int,
    columns: int,
    channels: int,
    radius: int,
) -> NDArray[np.uint8]:
    """A whole frame, tile by tile.

    Args:
        run: decodes a window of the grid of patches to RGB / 255, (32 R, 32 C, 3).
        rows, columns: of the grid.
        channels: 1 or 3.
        radius: how far a patch reaches, in pixels: tiles are decoded with as much around them.

    Returns:
        uint8 (32 rows, 32 columns, channels).
    """
    out = np.empty((rows * PATCH, columns * PATCH, channels), dtype=np.uint8)
    tiles = list(_tiles(rows, columns, -(-radius // PATCH)))
    for done, (core, around) in enumerate(tiles, 1):
        pixels = run(around)
        top, left = ((core[axis].start - around[axis].start) * PATCH for axis in (0, 1))
        high, wide = ((core[axis].stop - core[axis].start) * PATCH for axis in (0, 1))
        inner = pixels[top : top + high, left : left + wide]
        if channels == 1:
            inner = inner.mean(axis=2, keepdims=True)
        place = tuple(slice(part.start * PATCH, part.stop * PATCH) for part in core)
        out[place] = np.clip(np.rint(255 * inner), 0, 255).astype(np.uint8)
        report(done, len(tiles))
    return out


def _tiles(rows: int, columns: int, halo: int) -> Iterator[tuple[Window, Window]]:
    """Cores that cover the grid once, each with its surroundings within ``halo``, in patches."""
    for top in range(0, rows, TILE):
        for left in range(0, columns, TILE):
            bottom, right = min(top + TILE, rows), min(left + TILE, columns)
            yield (
                (slice(top, bottom), slice(left, right)),
                (
                    slice(max(top - halo, 0), min(bottom + halo, rows)),
                    slice(max(left - halo, 0), min(right + halo, columns)),
                ),
            )
