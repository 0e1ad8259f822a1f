"""Where the coefficients of a patch lie: zones, halves, neighbours.

A zone is a set of coefficients of one colour plane that are about equally likely to matter: a ring
of frequencies, for luminance cut into three orientations, so that one flag says "nothing here yet".
Within a zone, the coefficients with u + v even come first and the odd ones second; the four nearest
neighbours of a coefficient are always in the other half, so that the contexts of a half can be
taken all at once, and the odd half still sees the even one (our choice, because it lets patches and
coefficients be processed side by side, in numpy as in hardware).
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIZE = 32
CHANNELS = 3
MARGIN = 2
SIDE = SIZE + 2 * MARGIN
CELLS = CHANNELS * SIDE * SIDE
"""State is kept in planes with a margin of 2 zeros, so that every neighbour exists."""

LUMA_RINGS = (0.5, 1.2, 1.9, 2.9, 4.3, 6.2, 9.0, 13.0, 19.0, 28.0, 46.0)
CHROMA_RINGS = (0.5, 1.6, 3.2, 6.0, 11.0, 20.0, 46.0)
ORIENTATION_TAN = 0.5
"""A coefficient is horizontal where u <= v / 2, vertical where v <= u / 2, else diagonal."""

NEAR_OFFSETS = ((-1, 0), (1, 0), (0, -1), (0, 1))
FAR_OFFSETS = ((-1, -1), (-1, 1), (1, -1), (1, 1), (-2, 0), (2, 0), (0, -2), (0, 2))


class Zone(NamedTuple):
    """One zone: its colour plane, ring, orientation, and the cells of its two halves."""

    channel: int
    ring: int
    orientation: int
    halves: tuple[NDArray[np.int64], NDArray[np.int64]]
    near: tuple[int, ...]
    """Zones whose activity tells something about this one's, as indices."""

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return len(self.halves[0]) + len(self.halves[1])

    @property
    def cells(self) -> NDArray[np.int64]:
        """All cells, the even half first."""
        return np.concatenate(self.halves)


def cell(channel: int, u: int, v: int) -> int:
    """Index of a coefficient in the padded state planes."""
    return (channel * SIDE + u + MARGIN) * SIDE + v + MARGIN


def cell_map() -> NDArray[np.int64]:
    """Indices of all coefficients, int64 (3 * 32 * 32,), in the order channel, u, v."""
    channel, u, v = np.meshgrid(
        np.arange(CHANNELS), np.arange(SIZE), np.arange(SIZE), indexing="ij"
    )
    return ((channel * SIDE + u + MARGIN) * SIDE + v + MARGIN).reshape(-1)


def by_patch(cells: NDArray[Any]) -> NDArray[Any]:
    """A view of (CELLS, N) as (N, 3, 32, 32): patch, channel, u, v."""
    planes = cells.T.reshape(-1, CHANNELS, SIDE, SIDE)
    return planes[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


def neighbour_steps(offsets: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Distances in cells for offsets in (u, v)."""
    return tuple(du * SIDE + dv for du, dv in offsets)


def _place(u: int, v: int, channel: int) -> tuple[int, int]:
    """Ring and orientation of a frequency; ring -1 is the mean."""
    radius = (u * u + v * v) ** 0.5
    if radius == 0:
        return -1, 0
    if channel:
        return bisect_left(CHROMA_RINGS, radius) - 1, 0
    orientation = 0 if u <= ORIENTATION_TAN * v else 1 if v <= ORIENTATION_TAN * u else 2
    return bisect_left(LUMA_RINGS, radius) - 1, orientation


@cache
def zones() -> tuple[Zone, ...]:
    """All zones: luminance first, each plane from low to high frequency."""
    members: dict[tuple[int, int, int], list[tuple[float, int, int]]] = {}
    for channel in range(CHANNELS):
        for u in range(SIZE):
            for v in range(SIZE):
                ring, orientation = _place(u, v, channel)
                key = (channel, ring, orientation)
                members.setdefault(key, []).append((u * u + v * v, u, v))
    keys = sorted(members)
    made = []
    for key in keys:
        halves = tuple(
            np.array(
                [cell(key[0], u, v) for _, u, v in sorted(members[key]) if (u + v) % 2 == parity],
                dtype=np.int64,
            )
            for parity in (0, 1)
        )
        made.append(Zone(*key, halves=(halves[0], halves[1]), near=_near(key, keys)))
    return tuple(made)


def _near(
    key: tuple[int, int, int], keys: list[tuple[int, int, int]], most: int = 4
) -> tuple[int, ...]:
    """Up to four neighbours of a zone: inner and outer ring, other orientations, other planes."""
    channel, ring, orientation = key
    if channel == 0:
        wanted = [(0, ring - 1, orientation), (0, ring + 1, orientation)]
        wanted += [(0, ring, other) for other in range(3) if other != orientation]
    else:
        wanted = [(3 - channel, ring, 0), (channel, ring - 1, 0), (channel, ring + 1, 0)]
        middle = CHROMA_RINGS[ring] if ring >= 0 else 0.0
        luma_ring = bisect_left(LUMA_RINGS, middle + 0.01) - 1
        wanted += [(0, luma_ring, other) for other in range(3)]
    return tuple([keys.index(near) for near in wanted if near in keys][:most])
