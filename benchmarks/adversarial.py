"""Patches at the ends of what an encoder may meet; the tests try encoders on them, too."""

from __future__ import annotations

import numpy as np


def adversarial_patches(noise: int = 1, seed: int = 1) -> np.ndarray:
    """Flat, checkerboards, stripes, one pixel, one colour, noise; uint8 (17 + 2 noise, 32, 32, 3).

    Args:
        noise: how many patches of independent samples, and how many of those of 0 and 255 alone.
        seed: of the noise.
    """
    rows, columns = np.indices((32, 32))
    grey = [np.full((32, 32), level) for level in (0, 128, 255)]
    grey += [(rows // side + columns // side) % 2 * 255 for side in (1, 2, 4, 5, 16)]
    grey += [(rows + columns + 1) % 2 * 255, rows % 2 * 255, columns % 2 * 255]
    point = np.zeros((32, 32))
    point[5, 7] = 255
    patches = [np.repeat(plane[..., None], 3, axis=2) for plane in (*grey, point, 255 - point)]
    colours = ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1])
    patches += [np.full((32, 32, 1), 255) * colour for colour in colours]
    generator = np.random.default_rng(seed)
    samples = generator.integers(0, 256, (noise, 32, 32, 3))
    extremes = generator.integers(0, 2, (noise, 32, 32, 3)) * 255
    return np.concatenate([np.stack(patches), samples, extremes]).astype(np.uint8)
