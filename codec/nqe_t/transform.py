"""The transform stem of `nqe-t`: colour and a 32-point transform, in additions and shifts.

::

    uint8 (N, 32, 32, C)
        │  colour rows (1,1,1), (1,0,-1), (1,-2,1); gray: three times the sample
        ▼
    int (N, C, 32, 32)  ── rows, (+4) >> 3 ── columns, (+4) >> 3 ──►  int (N, C, 32, 32)
                              each by  8 T = 8 A + 2 B                  │ channel gain 1, 5/4, 3/4
                                                                        ▼
                                                             coefficients, one unit for all

``T`` is the 32-point DCT with rows of amplitude 1 (row 0: 3/4), written as two layers of quinary
weights: ``T = A + B / 4`` with A and B in {0, +-1/2, +-1}. Multiplying by such a weight is nothing,
an addition, or a shift and an addition. The sum resolves eighths, which keeps the coding gain of
the exact DCT within 0.1 dB, where A alone would lose 0.8 dB (our choice, because 6,144 bits of
weights buy the whole of it).

Units: a coefficient is about 27.7 (16 sqrt 3) times that of the orthonormal transform.
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.colour import (
    COLOUR,
    check_exact,
    colour_planes,
    cosine_rows,
    separable_transform,
)
from heqcodec.base.numerics import Arithmetic
from numpy.typing import NDArray

SIZE = 32
STAGE_SHIFT = 3
UNIT = 16.0 * 3.0**0.5
"""Coefficient per orthonormal coefficient (nominal)."""


def dct_layers() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The two quinary layers of the transform.

    Returns:
        A and B as integer levels -2..2 (a level is half a unit), int8 (32, 32), rows by frequency.
        ``T = (A + B / 4) / 2`` in units of 1.
    """
    rows = cosine_rows()
    rows[0] = 0.75
    coarse = np.rint(2 * rows)
    fine = np.rint(8 * (rows - coarse / 2))  # what is left is at most a quarter
    return coarse.astype(np.int8), fine.astype(np.int8)


class TransformStem:
    """The integer transform of a patch, and its float inverse.

    Args:
        coarse: int8 (32, 32), levels -2..2 of A.
        fine: int8 (32, 32), levels -2..2 of B.

    Attributes:
        matrices: ``8 T``, int32 (32, 32), alone.

    Raises:
        ValueError: a level is out of range, or a sum could pass 2^24 and so not be exact in
            float32.
    """

    def __init__(self, coarse: NDArray[np.int8], fine: NDArray[np.int8]) -> None:
        if max(np.abs(coarse).max(), np.abs(fine).max()) > 2:
            raise ValueError("the transform's weights are not quinary")
        # 8 T: a level of A is 4 eighths, a level of B one eighth.
        eighths = 4 * coarse.astype(np.int32) + fine.astype(np.int32)
        check_exact(eighths, STAGE_SHIFT)
        self.matrices = (eighths,)
        colour_inverse = np.linalg.inv(COLOUR.astype(np.float64))
        self._colour_inverse = colour_inverse.astype(np.float32)
        self._inverse = np.linalg.inv(eighths.astype(np.float64) / 8).astype(np.float32)

    @property
    def inverse_matrix(self) -> NDArray[np.float32]:
        """``T^-1``, float32 (32, 32)."""
        return self._inverse

    @property
    def colour_inverse(self) -> NDArray[np.float32]:
        """RGB from the three colour planes, float32 (3, 3)."""
        return self._colour_inverse

    def forward(
        self, patches: NDArray[np.uint8], arithmetic: Arithmetic = "float32"
    ) -> NDArray[np.int32]:
        """Coefficients of patches, exact integers.

        Args:
            patches: uint8 (N, 32, 32, C), C 1 or 3.
            arithmetic: what holds the integers on the way: "float32" (fast: BLAS), or "float64" or
                "int64" (references). All give the same; float32 is checked in the constructor.

        Returns:
            int32 (N, C, 32, 32), vertical frequency first; below 2^18 in magnitude.
        """
        x = colour_planes(patches).astype(arithmetic)
        matrix = self.matrices[0].astype(arithmetic)
        both = separable_transform(x, matrix, STAGE_SHIFT).astype(np.int32)
        if both.shape[1] == 3:
            first, second = both[:, 1], both[:, 2]
            both[:, 1] = first + (first >> 2)
            both[:, 2] = (second >> 1) + (second >> 2)
        return both


CHANNEL_GAIN = (1.0, 1.25, 0.75)
"""Gain of each colour plane after the transform: towards equal norms, by shifts and additions."""
