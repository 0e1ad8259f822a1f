"""Blur in linear light, before the sensor: defocus, and motion of camera or object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

LARGEST_DEFOCUS = 2.5
"""Radius of the disc in pixels; beyond, nothing is left that a codec could lose."""
LONGEST_MOTION = 9.0
"""Pixels."""
OVERSAMPLING = 5
"""Points along a side of a pixel that kernels are counted on."""


def defocus_kernel(radius: float) -> NDArray[np.float32]:
    """A disc of a radius in pixels, of sum 1, odd side."""
    return _counted(radius, lambda x, y: x**2 + y**2 <= max(radius, 0.5) ** 2)


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """A line a pixel wide of a length in pixels at an angle in radians, of sum 1, odd side."""
    along, across = np.cos(angle), np.sin(angle)
    return _counted(
        length / 2 + 0.5,
        lambda x, y: (
            (np.abs(along * x + across * y) <= length / 2 + 0.5)
            & (np.abs(along * y - across * x) <= 0.5)
        ),
    )


def _counted(reach, inside) -> NDArray[np.float32]:  # type: ignore[no-untyped-def]
    half = int(np.ceil(reach))
    count = (2 * half + 1) * OVERSAMPLING
    place = (np.arange(count) + 0.5) / OVERSAMPLING - half - 0.5
    hit = inside(place[None, :], place[:, None]).astype(np.float32)
    side = 2 * half + 1
    kernel = hit.reshape(side, OVERSAMPLING, side, OVERSAMPLING).sum(axis=(1, 3))
    return kernel / kernel.sum()


def blurred(linear: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Linear light (H, W, 3) through a drawn defocus or motion."""
    if rng.random() < 0.5:
        kernel = defocus_kernel(rng.uniform(0.6, LARGEST_DEFOCUS))
    else:
        kernel = motion_kernel(rng.uniform(1.5, LONGEST_MOTION), rng.uniform(0, np.pi))
    return np.stack(
        [convolve(linear[..., plane], kernel, mode="nearest") for plane in range(3)], axis=-1
    )
