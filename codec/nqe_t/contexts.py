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
_CROSS_CONTEXT = np.array([0, 1, 2, 2], dtype=np.uint8) * SUM_BINS

ZONE_COUNT = len(geometry.zones())
SIGNIFICANCE_SHAPE = (ZONE_COUNT, PLANES, 2, CROSS_BINS, SUM_BINS)
FLAG_SHAPE = (ZONE_COUNT, PLANES, FLAG_BINS)
REFINEMENT_SHAPE = (ZONE_COUNT, PLANES, 2)


class PatchState:
    """Levels of the coefficients and zones of ``count`` patches.

    Args:
        count: number of patches.
        channels: 1 or 3; with 1, zones of colour differences are never visited.

    Attributes:
        levels: uint8 (CELLS, count).
        zone_levels: uint8 (zones, count).
    """

    def __init__(self, count: int, channels: int) -> None:
        self.levels = np.zeros((geometry.CELLS, count), dtype=np.uint8)
        self.zone_levels = np.zeros((ZONE_COUNT, count), dtype=np.uint8)
        self._channels = channels

    def next_plane(self) -> None:
        """Begin the next lower bit plane: levels count the planes since they became significant."""
        self.levels += self.levels > 0
        np.minimum(self.levels, 3, out=self.levels)
        self.zone_levels[self.zone_levels > 0] = 2

    def flag_context(self, zone: int) -> NDArray[np.uint8]:
        """Contexts of the flag "this zone becomes active", uint8 (count,), below FLAG_BINS."""
        zones = geometry.zones()
        total = np.zeros(self.levels.shape[1], dtype=np.uint8)
        for near in zones[zone].near:
            if zones[near].size > 1:
                total += self.zone_levels[near]
            else:
                total += np.minimum(self.levels[zones[near].cells[0]], 2)
        return np.minimum(total, FLAG_BINS - 1)

    def significance_context(self, zone: int, half: int) -> NDArray[np.uint8]:
        """Contexts of "this coefficient becomes significant" for the cells of one half.

        Returns:
            uint8 (cells of the half, count), an index into the last three axes of
            SIGNIFICANCE_SHAPE.
        """
        # For all patches, also those that do not ask: rows lie together, and picking is slower.
        place = geometry.zones()[zone]
        cells = place.halves[half]
        total = self._sum(cells, _NEAR)
        total += total
        total += self._sum(cells, _FAR)
        context: NDArray[np.uint8] = _SUM_BIN.take(total)
        if self._channels > 1:
            first, second = (other for other in range(geometry.CHANNELS) if other != place.channel)
            cross = np.maximum(
                self.levels.take(cells + (first - place.channel) * _PLANE_CELLS, axis=0),
                self.levels.take(cells + (second - place.channel) * _PLANE_CELLS, axis=0),
            )
            context += _CROSS_CONTEXT.take(cross)
        new = self.zone_levels[zone] == 1
        context += new * np.uint8(CROSS_BINS * SUM_BINS)
        return context

    def _sum(self, cells: NDArray[np.int64], steps: tuple[int, ...]) -> NDArray[np.uint8]:
        """Sum of the levels so many cells away, uint8 (cells, count)."""
        total: NDArray[np.uint8] = self.levels.take(cells + steps[0], axis=0)
        for step in steps[1:]:
            total += self.levels.take(cells + step, axis=0)
        return total


def plane_index(plane: int) -> int:
    """Index of a bit plane in the tables: 0 is TOP_PLANE."""
    return TOP_PLANE - plane
