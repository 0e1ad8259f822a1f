"""Additions and shifts of an encoder's layers; `layers.layer_operations` adds them up for `heqcodec
export report` and `heqcodec eval complexity`.

An addition for each weight that is not 0 wherever it meets a sample and not padding, a shift for
each of magnitude two; comparisons are additions. Transforms go by even/odd butterflies, as in the
C source; nothing else is shared between sums.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from heqcodec.native.transform_packing import SMALLEST
from heqcodec.nqe_r.layout import LEVELS, SUBS
from heqcodec.nqe_vgg.convolution import meetings
from numpy.typing import NDArray

PLANES = 3
BAND_SIDE = 16
"""Bands of a plane, a side."""
INDEX_ADDITIONS, INDEX_SHIFTS = 4, 2
"""For the index of a threshold from the two sums of the cost layer: their sum, bias minus it, two
limits; the bias and the difference shifted. The shifts of the sums are counted where they are not
0."""
MEANS_ADDITIONS, MEANS_SHIFTS = 12, 4
"""The four means of a plane of quarters: four sums and differences, again four, ``(+1) >> 1``."""


class Operations(NamedTuple):
    """How many additions and shifts something takes."""

    additions: float
    shifts: float

    def times(self, factor: float) -> Operations:
        """These operations, ``factor`` times."""
        return Operations(factor * self.additions, factor * self.shifts)

    def plus(self, other: Operations) -> Operations:
        """The sum of these operations and others."""
        return Operations(self.additions + other.additions, self.shifts + other.shifts)


def weight_operations(weights: NDArray[np.integer]) -> Operations:
    """Of weights that meet one sample each."""
    magnitudes = np.abs(weights.astype(np.int64))
    return Operations(float(np.count_nonzero(magnitudes)), float((magnitudes == 2).sum()))


def colour_operations() -> Operations:
    """The three colour planes of a pixel, with their offset."""
    found = weight_operations(COLOUR)
    offsets = float(np.count_nonzero(PIXEL_OFFSET))
    return Operations(found.additions - len(COLOUR) + offsets, found.shifts)


def vector_operations(layers: NDArray[np.int8]) -> Operations:
    """The sums of all layers for one vector, by butterflies while rows are even and odd in turn.

    The sums and differences of samples at equal distance from the ends come first, an addition
    each; odd rows then need half their weights, and even rows are a transform of half the points,
    down to four.

    Args:
        layers: int8 (L, points, points).
    """
    points = layers.shape[-1]
    half = points // 2
    signs = (1 - 2 * (np.arange(points) & 1)).astype(np.int8)
    if points <= SMALLEST or (layers != signs[:, None] * layers[..., ::-1]).any():
        return weight_operations(layers)
    odd = weight_operations(layers[:, 1::2, :half])
    even = vector_operations(layers[:, ::2, :half])
    return Operations(float(points), 0.0).plus(odd).plus(even)


def pass_operations(layers: NDArray[np.int8]) -> Operations:
    """One pass of a transform, rows or columns, over the three planes, a pixel.

    A coefficient is put together from its L sums, each worth four times the next, L - 1 additions
    and shifts, and rounded, one of each.

    Args:
        layers: int8 (L, points, points).
    """
    each = vector_operations(layers).times(1 / layers.shape[-1])
    return each.plus(Operations(len(layers), len(layers))).times(PLANES)


def means_operations() -> Operations:
    """The step over the means of quarters, a pixel."""
    return Operations(MEANS_ADDITIONS, MEANS_SHIFTS).times(PLANES / LEVELS)


def gain_operations(gain: float) -> Operations:
    """A factor as shifts and additions: one term for each 1 in its binary expansion."""
    exact = Fraction(gain)
    terms = bin(exact.numerator).count("1")
    # A term of weight 1 needs no shift.
    ones = (exact.numerator // exact.denominator) & 1
    return Operations(terms - 1, terms - ones)


def near_operations(near: NDArray[np.int8]) -> Operations:
    """The sums of the cost layer over levels of the same plane, a patch.

    Args:
        near: int8 (3, SUBS, SUBS, 5, 5), of one transform size.
    """
    magnitudes = np.abs(near.astype(np.int64))
    additions, shifts = (
        float(sum(meetings(plane.sum((0, 1)), BAND_SIDE) for plane in met))
        for met in (magnitudes > 0, magnitudes == 2)
    )
    return Operations(additions, shifts)


def cross_operations(cross: NDArray[np.int8]) -> Operations:
    """The sums of the cost layer over levels of the other planes, a patch.

    Args:
        cross: int8 (3, SUBS, 2), of one transform size.
    """
    return weight_operations(cross).times(LEVELS // SUBS)


def index_operations(shifts: NDArray[np.integer]) -> Operations:
    """The indices of thresholds from these sums, a patch.

    Args:
        shifts: int (2,), of the two sums.
    """
    each = Operations(INDEX_ADDITIONS, INDEX_SHIFTS + float(np.count_nonzero(shifts)))
    return each.times(PLANES * LEVELS)
