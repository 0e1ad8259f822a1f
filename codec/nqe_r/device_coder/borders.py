"""What the patches left and above say of level 0 and of signs, in Python.

Pictures go on across borders. Plane 0 of a patch has a profile along each of its sides: the sum of
its levels as they are at that side, in quarters, by frequency along the side. How far the profiles
on both sides of a border are apart is what the levels to come have to make up for. What
codec/native/heq_device_borders.h does in C; docs/FORMAT.md, "Device payload".
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from heqcodec.nqe_r.layout import band_frequencies

COLUMNS = 32
"""Columns of patches of which the row above is kept."""
LEVEL_MOST = 127
"""Largest magnitude that a profile takes, and its own limit where it is kept for the row below."""
GAP_CUTS = (1, 2, 4, 6, 9, 14, 24, 40)
NO_GAP = len(GAP_CUTS)
LEFT, TOP, RIGHT, BOTTOM = range(4)
_FREQUENCIES = [(int(u), int(v)) for u, v in band_frequencies()]


def gap_bin(gap: int) -> int:
    """Bin of a gap, 0..16; NO_GAP where it is 0."""
    size = bisect_right(GAP_CUTS, abs(gap))
    return NO_GAP - size if gap < 0 else NO_GAP + size


def at_side(level: int, frequency: int) -> int:
    """A level at a side, in quarters, by its frequency across the side, 0..31.

    Coarsely the basis function at its first sample: sqrt(1/2) for 0, cos(pi f / 64) for others.
    """
    return level * (3 if frequency == 0 else 4 if frequency < 13 else 3 if frequency < 23 else 2)


def turned(profile: list[int], size: int) -> list[int]:
    """Resample a profile from one side of 32 points to two of 16, or back.

    Args:
        profile: 16 values, or 8 where only half the frequencies are kept: the lowest of a whole
            patch, or the lowest of the first quarter along the side and then of the second.
        size: 1 to two sides of 16 points, 0 to one of 32.

    Returns:
        As many values; of one side of 32 points the odd frequencies, which are unknown, are 0.
    """
    half = len(profile) // 2
    if size:
        even = [value >> 1 for value in profile[::2]]
        return even + [-value if i & 1 else value for i, value in enumerate(even)]
    whole = [0] * len(profile)
    for i in range(half):
        second = profile[half + i]
        whole[2 * i] = profile[i] + (-second if i & 1 else second)
    return whole


@dataclass
class _Column:
    """What is kept of a patch until the one below it comes."""

    dc: list[int]
    bottom: list[int] = field(default_factory=lambda: [0] * 8)
    size: int = 0


class Borders:
    """Levels 0 and profiles of the patches before.

    Args:
        planes: 1 or 3.
    """

    def __init__(self, planes: int) -> None:
        self._dc = [0] * planes
        self._corner = [0] * planes
        self._columns = [_Column([0] * planes) for _ in range(COLUMNS)]
        self._rows = self._column = self._size = self._left_size = 0
        self._left, self._top = [0] * 16, [0] * 8
        self._turned = [False, False]
        self._steps = [0, 0]
        self._means = [0] * 4
        self._side = [[0] * 32 for _ in range(4)]

    @property
    def _knows_above(self) -> bool:
        return self._rows > 1 and self._column < COLUMNS

    def begin_patch(self, size: int, first: bool) -> None:
        """Before the levels of a patch; ``first`` of its row?"""
        self._rows += first
        self._column = 0 if first else self._column + 1
        self._size = size
        self._side = [[0] * 32 for _ in range(4)]
        self._means = [0] * 4
        self._turned = [self._left_size != size, False]
        if self._turned[0]:
            self._left = turned(self._left, size)
        if self._knows_above:
            above = self._columns[self._column]
            self._turned[1] = above.size != size
            self._top = turned(above.bottom, size) if self._turned[1] else above.bottom

    def end_patch(self) -> None:
        """After the levels of a patch: its profiles right and below are kept."""
        right, bottom, size = self._side[RIGHT], self._side[BOTTOM], self._size
        # Of quarters, those of the right ones, and four frequencies each of the lower ones.
        self._left = right[8:16] + right[24:32] if size else right[:16]
        self._left_size = size
        if self._column < COLUMNS:
            kept = bottom[16:20] + bottom[24:28] if size else bottom[:8]
            column = self._columns[self._column]
            column.bottom = [max(-LEVEL_MOST, min(value, LEVEL_MOST)) for value in kept]
            column.size = size

    def predict_dc(self, plane: int) -> tuple[int, int]:
        """The expected level 0, and the gradient around it (0 where that is not known)."""
        left = self._dc[plane]
        if not self._knows_above:
            return left, 0
        above = self._columns[self._column].dc[plane]
        if self._column == 0:
            return above, 0
        corner = self._corner[plane]
        expected = sorted((left, above, left + above - corner))[1]
        return expected, abs(left - corner) + abs(above - corner)

    def keep_dc(self, plane: int, level: int) -> None:
        """Level 0 of a plane is coded."""
        left, self._dc[plane] = self._dc[plane], level
        if plane == 0:
            self._steps[0] = left - level
        if self._column < COLUMNS:
            dc = self._columns[self._column].dc
            if plane == 0:
                self._steps[1] = dc[0] - level
            self._corner[plane], dc[plane] = dc[plane], level

    def add_level(self, band: int, sub: int, level: int) -> None:
        """A level of plane 0 that is not 0 is coded, other than level 0."""
        level = max(-LEVEL_MOST, min(level, LEVEL_MOST))
        (u, v), first, most = _FREQUENCIES[band], 0, 16
        if not self._size:
            u, v = 2 * u + (sub >> 1), 2 * v + (sub & 1)
            at_left, at_top = at_side(level, v), at_side(level, u)
        elif band == 0:
            self._means[sub] = level
            return
        else:
            first, most = 8 * sub, 8
            at_left, at_top = at_side(level, 2 * v), at_side(level, 2 * u)
        if u < most:
            self._side[LEFT][first + u] += at_left
            self._side[RIGHT][first + u] += -at_left if v & 1 else at_left
        if v < most:
            self._side[TOP][first + v] += at_top
            self._side[BOTTOM][first + v] += -at_top if u & 1 else at_top

    def end_means(self) -> None:
        """Band 0 is coded; of quarters it holds their means, combined."""
        if not self._size:
            return
        for quarter in range(4):
            mean = sum(
                (-1) ** (quarter & index).bit_count() * self._means[index] for index in (1, 2, 3)
            )
            # Level 0 of a quarter is half this sum, and at its sides 3 quarters a level: 3/2.
            for side in self._side:
                side[8 * quarter] += mean + (mean >> 1)

    def gap(self, band: int, sub: int) -> int:
        """Sum of the discontinuities at the sides that a level can reduce; its sign foretells the
        level's.

        Args:
            band: 0..127 of plane 0; 1..127 of four transforms.
            sub: 0..3.

        Returns:
            Neighbours' profiles minus the own ones so far, in quarters of a level; 0 for a side
            beyond which nothing is known.
        """
        (u, v), side, row, column = _FREQUENCIES[band], self._side, sub >> 1, sub & 1
        if not self._size:
            u, v = 2 * u + row, 2 * v + column
            gap = self._outer(LEFT, u, u, u, 16) if u < 16 else 0
            return gap + (self._outer(TOP, v, v, v, 8) if v < 8 else 0)
        first, gap = 8 * sub, 0
        if u < 8:
            if column:
                gap += side[RIGHT][first - 8 + u] - side[LEFT][first + u]
            else:
                gap += self._outer(LEFT, u, 8 * row + u, first + u, 8)
                inner = side[LEFT][first + 8 + u] - side[RIGHT][first + u]
                gap += -inner if v & 1 else inner
        if v < 8:
            if row:
                gap += side[BOTTOM][first - 16 + v] - side[TOP][first + v]
            else:
                gap += self._outer(TOP, v, 4 * column + v, first + v, 4)
                inner = side[TOP][first + 16 + v] - side[BOTTOM][first + v]
                gap += -inner if u & 1 else inner
        return gap

    def _outer(self, side: int, frequency: int, beyond: int, own: int, most: int) -> int:
        """The gap at the border left or above; 0 where it is not known."""
        known = self._knows_above if side else self._column > 0
        odd = self._turned[side] and not self._size and frequency & 1
        if not known or frequency >= most or odd:
            return 0
        gap = (self._top if side else self._left)[beyond] - self._side[side][own]
        if frequency == 0:
            # Levels 0, as `at_side` has them: 3 quarters a level, half of that of four transforms.
            step = self._steps[side]
            gap += step >> 1 if self._size else 2 * step
            gap += step
        return gap
