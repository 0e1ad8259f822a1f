"""Patches as three planes of an orthonormal colour transform, in exact integers on the way in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 32
PIXELS = SIDE * SIDE
SAMPLES = 3 * PIXELS
"""Numbers in a patch: three planes of 32x32."""

COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]])
"""Luma, red against blue, green against both: orthogonal, and additions and a shift suffice.

Our choice, because the principal axes of colour in photographs lie close to it (0.02 dB between
them and this in ``patch-klt`` at 256 bits).
"""
NORMS = np.sqrt((COLOUR * COLOUR).sum(axis=1).astype(np.float64))
"""Lengths of the rows of ``COLOUR``; integer planes divided by them are orthonormal."""

_GRAY = 128
_FRACTION_BITS = 12


def integer_planes(patches: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Colour planes about mid-gray.

    Args:
        patches: uint8 (N, 32, 32, 3), RGB.

    Returns:
        int32 (N, 3, 32, 32), below 512 in magnitude.
    """
    centred = patches.astype(np.int32) - _GRAY
    red, green, blue = centred[..., 0], centred[..., 1], centred[..., 2]
    outer = red + blue
    return np.stack([outer + green, red - blue, outer - 2 * green], axis=1)


def pixels_of(planes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pixels of orthonormal planes, rounded and clipped.

    Args:
        planes: float64 (N, 3, 32, 32): the integer planes, divided by ``NORMS``.

    Returns:
        uint8 (N, 32, 32, 3).
    """
    rgb = np.einsum("ncij,ck->nijk", planes, COLOUR / NORMS[:, None])
    return np.clip(np.rint(rgb + _GRAY), 0, 255).astype(np.uint8)


def fixed_point(matrix: NDArray[np.float64]) -> NDArray[np.int16]:
    """An orthonormal matrix in steps of 2^-12."""
    return np.rint(matrix * 2**_FRACTION_BITS).astype(np.int16)


def coefficients(planes: NDArray[np.int32], matrices: NDArray[np.int16]) -> NDArray[np.float64]:
    """Separable orthonormal transform of each plane, the same on every machine.

    All sums are of integers below 2^53 in float64, so they are exact in any order, and a file does
    not depend on how a library orders them.

    Args:
        planes: int32 (N, 3, 32, 32) of :func:`integer_planes`.
        matrices: int16 (3, 32, 32) of :func:`fixed_point`, rows by rising frequency.

    Returns:
        float64 (N, 3, 32, 32), vertical index first; orthonormal up to the steps of the matrix.
    """
    rows = matrices.astype(np.float64)
    exact = rows @ planes.astype(np.float64) @ rows.swapaxes(1, 2)
    exact *= (2.0 ** (-2 * _FRACTION_BITS) / NORMS)[:, None, None]
    return exact


def planes_of(
    coefficients: NDArray[np.float64], matrices: NDArray[np.int16]
) -> NDArray[np.float64]:
    """Orthonormal planes of coefficients: the transposed matrices of :func:`coefficients`."""
    rows = matrices.astype(np.float64) * 2.0**-_FRACTION_BITS
    result: NDArray[np.float64] = rows.swapaxes(1, 2) @ coefficients @ rows
    return result


def dct_matrix() -> NDArray[np.float64]:
    """The orthonormal 32-point DCT (type II), float64 (32, 32), rows by rising frequency."""
    frequency, sample = np.arange(SIDE)[:, None], np.arange(SIDE)[None, :]
    rows = np.cos((2 * sample + 1) * frequency * np.pi / (2 * SIDE)) * np.sqrt(2 / SIDE)
    rows[0] = np.sqrt(1 / SIDE)
    return rows
