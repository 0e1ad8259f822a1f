"""The levels of an image at any step, strip by strip, from coefficients computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from heqcodec.base.arguments import TuneName
from heqcodec.base.constants import PATCH, WEIGHTED
from heqcodec.base.rate_protocols import RateEncoder
from heqcodec.image.patches import patch_batches
from numpy.typing import NDArray

from .layout import LEVELS
from .weighting import is_weighted

BATCH = 1024
"""Patches transformed at once: 24 MiB of coefficients in two transform sizes."""
KEPT_BYTES = 1 << 30
"""Coefficients that are kept for the next step; beyond, they are computed again."""


class StripLevels(NamedTuple):
    """The levels of some rows of patches: what a `StripCoder` encodes.

    Attributes:
        levels: int16 (R, C, planes, 1024).
        transform_sizes: uint8 (R, C).
        step: index, or what else stands for it in the file.
    """

    levels: NDArray[np.int16]
    transform_sizes: NDArray[np.uint8]
    step: int

    def rows(self, first: int, last: int) -> StripLevels:
        """Rows ``first`` to ``last - 1`` of them."""
        return StripLevels(self.levels[first:last], self.transform_sizes[first:last], self.step)


class MixedSteps(ValueError):
    """Rows of one strip have different steps."""


class ImageLevels:
    """An image that is to be quantized, at one step or at several.

    Args:
        pixels: uint8 (H, W, 1) or (H, W, 3); padded to whole patches.
        encoder: whose transform and quantizer are used.
        keep: whether coefficients are kept for another step, as far as `KEPT_BYTES` go.
        tune: of the quantizer, see `RateEncoder.levels`.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        encoder: RateEncoder,
        keep: bool,
        tune: TuneName = "psnr",
    ) -> None:
        self._pixels, self._encoder, self._tune = pixels, encoder, tune
        self._weighting = WEIGHTED * is_weighted(tune)
        self._kept: dict[tuple[int, int], list[NDArray[np.int32]]] = {}
        self._room = KEPT_BYTES if keep else 0
        self.patch_rows = -(-pixels.shape[0] // PATCH)

    def strips(self, step: int, strip_rows: int) -> Iterator[StripLevels]:
        """The levels at a step, ``strip_rows`` rows of patches at a time."""
        for row in range(0, self.patch_rows, strip_rows):
            yield self.strip(step, row, strip_rows)

    def strip(self, step: int, row: int, strip_rows: int) -> StripLevels:
        """The levels at a step of ``strip_rows`` rows of patches from ``row`` on, or the rest."""
        rows = min(strip_rows, self.patch_rows - row)
        parts = [
            self._encoder.levels(part, step + self._weighting, self._tune)
            for part in self._coefficients(row, row + rows)
        ]
        levels = np.concatenate([part[0] for part in parts])
        transform_sizes = np.concatenate([part[1] for part in parts])
        grid = levels.reshape(rows, -1, levels.shape[1], LEVELS)
        return StripLevels(grid, transform_sizes.reshape(rows, -1), step)

    def _coefficients(self, first: int, last: int) -> Iterator[NDArray[np.int32]]:
        kept = self._kept.get((first, last))
        if kept is not None:
            yield from kept
            return
        new: list[NDArray[np.int32]] = []
        for patches in patch_batches(self._pixels[first * PATCH : last * PATCH], BATCH):
            part = self._encoder.coefficients(patches)
            self._room -= part.nbytes
            if self._room >= 0:
                new.append(part)
            yield part
        if self._room >= 0:
            self._kept[first, last] = new


def regrouped(strips: Iterable[StripLevels], strip_rows: int) -> Iterator[StripLevels]:
    """The same rows in strips of another height; the last may be lower.

    Raises:
        MixedSteps: rows of a strip have different steps.
    """
    pending: list[StripLevels] = []
    held = 0
    for strip in strips:
        pending.append(strip)
        held += len(strip.transform_sizes)
        while held >= strip_rows:
            joined = _joined(pending)
            yield joined.rows(0, strip_rows)
            held -= strip_rows
            pending = [joined.rows(strip_rows, strip_rows + held)] if held else []
    if held:
        yield _joined(pending)


def _joined(parts: list[StripLevels]) -> StripLevels:
    steps = {part.step for part in parts}
    if len(steps) > 1:
        raise MixedSteps(f"the steps {' and '.join(map(str, sorted(steps)))}")
    return StripLevels(
        np.concatenate([part.levels for part in parts]),
        np.concatenate([part.transform_sizes for part in parts]),
        steps.pop(),
    )
