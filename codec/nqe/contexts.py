"""What is known of a patch while its bit planes are coded, and the contexts read from it.

Encoder and decoder hold the same state and ask it for the same contexts. Arrays are laid out with
patches last: a row is one coefficient of all patches.

Levels of a coefficient: 0 nothing yet, 1 became significant in this plane, 2 in the plane before,
3 earlier. Levels of a zone: 0 nothing yet, 1 active since this plane, 2 active before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import zones as geometry

TOP_PLANE = 17
BOTTOM_PLANE = 5
PLANES = TOP_PLANE - BOTTOM_PLANE + 1

SUM_CUTS = (1, 2, 3, 5, 8, 12, 18)
SUM_BINS = len(SUM_CUTS) + 1
CROSS_BINS = 3
FLAG_BINS = 8

_NEAR = geometry.neighbour_steps(geometry.NEAR_OFFSETS)
_FAR = geometry.neighbour_steps(geometry.FAR_OFFSETS)
_PLANE_CELLS = geometry.SIDE * geometry.SIDE
_SUM_BIN = np.searchsorted(SUM_CUTS, np.arange(64), side="right").astype(np.uint8)
_CROSS_BIN = np.array([0, 1, 2, 2], dtype=np.uint8)

ZONE_COUNT = len(geometry.zones())
SIGNIFICANCE_SHAPE = (ZONE_COUNT, PLANES, 2, CROSS_BINS, SUM_BINS)
FLAG_SHAPE = (ZONE_COUNT, PLANES, FLAG_BINS)
REFINEMENT_SHAPE = (ZONE_COUNT, PLANES, 2)


class PatchState:
    """Levels of the coefficients and zones of ``count`` patches.

    Args:
        count: number of patches.
        channels: 1 or 3; with 1, zones of colour differences are never visited.
    """

    def __init__(self, count: int, channels: int) -> None:
        self.levels = np.zeros((geometry.CELLS, count), dtype=np.uint8)
        self.zone_levels = np.zeros((ZONE_COUNT, count), dtype=np.uint8)
        self.channels = channels

    def next_plane(self) -> None:
        """Age all levels by one plane."""
        aged = self.levels > 0
        self.levels += aged
        np.minimum(self.levels, 3, out=self.levels)
        self.zone_levels[self.zone_levels > 0] = 2

    def flag_context(self, zone: int, which: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Contexts of the flag "this zone becomes active", uint8 (n,), below FLAG_BINS."""
        zones = geometry.zones()
        total = np.zeros(len(which), dtype=np.uint8)
        for near in zones[zone].near:
            if zones[near].size > 1:
                total += self.zone_levels[near, which]
            else:
                only = int(np.concatenate(zones[near].halves)[0])
                total += np.minimum(self.levels[only, which], 2)
        return np.minimum(total, FLAG_BINS - 1)

    def significance_context(
        self, zone: int, cells: NDArray[np.int64], which: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Contexts of "this coefficient becomes significant" for cells of one half.

        Returns:
            int64 (len(cells), n), an index into the last three axes of SIGNIFICANCE_SHAPE.
        """
        levels = self.levels if len(which) == self.levels.shape[1] else self.levels[:, which]
        total = np.zeros((len(cells), len(which)), dtype=np.uint8)
        for step in _NEAR:
            total += levels[cells + step]
        total += total
        for step in _FAR:
            total += levels[cells + step]
        channel = geometry.zones()[zone].channel
        others = [other for other in range(geometry.CHANNELS) if other != channel]
        cross = np.zeros_like(total)
        if self.channels > 1:
            for other in others:
                np.maximum(cross, levels[cells + (other - channel) * _PLANE_CELLS], out=cross)
        new = self.zone_levels[zone, which] == 1
        context = new.astype(np.int64)[None] * (CROSS_BINS * SUM_BINS)
        context = context + _CROSS_BIN[cross].astype(np.int64) * SUM_BINS
        return context + _SUM_BIN[total]


def plane_index(plane: int) -> int:
    """Index of a bit plane in the tables: 0 is TOP_PLANE."""
    return TOP_PLANE - plane
