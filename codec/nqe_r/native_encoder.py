"""The variable-rate encoder by the C extension: the kernels that a microcontroller has, too.

`heqcodec.export` writes the same sources as a program of their own (codec/native/heq_transform.c,
heq_levels.c). Where the processor has vectors they are the fast ones (heq_transform_fast.c,
heq_levels_fast.c); all numbers are those of `heqcodec.nqe_r.transform` and
`heqcodec.nqe_r.quantizer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.native.transform_packing import PackedTransform, pack_transform
from numpy.typing import NDArray

from .cost_layer import QUINARY, CostLayer
from .transform import STAGE_SHIFT, TRANSFORM_SIZES, RateStem

DIGIT_BITS = 3


class NativeEncoder:
    """Coefficients and levels of patches.

    Args:
        extension: the module ``heqcodec._native``.
        stem: the transforms.
        layer: decides between levels of 0 and 1.
    """

    def __init__(self, extension: Any, stem: RateStem, layer: CostLayer) -> None:
        self._extension = extension
        self._stem = stem
        self._transform = _packed_transform(stem)
        self._layer = (packed_near(layer), packed_cross(layer), layer.bias, layer.shifts)

    def coefficients(self, patches: NDArray[np.uint8]) -> NDArray[np.int32]:
        """uint8 (N, 32, 32, C) to int32 (N, 2, C, 1024); see `RateStem.forward`."""
        packed = self._transform
        if packed is None:
            return self._stem.forward(patches)
        count, *sides, channels = patches.shape
        made = np.empty((count, TRANSFORM_SIZES, channels, sides[0] * sides[1]), dtype=np.int32)
        self._extension.rate_coefficients(
            packed.large,
            packed.small,
            packed.layers,
            packed.shift,
            np.ascontiguousarray(patches),
            channels,
            made,
        )
        return made

    def levels(
        self, coefficients: NDArray[np.int32], steps: NDArray[np.int32]
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Sizes and levels; see `heqcodec.nqe_r.quantizer.choose_levels`."""
        count, _, planes, amount = coefficients.shape
        levels = np.empty((count, planes, amount), dtype=np.int16)
        transform_sizes = np.empty(count, dtype=np.uint8)
        self._extension.rate_levels(
            *self._layer,
            np.ascontiguousarray(steps),
            np.ascontiguousarray(coefficients),
            planes,
            levels,
            transform_sizes,
        )
        return levels, transform_sizes


def _packed_transform(stem: RateStem) -> PackedTransform | None:
    """The transform as C holds it, or None: it is not even and odd in turn, as a DCT is."""
    try:
        return pack_transform(stem.layers, STAGE_SHIFT)
    except HeqError:
        return None


def packed_near(layer: CostLayer) -> NDArray[np.uint8]:
    """The 5x5 weights of the cost layer, plus 2, in three bit planes.

    Returns:
        uint8 (24, 3, 13): by transform size, plane and sub; by bit, lowest first; 100 bits, by
        neighbour and its sub, the first in the lowest bit of a byte.
    """
    # From (size, plane, sub, other sub, du, dv) to (size, plane, sub, du, dv, other sub).
    by_cell = np.moveaxis(layer.near, 3, -1).reshape(-1, 1, layer.near[0, 0, 0].size)
    return np.packbits(_digit_bits(by_cell), axis=-1, bitorder="little")


def packed_cross(layer: CostLayer) -> NDArray[np.uint8]:
    """The weights of the other planes, plus 2, in three bit planes: uint8 (3, 6), lowest first."""
    bits = _digit_bits(layer.cross.reshape(1, -1))
    return np.packbits(bits, axis=-1, bitorder="little")


def _digit_bits(digits: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Bits of digits -2..2 plus 2, (..., 1, n) to (..., 3, n)."""
    shifts = np.arange(DIGIT_BITS, dtype=np.uint8)[:, None]
    return ((digits + QUINARY).astype(np.uint8) >> shifts) & np.uint8(1)
