"""Colours where an image is fully transparent: continued smoothly from what is visible.

Nobody sees these samples, but a patch that is partly visible codes them all: a hidden colour costs
bytes and bleeds into the visible edge. They are filled by push-pull: an image of half the size has
the mean of the visible samples below each of its own, what is still hidden there is filled in the
same way, and the way back interpolates and smooths. All of it is integer arithmetic, so that the
bytes of a file are the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fill_transparent"]

FRACTION = 6
"""Bits behind the point: four samples then add up to less than 2^16."""
MID_GRAY = 128


def fill_transparent(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Samples with those under alpha 0 replaced.

    Args:
        pixels: uint8 (H, W, C).
        alpha: uint8 (H, W).

    Returns:
        ``pixels`` itself where nothing is fully transparent; mid-gray where all is.
    """
    visible = alpha > 0
    if visible.all():
        return pixels
    if not visible.any():
        return np.full_like(pixels, MID_GRAY)
    filled = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        wide = pixels[..., channel].astype(np.uint16)
        wide <<= FRACTION
        smooth = _filled(wide, visible)
        filled[..., channel] = (smooth + (1 << FRACTION >> 1)) >> FRACTION
    return filled


def _filled(values: NDArray[np.uint16], known: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Values with those that are not known filled; one at least is known."""
    if known.all():
        return values
    coarse = _doubled(_filled(*_halved(values, known)))[: len(values), : values.shape[1]]
    made = np.where(known, values, coarse)
    around = np.pad(made, 1, mode="edge")
    mean = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
    mean += 2
    mean >>= 2
    np.copyto(made, mean, where=~known)
    return made


def _halved(
    values: NDArray[np.uint16], known: NDArray[np.bool_]
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Means of the known values in each 2 x 2, and where there is one."""
    odd = [(0, length % 2) for length in values.shape]
    counts = np.pad(known, odd).astype(np.uint16)
    count, total = _added(counts), _added(np.pad(values, odd) * counts)
    total += count >> 1
    total //= np.maximum(count, 1)
    return total, count > 0


def _added(array: NDArray[np.uint16]) -> NDArray[np.uint16]:
    rows = array[::2] + array[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _doubled(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Twice the size: each value 9, 3, 3 and 1 sixteenths of the nearest four."""
    return _doubled_rows(_doubled_rows(values).T).T


def _doubled_rows(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    around = np.pad(values, [(1, 1), (0, 0)], mode="edge")
    thrice = values * 3 + 2
    made = np.empty((2 * len(values), values.shape[1]), np.uint16)
    made[::2] = (thrice + around[:-2]) >> 2
    made[1::2] = (thrice + around[2:]) >> 2
    return made
