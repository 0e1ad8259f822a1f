"""Optimal scalar quantizers of a Laplacian variable (Lloyd 1957, Max 1960), in closed form."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

MAX_DEPTH = 8
"""Largest number of bits of a quantizer here."""

_TOLERANCE = 1e-9
_MAX_STEPS = 100_000
_FEW = 7
_RATE = np.sqrt(2.0)  # of unit variance


def _moments(bounds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mass and first moment of an exponential variable in the intervals between bounds."""
    tail = np.append(np.exp(-_RATE * bounds[:-1]), 0.0)
    weighted = np.append((bounds[:-1] + 1 / _RATE) * tail[:-1], 0.0)
    return -np.diff(tail), -np.diff(weighted)


@cache
def laplacian_quantizer(depth: int) -> tuple[NDArray[np.float64], float]:
    """The Lloyd-Max quantizer of a Laplacian variable of mean 0 and variance 1.

    Args:
        depth: bits, 0 to ``MAX_DEPTH``.

    Returns:
        The 2^depth points in rising order, float64, and the mean squared error. Thresholds are
        the middles between points. Log-concave densities have one such quantizer (Fleischer
        1964), so Lloyd's fixed point is the optimum.
    """
    if depth == 0:
        return np.zeros(1), 1.0
    half = 2 ** (depth - 1)
    points = -3 * np.log1p(-(np.arange(half) + 0.5) / half) / _RATE
    for _ in range(_MAX_STEPS):
        mass, moment = _moments(np.concatenate([[0.0], (points[1:] + points[:-1]) / 2, [np.inf]]))
        moved = moment / mass
        if np.abs(moved - points).max() < _TOLERANCE:
            break
        points = moved
    mass, _ = _moments(np.concatenate([[0.0], (moved[1:] + moved[:-1]) / 2, [np.inf]]))
    # A quantizer of centroids errs by the variance less that of its points.
    return np.concatenate([-moved[::-1], moved]), float(1.0 - np.sum(mass * moved * moved))


def quantize(values: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.intp]:
    """Indices of the nearest points, which are in rising order; of two as near the lower."""
    thresholds = (points[1:] + points[:-1]) / 2
    if len(thresholds) > _FEW:
        return np.searchsorted(thresholds, values)
    # Most quantizers are small, and comparing with each threshold is then much faster.
    indices = np.zeros(values.shape, np.intp)
    for threshold in thresholds:
        indices += values > threshold
    return indices
