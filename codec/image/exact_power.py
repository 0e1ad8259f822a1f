"""Powers of arrays that are the same to the last bit on every machine.

C libraries and vector units differ in the last digits of ``pow``. What is built from single
additions, multiplications and divisions does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["exp2", "log2", "power"]

_LN_2 = 0.6931471805599453
_ROOT_HALF = 0.7071067811865476


def power(base: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """``base`` to the power of ``exponent``, relative error below 1e-13.

    Args:
        base: float64, 0 or more; 0 gives 0, and 1 gives 1.
        exponent: above 0, so that the result stays within range.
    """
    positive = base > 0
    made = exp2(log2(np.where(positive, base, 1.0)) * exponent)
    return np.where(positive, made, 0.0)


def log2(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of positive float64 to base 2."""
    fraction, whole = np.frexp(values)
    low = fraction < _ROOT_HALF
    fraction, whole = np.where(low, 2 * fraction, fraction), whole - low
    # ln f = 2 artanh((f - 1) / (f + 1)), whose argument is at most 0.172.
    ratio = (fraction - 1) / (fraction + 1)
    square = ratio * ratio
    series = np.zeros_like(ratio)
    for odd in range(25, 0, -2):
        series = series * square + 1 / odd
    return whole + series * ratio * (2 / _LN_2)


def exp2(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 to the power of float64 of moderate size."""
    whole = np.rint(values)
    rest = (values - whole) * _LN_2
    # Taylor's series, by Horner's rule; the argument is at most 0.347.
    series = np.ones_like(rest)
    for term in range(17, 0, -1):
        series = 1 + series * rest / term
    return np.ldexp(series, whole.astype(np.int32))
