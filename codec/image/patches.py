"""Images to patches: padding by replication, and the split, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from heqcodec.base.constants import PATCH

BATCH = 4096
"""Patches handed to the encoder at once: 12 MiB of RGB."""


def split_patches(pixels: np.ndarray) -> np.ndarray:
    """Cut whole patches out of a band of pixels.

    Args:
        pixels: uint8 (32 R, 32 C, channels).

    Returns:
        uint8 (R * C, 32, 32, channels), row by row.
    """
    height, width, channels = pixels.shape
    grid = pixels.reshape(height // PATCH, PATCH, width // PATCH, PATCH, channels)
    return np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(-1, PATCH, PATCH, channels)


def padded_band(pixels: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """Pixels of a rectangle of the padded image; rows and columns past an edge repeat the last.

    Args:
        pixels: uint8 (H, W, channels).
        top, bottom, left, right: the rectangle in pixels; bottom and right may pass the edges.

    Returns:
        uint8 (bottom - top, right - left, channels).
    """
    height, width = pixels.shape[:2]
    band = pixels[top:bottom, left:right]
    below, right_of = max(0, bottom - height), max(0, right - width)
    if below or right_of:
        band = np.pad(band, ((0, below), (0, right_of), (0, 0)), mode="edge")
    return band


def patch_batches(pixels: np.ndarray, batch: int = BATCH) -> Iterator[np.ndarray]:
    """All patches of an image, row by row, in batches of at most ``batch``.

    Args:
        pixels: uint8 (H, W, channels), any size from 1 x 1; padded to multiples of 32 by
            repeating the last row and column.
        batch: patches per batch, at least 1.

    Yields:
        uint8 (N, 32, 32, channels), 1 <= N <= batch.
    """
    rows, columns = -(-pixels.shape[0] // PATCH), -(-pixels.shape[1] // PATCH)
    across = min(columns, batch)
    down = max(1, batch // columns)
    for row in range(0, rows, down):
        bottom = min(row + down, rows) * PATCH
        for column in range(0, columns, across):
            right = min(column + across, columns) * PATCH
            yield split_patches(padded_band(pixels, row * PATCH, bottom, column * PATCH, right))
