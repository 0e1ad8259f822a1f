"""Patches that try an encoder: of photographs, at the ends of the range, noise. No torch."""

from __future__ import annotations

import numpy as np
from heqcodec.patches import split_patches
from skimage import data


def photograph_patches() -> np.ndarray:
    """Patches of two photographs, uint8 (12, 32, 32, 3): sky, skin, fur, edges."""
    patches = []
    for image in (data.astronaut(), data.chelsea()):
        for row, column in ((0, 0), (1, 6), (3, 5), (5, 4), (7, 9), (8, 2)):
            patches.append(image[32 * row :, 32 * column :][:32, :32])
    return np.stack(patches)


def all_patches_of_a_photograph() -> np.ndarray:
    """Every whole patch of the cat, uint8 (126, 32, 32, 3)."""
    return split_patches(data.chelsea()[:288, :448])


def noise_patches(count: int, seed: int) -> np.ndarray:
    """Independent samples, equally likely, uint8 (count, 32, 32, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def adversarial_patches() -> np.ndarray:
    """Flat, checkerboards, one pixel, one colour, noise; uint8 (15, 32, 32, 3)."""
    rows, columns = np.indices((32, 32))
    grey = [np.zeros((32, 32)), np.full((32, 32), 255), np.full((32, 32), 128)]
    grey += [(rows // side + columns // side) % 2 * 255 for side in (1, 2, 4, 5, 16)]
    point = np.zeros((32, 32))
    point[5, 7] = 255
    patches = [np.repeat(plane[..., None], 3, axis=2) for plane in (*grey, point, 255 - point)]
    patches += [np.eye(3)[channel] * np.full((32, 32, 1), 255) for channel in range(3)]
    noise = noise_patches(2, seed=1)
    noise[1] = noise[1] // 128 * 255  # of two values
    return np.concatenate([np.stack(patches).astype(np.uint8), noise])
