"""The integer transforms of the variable-rate encoder: 32 points, or four times 16, in additions.

::

    uint8 (N, 32, 32, C)
        │  colour rows (1,1,1), (1,0,-1), (1,-2,1); gray: three times the sample
        ▼
    int (N, C, 32, 32) ─┬─ rows, columns by T32, each (+16) >> 5 ─────────────────► size 0
                        └─ quarters: rows, columns by T16, each (+16) >> 5
                             └─ their four means: sums and differences, (+1) >> 1 ─► size 1

``T32 = A + B / 4 + C / 16`` with A, B, C in {0, +-1/2, +-1}: three layers of quinary weights, so
that multiplying is nothing, an addition, or a shift and an addition. One layer alone loses 0.67 dB
of coding gain against the exact DCT, two 0.04 dB, three 0.002 dB (first-order Markov source,
correlation 0.95; our choice, because 9,216 bits buy the whole of it). Its even rows, cut to 16
samples, are ``T16``; a device computes both with the usual butterflies, which changes no sum.

Coefficients are integers in the order of `heqcodec.nqe_r.layout`; the unit differs by transform
size and colour plane, and the steps of `heqcodec.nqe_r.quantizer` follow it.
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.colour import check_exact, colour_planes, cosine_rows, separable_transform
from heqcodec.base.numerics import Arithmetic
from numpy.typing import NDArray

from .layout import BANDS, LEVELS, SUBS, cell_places, map_levels

SIZE = 32
QUARTER = 16
TRANSFORM_SIZES = 2
LAYERS = 3
STAGE_SHIFT = 5
MEAN_ROW = 0.8125
"""Amplitude of row 0; the other rows have sqrt(2) times as much, for equal norms."""
ROUNDING_GAIN = 1.01
"""Quinary layers round the rows of frequency down by about 1 %: undone beforehand."""


def dct_layers() -> NDArray[np.int8]:
    """The quinary layers of the transform.

    Returns:
        Levels -2..2 of A, B and C (a level is half a unit), int8 (3, 32, 32), rows by frequency.
    """
    rows = cosine_rows()
    rows *= MEAN_ROW * 2**0.5 * ROUNDING_GAIN
    rows[0] = MEAN_ROW
    layers = np.empty((LAYERS, SIZE, SIZE))
    for index, layer in enumerate(layers):
        layer[:] = np.clip(np.rint(2 * 4.0**index * rows), -2, 2)
        rows -= layer / (2 * 4.0**index)
    return layers.astype(np.int8)


class RateStem:
    """Both transforms of patches, in exact integers.

    Args:
        layers: int8 (3, 32, 32), levels -2..2 of A, B and C.

    Attributes:
        layers: as given.
        matrices: ``32 T32`` int32 (32, 32) and ``32 T16`` int32 (16, 16).

    Raises:
        ValueError: a level is out of range, or a sum could pass 2^24 and so not be exact in
            float32.
    """

    def __init__(self, layers: NDArray[np.int8]) -> None:
        if layers.shape != (LAYERS, SIZE, SIZE) or np.abs(layers).max() > 2:
            raise ValueError("the transform's weights are not three quinary layers of 32x32")
        weights = np.array([16, 4, 1], dtype=np.int32)[:, None, None]
        large = (weights * layers.astype(np.int32)).sum(axis=0)
        check_exact(large, STAGE_SHIFT)
        self.layers = layers
        self.matrices = large, np.ascontiguousarray(large[::2, :QUARTER])

    def forward(
        self, patches: NDArray[np.uint8], arithmetic: Arithmetic = "float32"
    ) -> NDArray[np.int32]:
        """Coefficients of patches in both transform sizes.

        Args:
            patches: uint8 (N, 32, 32, C), C 1 or 3.
            arithmetic: what holds the integers on the way: "float32" (fast: BLAS), or "float64" or
                "int64" (references). All give the same; float32 is checked in the constructor.

        Returns:
            int32 (N, 2, C, 1024), by transform size; below 2^19 in magnitude.
        """
        planes = colour_planes(patches).astype(arithmetic)
        count, channels = planes.shape[:2]
        both = np.empty((count, TRANSFORM_SIZES, channels, LEVELS), dtype=np.int32)
        large, small = (matrix.astype(arithmetic) for matrix in self.matrices)
        field = separable_transform(planes, large, STAGE_SHIFT)
        both[:, 0] = field.reshape(count, channels, LEVELS)[..., cell_places()]
        quarters = planes.reshape(count, channels, 2, QUARTER, 2, QUARTER).swapaxes(3, 4)
        fields = separable_transform(quarters, small, STAGE_SHIFT).astype(np.int32)
        both[:, 1] = _combine_means(_by_band(fields)).reshape(count, channels, LEVELS)
        return both


def _by_band(fields: NDArray[np.int32]) -> NDArray[np.int32]:
    """Quarters (..., 2, 2, 16, 16) to (..., BANDS, SUBS)."""
    maps = fields.reshape(*fields.shape[:-4], SUBS, QUARTER, QUARTER)
    return map_levels(maps).reshape(*fields.shape[:-4], BANDS, SUBS)


def _combine_means(bands: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums and differences of the four means: a Hadamard step, halved."""
    a, b, c, d = np.moveaxis(bands[..., 0, :], -1, 0)
    top, bottom, left, right = a + b, c + d, a - b, c - d
    sums = np.stack([top + bottom, left + right, top - bottom, left - right], axis=-1)
    bands[..., 0, :] = (sums + 1) >> 1
    return bands
