"""Quantized mean magnitudes of the bands of a patch, which the straight path takes.

::

    coefficients of a band ──► sum of magnitudes >> shift ──► level, in half octaves
      luma    largest of u, v:  1 │ 2 3 │ 4 5 │ 6..8 │ 9..16    each flat, steep and between
      chroma                    0 │ 1 │ 2 3 │ 4..8              of both planes

A level is twice the length of the sum in bits, and one more where the bit below the first is set:
shifts and comparisons.
"""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_t.transform import SIZE
from numpy.typing import NDArray

from .allocation import COEFFICIENTS, PLACES

LUMA_RINGS = ((1, 1), (2, 3), (4, 5), (6, 8), (9, 16))
CHROMA_RINGS = ((0, 0), (1, 1), (2, 3), (4, 8))
FINE_BITS = 4
"""Of a mean magnitude, too fine to matter."""


def band_numbers() -> NDArray[np.int64]:
    """The band of each coefficient of `PLACES`, int64 (243,); -1 for the mean of luma."""
    plane, u, v = np.unravel_index(PLACES, (3, SIZE, SIZE))
    largest = np.maximum(u, v)
    members = []
    for low, high in LUMA_RINGS:
        ring = (plane == 0) & (largest >= low) & (largest <= high)
        parts = (u > 2 * v, v > 2 * u, (u <= 2 * v) & (v <= 2 * u))
        members += [ring & part for part in parts]
    for chroma in (1, 2):
        for low, high in CHROMA_RINGS:
            members.append((plane == chroma) & (largest >= low) & (largest <= high))
    numbers = np.full(COEFFICIENTS, -1)
    for number, chosen in enumerate(members):
        numbers[chosen] = number
    return numbers


BAND_OF = band_numbers()
BANDS = int(BAND_OF.max()) + 1
BAND_SIZES = np.bincount(BAND_OF[BAND_OF >= 0])
BAND_SHIFTS = np.ceil(np.log2(BAND_SIZES)).astype(np.int64) + FINE_BITS
"""Makes a mean of a sum, but for less than an octave that depends on the band alone."""


def band_levels(coefficients: NDArray[np.int32]) -> NDArray[np.int64]:
    """Levels of all bands.

    Args:
        coefficients: int32 (N, C, 32, 32); with C 1, bands of chroma have level 0.

    Returns:
        int64 (N, 23), below 40.
    """
    flat = coefficients.reshape(len(coefficients), -1)
    there = flat.shape[1] > PLACES
    magnitudes = np.abs(flat[:, PLACES[there]].astype(np.int64))
    sums = np.zeros((len(flat), BANDS), dtype=np.int64)
    for band in range(BANDS):
        sums[:, band] = magnitudes[:, BAND_OF[there] == band].sum(axis=1) >> BAND_SHIFTS[band]
    # frexp gives the length in bits of integers below 2^53.
    length = np.frexp(sums.astype(np.float64))[1].astype(np.int64)
    below = (sums >> np.maximum(length - 2, 0)) & 1
    return 2 * length + np.where(length > 1, below, 0)
