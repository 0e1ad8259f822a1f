"""What a level is expected to be from the levels around it, in Python.

Sums of magnitudes, and the score of a level: log odds added up from trained tables, one entry for
each sum by its bin. What codec/native/heq_device_around.h does in C; docs/FORMAT.md, "Device
payload".
"""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_r.layout import BANDS, LEVELS, SUBS, band_frequencies

from .tables import DeviceTables

MAGNITUDE_LIMIT = 255
MOST = 9 * 4 * MAGNITUDE_LIMIT


def bin_of(cuts: tuple[int, ...]) -> list[int]:
    """How many cuts each sum has reached, from 0 on."""
    return np.searchsorted(cuts, np.arange(MOST), side="right").tolist()


CUTS_16 = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 28, 40, 60)
BIN16 = bin_of(CUTS_16)
GROUP_STARTS = (0, 1, 4, 12, 32, 96)
BAND_GROUP = (np.searchsorted(GROUP_STARTS, np.arange(BANDS), side="right") - 1).tolist()
_NOWHERE = LEVELS
NEIGHBOURS = ((-1, 0), (0, -1), (-1, -1), (-2, 0), (0, -2), (-1, 1), (1, -1), (1, 0), (0, 1))


def _neighbours() -> list[list[int]]:
    """For each band, the first level of the band at each of NEIGHBOURS, or of four zeros."""
    frequencies = [(int(u), int(v)) for u, v in band_frequencies()]
    first = {place: SUBS * band for band, place in enumerate(frequencies)}
    return [[first.get((u + a, v + b), _NOWHERE) for a, b in NEIGHBOURS] for u, v in frequencies]


_BESIDE = _neighbours()


class Around:
    """The levels around those of a band.

    Args:
        magnitudes: of each plane 1,024 and four zeros; what a patch has not coded yet is still
            the left patch's.
        plane: index.
        band: index.

    Attributes:
        near: weighted sum over neighbouring frequencies of the same quarter.
        same: over the same frequency of other quarters, and of the left patch.
        other: over the other planes; in plane 0, higher bands of the left patch.
        bins: of the 12 sums that a score is made of, 0..15 each.
    """

    def __init__(self, magnitudes: list[list[int]], plane: int, band: int) -> None:
        self.near = self.same = self.other = 0
        self.bins: list[int] = []
        self._magnitudes = magnitudes
        self._plane = plane
        self._start = SUBS * band
        self._beside = _BESIDE[band]
        field = magnitudes[plane]

        def band_sum(start: int) -> int:
            return sum(field[start : start + SUBS])

        up, left, _, up_up, left_left, *_ = self._beside
        self._lower = band_sum(up) + band_sum(left)
        self._beyond = band_sum(up_up) + band_sum(left_left)

    def look(self, sub: int) -> None:
        """What is around a level of the band whose lower ones are coded."""
        field = self._magnitudes[self._plane]
        start, index = self._start, self._start + sub
        up, left, diagonal, *far, down, right = (field[place + sub] for place in self._beside)
        edges, higher = up + left, down + right
        done, ahead = sum(field[start:index]), sum(field[index + 1 : start + SUBS])
        across = field[index - 1] if sub & 1 else field[index + 1]
        above = field[index - 2] if sub & 2 else 0
        self.near = 2 * edges + diagonal + sum(far)
        self.same = 2 * (across + above) + done + field[index] + field[index ^ 1]
        self.other = higher
        luma = luma_edges = chroma = 0
        if self._plane:
            base = self._magnitudes[0]
            luma = base[index]
            luma_edges = base[self._beside[0] + sub] + base[self._beside[1] + sub]
            chroma = self._magnitudes[1][index] if self._plane > 1 else 0
            self.other = 2 * (luma + chroma) + luma_edges
        sums = [edges, diagonal, sum(far), higher, field[index], done, ahead]
        sums += [self._lower, self._beyond, luma, luma_edges, chroma]
        self.bins = [BIN16[value] for value in sums]


class Scores:
    """Scores of levels: log odds by the place of a level and the sums around it, in 16 bins.

    A bin, 0..15, has half a natural logarithm; 8 begins at even odds. The arguments of both methods
    are the plane 0..2, the transform size 0 or 1, the index of the level 0..1023, and the 12 bins
    0..15 of `Around.bins`.

    Args:
        tables: of the model.
    """

    def __init__(self, tables: DeviceTables) -> None:
        self._scores = tables.scores.tolist()
        self._places = tables.places.tolist()

    def zero(self, plane: int, size: int, index: int, bins: list[int]) -> int:
        """Bin of the score of the decision whether a level is not 0."""
        return self._bin(0, 2 * plane + size, index, bins)

    def larger(self, plane: int, size: int, index: int, bins: list[int]) -> int:
        """Bin of the score of the decision |level| > n, given |level| >= n; the same for all n."""
        return self._bin(1, 2 * plane + size, index, bins)

    def _bin(self, question: int, kind: int, index: int, bins: list[int]) -> int:
        band, sub = divmod(index, SUBS)
        rows = self._scores[question][len(GROUP_STARTS) * kind + BAND_GROUP[band]]
        # Of PLACES: from band 64 on three bands share one.
        place = band if band < 64 else 64 + (band - 64) // 3
        score: int = self._places[question][kind][place][sub]
        score += sum(row[value] for row, value in zip(rows, bins, strict=True))
        # Log odds are in 1/16: 16 bins of 1/2, from -4 to 4.
        return min(max((score + 64) >> 3, 0), 15)
