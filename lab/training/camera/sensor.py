"""A sensor under a Bayer mosaic: shot and read noise, and two ways to fill in the mosaic.

::

    scene (H, W, 3), linear ─► mosaic RGGB ─► + sqrt(gain x + read^2) noise ─► demosaicing ─► RGB

Variance grows with light: ``gain`` times the signal from photons, and ``read`` squared from the
amplifier (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image
raw-data", 2008). Signals are fractions of the full well. Noise is drawn before the mosaic is filled
in, so that it comes out in spots and not pixel by pixel, as in files of cameras.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

LOG_GAIN = (-10.0, -5.3)
"""Natural logarithm of the gain, drawn evenly: 5e-5 (base sensitivity, 20,000 electrons) to 5e-3
(high sensitivity, 200 electrons)."""
LOG_READ = (-8.0, -4.6)
"""Natural logarithm of the read noise, of the full well: 0.0003 to 0.01."""

_CROSS = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
_SQUARE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def noise_levels(rng: np.random.Generator) -> tuple[float, float]:
    """A gain and a read noise."""
    gain = rng.uniform(*LOG_GAIN)
    # Both rise with the sensitivity; sensors differ by a factor of about two either way.
    place = (gain - LOG_GAIN[0]) / (LOG_GAIN[1] - LOG_GAIN[0])
    read = LOG_READ[0] + place * (LOG_READ[1] - LOG_READ[0]) + rng.normal(0, 0.5)
    return float(np.exp(gain)), float(np.exp(read))


def noisy(
    signal: NDArray[np.float32], gain: float, read: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A signal of any shape, 0..1, with shot and read noise, limited to 1 as the well is."""
    deviation = np.sqrt(gain * np.maximum(signal, 0) + read**2)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    return np.minimum(signal + deviation * noise, 1).astype(np.float32)


def mosaic(scene: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples (H, W) that a sensor under red-green-green-blue takes of (H, W, 3)."""
    samples = scene[..., 1].copy()
    samples[::2, ::2] = scene[::2, ::2, 0]
    samples[1::2, 1::2] = scene[1::2, 1::2, 2]
    return samples


def bilinear(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """A mosaic (H, W) filled in by means of neighbours: (H, W, 3)."""
    planes = []
    for plane, kernel in enumerate((_SQUARE, _CROSS, _SQUARE)):
        mask = _mask(samples.shape, plane)
        planes.append(convolve(samples * mask, kernel, mode="mirror"))
    return np.stack(planes, axis=-1)


def malvar(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """A mosaic (H, W) filled in with the gradients of the other colours: (H, W, 3).

    Malvar, He, Cutler: "High-quality linear interpolation for demosaicing of Bayer-patterned color
    images", ICASSP 2004; their 5x5 kernels, in eighths.
    """
    at_green, along, across, diagonal = (
        convolve(samples, kernel, mode="mirror") for kernel in _MALVAR
    )
    red, green, blue = (samples.copy() for _ in range(3))
    green[::2, ::2], green[1::2, 1::2] = at_green[::2, ::2], at_green[1::2, 1::2]
    red[::2, 1::2], blue[1::2, ::2] = along[::2, 1::2], along[1::2, ::2]
    red[1::2, ::2], blue[::2, 1::2] = across[1::2, ::2], across[::2, 1::2]
    red[1::2, 1::2], blue[::2, ::2] = diagonal[1::2, 1::2], diagonal[::2, ::2]
    return np.stack([red, green, blue], axis=-1)


def _mask(shape: tuple[int, ...], plane: int) -> NDArray[np.float32]:
    mask = np.zeros(shape, dtype=np.float32)
    if plane == 0:
        mask[::2, ::2] = 1
    elif plane == 1:
        mask[::2, 1::2] = mask[1::2, ::2] = 1
    else:
        mask[1::2, 1::2] = 1
    return mask


def _malvar_kernels() -> list[NDArray[np.float32]]:
    green = [
        [0, 0, -1, 0, 0],
        [0, 0, 2, 0, 0],
        [-1, 2, 4, 2, -1],
        [0, 0, 2, 0, 0],
        [0, 0, -1, 0, 0],
    ]
    along = [
        [0, 0, 0.5, 0, 0],
        [0, -1, 0, -1, 0],
        [-1, 4, 5, 4, -1],
        [0, -1, 0, -1, 0],
        [0, 0, 0.5, 0, 0],
    ]
    diagonal = [
        [0, 0, -1.5, 0, 0],
        [0, 2, 0, 2, 0],
        [-1.5, 0, 6, 0, -1.5],
        [0, 2, 0, 2, 0],
        [0, 0, -1.5, 0, 0],
    ]
    kernels: list[NDArray[np.float32]] = [
        np.array(rows, dtype=np.float32) / np.float32(8) for rows in (green, along, diagonal)
    ]
    return [kernels[0], kernels[1], kernels[1].T.copy(), kernels[2]]


_MALVAR = _malvar_kernels()
