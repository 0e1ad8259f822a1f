"""Weights of coefficients by frequency: what files for the eye are quantized with.

::

    coefficients ──► magnitudes * weight / 16, rounded ──► cost layer and quantizer as ever, at a
                          by u + v of the band               step that is 3/4 of an octave finer

SSIMULACRA2, as eyes do, forgives errors of high frequencies sooner than those of low ones, where
they are blocks and bands. So with ``tune`` "ssim" or "texture" low frequencies have finer steps,
and high ones coarser steps, than the same index gives without: about as many bytes. JPEG 2000 calls
this visual frequency weighting, JPEG and HEVC have matrices for it. The weights are near
``(1 + (u + v) / 2) ** -0.4`` (our choice: see docs/EVALUATION.md for what other powers give).

A weight is a sum of at most four shifts, and none is above 1: what is below the first threshold
stays so, so encoders without multiplication weight the few coefficients that are not.

The index of a weighted quantizer is its step index with the bit `WEIGHTED` set.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
from heqcodec.base.arguments import TuneName
from heqcodec.base.constants import STEPS, WEIGHTED
from numpy.typing import NDArray

from .layout import SUBS, band_frequencies

# fmt: off
FREQUENCY_WEIGHTS = (
    16, 14, 12, 11, 10, 10, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7,
    7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5,
)
# fmt: on
"""Of coefficients, in sixteenths, by u + v of their band, 0 to 30."""
FINER = 96
"""Step indices by which the steps of a weighted quantizer are finer than its index says."""
_SHIFT = 4

Index = TypeVar("Index", int, NDArray[np.int64])


def is_weighted(tune: TuneName) -> bool:
    """Whether files that are tuned so have weighted coefficients."""
    return tune != "psnr"


def step_of(index: Index) -> Index:
    """Step indices 0..1023 of quantizers, without what says whether they are weighted."""
    return index & (STEPS - 1)


def base_step(index: int) -> int:
    """The step index whose steps a quantizer takes."""
    return index if index < WEIGHTED else max(step_of(index) - FINER, 0)


@cache
def level_weights() -> NDArray[np.int32]:
    """Weights in sixteenths in the order of levels, int32 (1024,)."""
    diagonals = band_frequencies().sum(axis=1)
    weights = np.array(FREQUENCY_WEIGHTS, np.int32)[diagonals].repeat(SUBS)
    weights.setflags(write=False)  # all who ask have the same one
    return weights


def weighted(coefficients: NDArray[np.int32]) -> NDArray[np.int32]:
    """Coefficients int32 (..., 1024), weighted; magnitudes are rounded, halves up."""
    size = np.abs(coefficients)
    size *= level_weights()
    size += 1 << (_SHIFT - 1)
    size >>= _SHIFT
    return np.where(coefficients < 0, -size, size)


def step_factors() -> NDArray[np.float32]:
    """By what the step of a level is larger than the quantizer's, float32 (1024,)."""
    return (16 / level_weights()).astype(np.float32)
