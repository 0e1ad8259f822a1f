"""Concealment: lost patches are continued from what lies around them.

::

    known pixels ──► pyramid of means, then harmonic near the rims ──► network: what it can tell of
                                                                       the lost pixels is added
    network, at 1/4 resolution (48 samples of a square, and whether it is lost ──► 48 samples)
      3x3 conv ── blocks x + conv(relu(dilated conv(x))), dilations 1 2 4 8 4 2 1 1 ── 3x3 conv

The smooth continuation has no seams and invents nothing; the network carries edges and gradients
on, for which a patch is too wide otherwise. It reaches 132 pixels far, so patches whose neighbours
are lost, too, see beyond them (our choice). Trained by squared error on plain decoded photographs
of all qualities, see `heqcodec.lab.training.concealment_fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from heqcodec.base.constants import PATCH
from numpy.typing import NDArray

SMOOTHINGS = 16
"""Rounds in which each unknown pixel becomes the mean of its neighbours."""
CELL = 4
"""Side of the squares of pixels that the network reads and writes at once."""
WIDTH = 64
DILATIONS = (1, 2, 4, 8, 4, 2, 1, 1)
"""Of the blocks' first convolutions."""
REACH = 5
"""Patches around a window that its pixels depend on: 33 squares."""
WINDOW = 16
"""Side of a window in patches, which bounds the memory."""

Network = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""From pixels RGB / 255, float32 (3, H, W), and 1 where they are lost, (1, H, W), to what is added
to them."""


def conceal(
    pixels: NDArray[np.uint8], valid: NDArray[np.bool_], network: Network | None
) -> NDArray[np.uint8]:
    """Fill lost patches.

    Args:
        pixels: (32 R, 32 C, 1 or 3); of lost patches anything.
        valid: bool (R, C), false where a patch is lost; one at least is true.
        network: None for the smooth continuation alone.

    Returns:
        The same shape, with the known pixels as they are.
    """
    known = valid.repeat(PATCH, 0).repeat(PATCH, 1)
    filled = continued(pixels.astype(np.float32) / np.float32(255), known)
    result = filled.copy()
    rows, columns = valid.shape
    for row, column in product(range(0, rows, WINDOW), range(0, columns, WINDOW)):
        if network is None or valid[row : row + WINDOW, column : column + WINDOW].all():
            continue
        top, left = max(0, row - REACH), max(0, column - REACH)
        around = (
            slice(PATCH * top, PATCH * (row + WINDOW + REACH)),
            slice(PATCH * left, PATCH * (column + WINDOW + REACH)),
        )
        core = (
            slice(PATCH * row, PATCH * (row + WINDOW)),
            slice(PATCH * column, PATCH * (column + WINDOW)),
        )
        seen = np.broadcast_to(filled[around], (*known[around].shape, 3)).transpose(2, 0, 1)
        lost = ~known[around]
        added = network(np.ascontiguousarray(seen), lost[None].astype(np.float32))
        if pixels.shape[2] == 1:
            added = added.mean(axis=0, keepdims=True)
        added = (added * lost).transpose(1, 2, 0)
        below, right = PATCH * (row - top), PATCH * (column - left)
        part = result[core]
        part += added[below : below + part.shape[0], right : right + part.shape[1]]
    levels = np.rint(result * 255).clip(0, 255).astype(np.uint8)
    return np.where(known[..., None], pixels, levels)


def continued(pixels: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Continue an image smoothly into what is not known of it.

    A pyramid of means gives a first guess; in it each unknown pixel then becomes the mean of its
    neighbours again and again, which makes it harmonic near its rim.

    Args:
        pixels: float32 (H, W, C).
        known: bool (H, W), some of it true.

    Returns:
        float32 (H, W, C), with the known pixels as they are.
    """
    guess = _guess(pixels * known[..., None], known.astype(np.float32))
    filled: NDArray[np.float32] = np.where(known[..., None], pixels, guess)
    holes = ~known
    for _ in range(SMOOTHINGS):
        around = np.pad(filled, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        filled[holes] = mean[holes] / 4
    return filled


def _guess(sums: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sums (H, W, C) and weights (H, W) to means; from a coarser level where there are
    none."""
    own = (sums / np.maximum(weights, 1e-9)[..., None]).astype(np.float32)
    if weights.all() or max(weights.shape) == 1:
        return own
    high, wide = (side + side % 2 for side in weights.shape)
    padding = ((0, high - weights.shape[0]), (0, wide - weights.shape[1]))
    paired = np.pad(sums, (*padding, (0, 0))).reshape(high // 2, 2, wide // 2, 2, -1)
    together = np.pad(weights, padding).reshape(high // 2, 2, wide // 2, 2)
    coarse = _guess(paired.sum((1, 3)), together.sum((1, 3)))
    finer = coarse.repeat(2, 0).repeat(2, 1)[: weights.shape[0], : weights.shape[1]]
    return np.where(weights[..., None] > 0, own, finer).astype(np.float32)
