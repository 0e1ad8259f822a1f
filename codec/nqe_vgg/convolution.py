"""Convolutions of `nqe-vgg` over integers: by BLAS, and by integers alone to compare with; and how
many additions one takes."""

from __future__ import annotations

import numpy as np

from .layout import VggLayer


def convolve_floats(x: np.ndarray, levels: np.ndarray, layer: VggLayer) -> np.ndarray:
    """Zero-padded convolution as a matrix product: (N, H, W, in) to (N, H, W, out)."""
    pad, (count, height, width, _) = layer.kernel // 2, x.shape
    inputs, outputs = layer.inputs // layer.groups, layer.outputs // layer.groups
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    totals = np.empty((count, height, width, layer.outputs), dtype=x.dtype)
    windows = np.empty((count, height, width, layer.kernel**2, inputs), dtype=x.dtype)
    for group in range(layer.groups):
        source = padded[..., group * inputs : (group + 1) * inputs]
        for place in range(layer.kernel**2):
            top, left = divmod(place, layer.kernel)
            windows[..., place, :] = source[:, top : top + height, left : left + width]
        kernel = levels[group * outputs : (group + 1) * outputs].transpose(2, 3, 1, 0)
        matrix = kernel.reshape(-1, outputs).astype(x.dtype)
        product = windows.reshape(-1, len(matrix)) @ matrix
        totals[..., group * outputs : (group + 1) * outputs] = product.reshape(
            count, height, width, outputs
        )
    return totals


def convolve_integers(x: np.ndarray, weight: np.ndarray, layer: VggLayer) -> np.ndarray:
    """Zero-padded convolution as a product of integer matrices: (N, in, H, W) -> (N, out, H, W)."""
    pad = layer.kernel // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (layer.kernel, layer.kernel), axis=(2, 3)
    )
    n, _, height, width = windows.shape[:4]
    results = []
    for part, kernel in zip(
        np.split(windows, layer.groups, axis=1),
        np.split(weight, layer.groups, axis=0),
        strict=True,
    ):
        columns = part.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, -1)
        product = columns @ kernel.reshape(len(kernel), -1).T
        results.append(product.reshape(n, height, width, -1).transpose(0, 3, 1, 2))
    return np.concatenate(results, axis=1)


def meetings(taps: np.ndarray, side: int) -> int:
    """How often the weights of a zero-padded convolution meet a sample and not padding.

    Args:
        taps: (kernel, kernel), how many weights count at each place of the kernel.
        side: of the square plane.
    """
    offsets = np.abs(np.arange(len(taps)) - len(taps) // 2)
    inside = np.maximum(side - offsets, 0)
    return int((taps * inside[:, None] * inside[None, :]).sum())
