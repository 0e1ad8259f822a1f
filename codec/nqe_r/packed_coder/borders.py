"""Prediction of levels from the decoded borders of neighbouring patches.

Pictures go on across the borders of patches. Each patch keeps the profile of its own decoded levels
along each of its sides, as frequencies along that side; the difference between a neighbour's
profile and the own one, so far, is what the levels to come have to explain. A weighted sum of the
four differences (weights by regression) is the expected level: it guides the sign, and its size
helps to guess the magnitude (our choice, after sign prediction in video coders, which does it with
pixels). Quarters have such borders with each other as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from heqcodec.nqe_r.layout import band_frequencies
from numpy.typing import NDArray

from .tables import PLANES, PackedTables

DIFFERENCE_LIMIT = 2047
LEFT, TOP, RIGHT, BOTTOM = range(4)
_INNER = {RIGHT: 4, BOTTOM: 5, LEFT: 6, TOP: 7}
"""Profiles of the sides between quarters: the right sides of the left quarters, and so on."""
_FREQUENCIES = [(int(u), int(v)) for u, v in band_frequencies()]


class Position(NamedTuple):
    """A plane of a patch in a slice."""

    row: int
    column: int
    plane: int
    slice: int
    size: int


class _Side(NamedTuple):
    own: int
    """Index of the profile, 0 to 7, of the side that the level adds to."""
    other: int | None
    """Index of the profile across the side in the same patch; None where a neighbour has it."""
    along: int
    """Frequency along the side, the index into the profile."""
    edge: int
    """What a level of 1 adds to the own profile."""


class Borders:
    """Profiles of all patches of a strip.

    Args:
        tables: of the model.
        transform_sizes: uint8 (R, C); looked at when they are known.
    """

    def __init__(self, tables: PackedTables, transform_sizes: NDArray[np.uint8]) -> None:
        self._transform_sizes = transform_sizes
        self._edge = tables.edge.tolist()
        self._weights = tables.border.astype(np.int64)
        self._halves = tables.halves.astype(np.int64)
        self._profiles = np.zeros((PLANES, *transform_sizes.shape, 8, 32), dtype=np.int64)

    def _outline(self, size: int, band: int, sub: int) -> list[_Side]:
        (u, v), (row, column) = _FREQUENCIES[band], divmod(sub, 2)
        own = {side: side for side in range(4)}
        other: dict[int, int] = {}
        if size:
            along = {LEFT: 16 * row + u, TOP: 16 * column + v}
            inner = (LEFT if column else RIGHT, TOP if row else BOTTOM)
            own |= {side: _INNER[side] for side in inner}
            other = {side: _INNER[side ^ 2] for side in inner}
        else:
            u, v = 2 * u + row, 2 * v + column
            along = {LEFT: u, TOP: v}
        edge = self._edge[size]
        edges = (edge[v], edge[u], (-1) ** v * edge[v], (-1) ** u * edge[u])
        return [
            _Side(own[side], other.get(side), along[side & 1], edges[side]) for side in range(4)
        ]

    def add(self, at: Position, index: int, level: int) -> None:
        """Add a coded level to the profiles of its patch."""
        profiles = self._profiles[at.plane, at.row, at.column]
        band, sub = divmod(index, 4)
        if band or not at.size:
            for side in self._outline(at.size, band, sub):
                profiles[side.own, side.along] += level * side.edge
            return
        for quarter in range(4):  # the means of quarters are combined
            sign = (-1) ** (sub & quarter).bit_count()
            for side in self._outline(1, 0, quarter):
                profiles[side.own, side.along] += sign * level * side.edge >> 1

    def around(self, at: Position) -> list[NDArray[np.int64] | None]:
        """The neighbours' profiles left, above, right and below, in this patch's frequencies."""
        found: list[NDArray[np.int64] | None] = []
        for side, (down, across) in enumerate(((0, -1), (-1, 0), (0, 1), (1, 0))):
            row, column = at.row + down, at.column + across
            if not (
                0 <= row < self._transform_sizes.shape[0]
                and 0 <= column < self._transform_sizes.shape[1]
            ):
                found.append(None)
                continue
            profile = self._profiles[at.plane, row, column, side ^ 2]
            if self._transform_sizes[row, column] != at.size:
                matrix = self._halves if at.size else self._halves.T
                profile = matrix @ profile + 2048 >> 12
            found.append(profile.copy())
        return found

    def expect(
        self, at: Position, index: int, around: list[NDArray[np.int64] | None]
    ) -> tuple[int, list[int]]:
        """The expected level in 1/256, and the differences at the four sides."""
        own = self._profiles[at.plane, at.row, at.column]
        band, sub = divmod(index, 4)
        means = bool(at.size) and band == 0
        differences = []
        for i, side in enumerate(self._outline(at.size, band, 0 if means else sub)):
            beyond = around[i]
            if means:
                # Sub 1 is left - right, 2 top - bottom, 3 both.
                sign = -1 if sub in (3, 2 - (i & 1)) else 1
                gap = 0 if beyond is None else int((beyond - own[i])[[0, 16]] @ [1, sign])
            elif side.other is not None:
                gap = int(own[side.other, side.along] - own[side.own, side.along])
            else:
                gap = 0 if beyond is None else int(beyond[side.along] - own[side.own, side.along])
            differences.append(max(-DIFFERENCE_LIMIT, min(gap, DIFFERENCE_LIMIT)))
        weights = self._weights[at.plane, at.size, index]
        return int(weights @ differences) + 2048 >> 12, differences
