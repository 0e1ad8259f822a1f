"""Patches that try an encoder, in addition to those of ``benchmarks/adversarial.py``. No torch."""

from __future__ import annotations

import numpy as np
from heqcodec.image.patches import split_patches
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
