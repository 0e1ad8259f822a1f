"""The integer colour transform that both transform codecs begin with, and passes of a transform."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.int8)
PIXEL_OFFSET = np.array([-384, 0, 0], dtype=np.int32)


def colour_planes(patches: NDArray[np.uint8]) -> NDArray[np.int32]:
    """uint8 (N, 32, 32, C), C 1 or 3, to int32 (N, C, 32, 32); gray is three times the sample."""
    pixels = patches.astype(np.int32)
    if patches.shape[-1] == 1:
        planes = 3 * pixels + PIXEL_OFFSET[0]
    else:
        # By the rows of COLOUR: a product of integer matrices has no BLAS.
        red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
        outer = red + blue
        planes = np.stack([outer + green, red - blue, outer - 2 * green], axis=-1) + PIXEL_OFFSET
    return np.ascontiguousarray(np.moveaxis(planes, -1, 1))


def cosine_rows() -> NDArray[np.float64]:
    """The 32-point DCT-II, float64 (32, 32), rows by frequency; each has a largest value of 1."""
    frequency, sample = np.arange(32)[:, None], np.arange(32)[None, :]
    return np.cos((2 * sample + 1) * frequency * np.pi / 64)


def check_exact(matrix: NDArray[np.int32], shift: int) -> None:
    """Refuse a matrix with which `separable_transform`, of colour planes, could not be exact in
    float32.

    Raises:
        ValueError: a sum could reach 2^24.
    """
    gain, half = int(np.abs(matrix).sum(axis=1).max()), 1 << (shift - 1)
    first = 510 * gain  # colour planes are -510 to 510
    second = ((first + half) >> shift) * gain
    if max(first, second) + half >= 1 << 24:
        raise ValueError("the transform's sums do not fit the 24 bits of float32")


def separable_transform(fields: NDArray[Any], matrix: NDArray[Any], shift: int) -> NDArray[Any]:
    """Rows, then columns of fields (..., n, n) by a matrix (n, n), each rounded.

    Args:
        fields, matrix: integers, of one dtype, an integer or a float that holds all sums exactly.
        shift: each sum becomes ``(sum + half) >> shift``, half of ``1 << shift``.
    """
    return _round_shift(matrix @ _round_shift(fields @ matrix.T, shift), shift)


def _round_shift(sums: NDArray[Any], shift: int) -> NDArray[Any]:
    half = 1 << (shift - 1)
    if sums.dtype.kind == "i":
        return (sums + half) >> shift
    # Of integers held in floats the floor of an exact quotient.
    return np.floor((sums + half) * sums.dtype.type(1 / (1 << shift)))
