"""Bit planes of the 32x32 DCT, cut at the budget: ``patch-dct``."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .cost import EncoderCost
from .dct_code import MAX_PLANES, decode, encode
from .patch_codec import PatchCodec
from .planes import (
    SAMPLES,
    SIDE,
    coefficients,
    dct_matrix,
    fixed_point,
    integer_planes,
    pixels_of,
    planes_of,
)

_CENTRE = 0.4
"""Where in its interval a coefficient is rebuilt; 0.5 would be the middle. Best of 0.35 to 0.5 on
validation photographs."""
_CHROMA_KEY, _LUMA_KEY = 7, 2


@cache
def scan_order() -> NDArray[np.intp]:
    """Places of all coefficients, (3072,), by falling energy: zig-zag, and chroma later.

    A diagonal of chroma comes with the diagonal of luma of 3.5 times its number (best of 2 to 5
    on validation photographs).
    """
    plane, row, column = np.indices((3, SIDE, SIDE)).reshape(3, -1)
    key = (row + column) * np.where(plane > 0, _CHROMA_KEY, _LUMA_KEY)
    return np.lexsort((column, row, plane, key))


class BitPlaneDct(PatchCodec):
    """An embedded bit-plane code of the DCT of each patch, cut at the budget.

    Colour planes (sum, red against blue, green against both), a 32x32 DCT of each (best of 16 and
    32 by 0.5 dB), all 3072 coefficients in one zig-zag order, magnitudes in units of an
    orthonormal coefficient of 1, bit planes from the top with significance and refinement passes
    and adaptive run lengths (``dct_code.py``). No tables, no arithmetic coder; a shorter code is
    the beginning of a longer one.

    Cost, on paper: colour 4 additions; a 32-point DCT by Lee's algorithm 80 multiplications and
    209 additions, twice for each of 3 samples a pixel: 15 and 39.2; scaling 3 multiplications;
    the scan, 3 comparisons a pixel for each of some 8 bit planes that fit in the budget: 24.
    Memory: coefficients of three planes as 16-bit integers (6,144, over the pixels), flags of
    significance (384), the code (32).
    """

    name = "patch-dct"
    about = (
        "bit planes of the 32x32 DCT of each patch in zig-zag order with adaptive run lengths "
        "(after Malvar 2000), cut at equal bits; no tables"
    )
    kind = 2
    cost = EncoderCost(
        multiplications_per_pixel=18.0,
        additions_per_pixel=67.2,
        memory_bytes=6_560,
        note="by a fast DCT; the scan of the bit planes depends on the patch",
    )

    def __init__(self) -> None:
        self._matrices = np.repeat(fixed_point(dct_matrix())[None], 3, axis=0)

    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        exact = coefficients(integer_planes(patches), self._matrices)
        exact = exact.reshape(len(patches), -1)[:, scan_order()]
        values = np.trunc(exact)
        values[:, 0] = np.floor(exact[:, 0])
        limit = 2**MAX_PLANES - 1
        values = np.clip(values, -limit, limit).astype(np.int32)
        codes = [encode(row, bits) for row in values]
        return np.packbits(np.stack(codes), axis=1)

    def decode_patches(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        values = np.zeros((len(codes), SAMPLES))
        for row, code in zip(values, np.unpackbits(codes, axis=1), strict=True):
            known = decode(code, SAMPLES)
            row[:] = known.low + _CENTRE * known.width
            row[known.negative] *= -1
            row[0] = known.low[0] + known.width[0] / 2
        planes = np.empty_like(values)
        planes[:, scan_order()] = values
        return pixels_of(planes_of(planes.reshape(-1, 3, SIDE, SIDE), self._matrices))
