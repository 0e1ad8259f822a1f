"""The frame that everything is counted and timed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.folder import read_pixels
from numpy.typing import NDArray

UNIT = 64
"""Sides are multiples of this, so that no codec pads."""
WIDTH, HEIGHT = 768, 512
SEED = 1
MEAN, SPREAD = 118.0, 48.0
FALL = 1.2


def noise_frame(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A frame whose spectrum falls as that of photographs, 1 / frequency^1.2, uint8 (H, W, 3).

    Always the same pixels. Colours go together for nine tenths of the contrast.
    """
    generator = np.random.default_rng(SEED)
    v, u = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(v, u)
    frequency[0, 0] = np.inf
    planes = []
    for _ in range(4):
        phases = np.exp(2j * np.pi * generator.random(frequency.shape))
        plane = np.fft.irfft2(phases / frequency**FALL, (height, width))
        planes.append(plane / plane.std())
    shared, *own = planes
    mixed = np.stack([0.9 * shared + 0.19**0.5 * plane for plane in own], axis=-1)
    return np.clip(np.rint(MEAN + SPREAD * mixed), 0, 255).astype(np.uint8)


def photograph_frame(path: Path) -> NDArray[np.uint8]:
    """A photograph, cropped at its right and lower border to multiples of 64, uint8 (H, W, 3).

    Raises:
        HeqError: it cannot be read, or is smaller than 64 x 64.
    """
    pixels = read_pixels(path)
    height, width = (side // UNIT * UNIT for side in pixels.shape[:2])
    if not height or not width:
        raise HeqError(f"{path} is smaller than {UNIT}x{UNIT} pixels; give a larger photograph.")
    cropped = pixels[:height, :width]
    if cropped.shape[2] == 1:
        cropped = np.repeat(cropped, 3, axis=2)
    return np.ascontiguousarray(cropped)
