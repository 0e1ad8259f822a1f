"""The transform's weights in bit planes, as codec/native/heq_transform.c reads them, and bounds.

Rows of the transform are even or odd about their middle, so that a transform of n points is one of
n / 2 points, of sums, and a product of half the size, of differences. What is left are four squares
of weights: odd rows of 32 points (16x16), of 16 (8x8) and of 8 (4x4), and all rows of 4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from numpy.typing import NDArray

POINTS = 32
SMALLEST = 4
"""Points of the transform that is not halved any more."""
DIGIT_BITS = 3
LARGEST_DIGIT = 2
LARGEST_SAMPLE = 510
"""Magnitude of a colour plane's sample."""


class PackedTransform(NamedTuple):
    """A transform as the device holds it.

    Attributes:
        large: uint8, the square of 16x16: of each row, layer and bit (highest first) 16 bits.
        small: uint8, the squares of 8x8, 4x4 and 4x4 likewise, in a byte each.
        layers: of digits; each is worth four times the next.
        shift: rounding of the sums of each stage.
        field: largest magnitude after the rows.
        sum: largest magnitude of any sum.
    """

    large: NDArray[np.uint8]
    small: NDArray[np.uint8]
    layers: int
    shift: int
    field: int
    sum: int


def pack_transform(layers: NDArray[np.int8], shift: int) -> PackedTransform:
    """Pack the layers of a transform of 32 points.

    Args:
        layers: int8 (L, 32, 32), digits -2..2, rows by frequency.
        shift: of the rounding, at least 1.

    Raises:
        HeqError: rows are not even and odd in turn, or sums do not fit the types of the C source.
    """
    packed = [_packed(square) for square in squares(layers)]
    field, largest = _bounds(layers, shift)
    if field >= 1 << 15 or largest >= 1 << 31:
        raise HeqError(
            f"the transform's sums reach {field} and {largest}, more than 16 and 32 bits hold; "
            "this model cannot be exported."
        )
    return PackedTransform(
        packed[0], np.concatenate(packed[1:]), len(layers), shift, field, largest
    )


def squares(layers: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """The digits that are left of a transform of n points, (L, m, m) for m = n / 2 to 4, and 4.

    Raises:
        HeqError: rows are not even and odd in turn.
    """
    rows, made = layers, []
    while rows.shape[-1] > SMALLEST:
        half = rows.shape[-1] // 2
        mirrored = rows[..., ::-1]
        even, odd = rows[:, ::2], rows[:, 1::2]
        if (even != mirrored[:, ::2]).any() or (odd != -mirrored[:, 1::2]).any():
            raise HeqError(
                "the rows of the transform are not even and odd in turn about their middle; "
                "this model cannot be exported."
            )
        made.append(odd[..., :half])
        rows = even[..., :half]
    return [*made, rows]


def _packed(square: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Digits (L, n, n) to bytes by row, layer, bit from the highest, and column."""
    stored = (square + LARGEST_DIGIT).astype(np.uint8).swapaxes(0, 1)
    shifts = np.arange(DIGIT_BITS - 1, -1, -1, dtype=np.uint8)[:, None]
    bits = (stored[:, :, None, :] >> shifts) & np.uint8(1)
    return np.packbits(bits, axis=-1, bitorder="little").reshape(-1)


def _bounds(layers: NDArray[np.int8], shift: int) -> tuple[int, int]:
    """Largest magnitudes after the rows, and of any sum on the way.

    Partial sums are bounded by stored digits, 0..4, all samples at their largest: the samples that
    a bit plane names, doubled up to three times, and all layers.
    """
    worth = 4 ** np.arange(len(layers) - 1, -1, -1)
    matrix = np.abs((worth[:, None, None] * layers.astype(np.int64)).sum(axis=0))
    field = (LARGEST_SAMPLE * int(matrix.sum(axis=1).max()) + (1 << shift)) >> shift
    stored = 2 * LARGEST_DIGIT * int(worth.sum())
    return field, 2 * POINTS * stored * field
