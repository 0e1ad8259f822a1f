"""Multi-scale structural similarity in numpy (Wang, Simoncelli and Bovik 2003)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first."""
TAPS, SIGMA = 11, 1.5
"""Of the Gaussian window."""
_LUMINANCE, _CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def multi_scale_similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """MS-SSIM of two images, the mean over their channels, 0 to 1.

    In float64, so that equal images give exactly 1. Sides that turn odd are padded with zeros
    before they are halved, as pytorch-msssim and with it CompressAI have it.

    Args:
        a, b: uint8 (H, W, C) of equal shapes, each side at least ``(TAPS - 1) * 2**4 + 1``.
    """
    x, y = (np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float64) for image in (a, b))
    similarity = np.ones(len(x))
    for scale, weight in enumerate(WEIGHTS):
        luminance, contrast = _terms(x, y)
        last = scale == len(WEIGHTS) - 1
        term = (luminance * contrast if last else contrast).mean(axis=(1, 2))
        similarity *= np.maximum(term, 0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return float(similarity.mean())


def _terms(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Luminance term and contrast-structure term at each place of the window."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    squares_x, squares_y, product = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variances = (_blurred(x * x) - squares_x) + (_blurred(y * y) - squares_y)
    covariance = _blurred(x * y) - product
    luminance = (2 * product + _LUMINANCE) / (squares_x + squares_y + _LUMINANCE)
    return luminance, (2 * covariance + _CONTRAST) / (variances + _CONTRAST)


def gaussian_window() -> NDArray[np.float64]:
    """The taps, of sum 1. pytorch-msssim rounds them to float32, which moves the sixth digit."""
    distance = np.arange(TAPS) - TAPS // 2
    taps = np.exp(-(distance**2) / (2 * SIGMA**2))
    return np.asarray(taps / taps.sum())


def _blurred(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian window over (C, H, W), where it lies inside: (C, H - 10, W - 10)."""
    window = gaussian_window()
    high, wide = planes.shape[1] - TAPS + 1, planes.shape[2] - TAPS + 1
    rows = window[0] * planes[:, :high]
    for tap in range(1, TAPS):
        rows += window[tap] * planes[:, tap : tap + high]
    out = window[0] * rows[:, :, :wide]
    for tap in range(1, TAPS):
        out += window[tap] * rows[:, :, tap : tap + wide]
    return out


def _halved(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2x2 samples; an odd side begins with a zero, which counts."""
    odd = [(0, 0), *((side % 2, 0) for side in planes.shape[1:])]
    even = np.pad(planes, odd)
    rows = even[:, ::2] + even[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
