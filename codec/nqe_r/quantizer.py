"""Steps, levels, and the choice of size: everything that depends on the step index.

There are two quantizers. The input of the cost layer is ``floor((|c| + 5/16 step) / step)``,
rounding with a dead zone. The coded level is ``floor((|c| + 7/16 step) / step)`` where that is 2 or
more, else 1 from the threshold of the cost layer on, else 0; with the coefficient's sign. The
quotient of two integers needs no multiplier: a device shifts the step up while it fits, then
compares and subtracts on the way down, two comparisons for a level of 1 and one for a level of 0.

The size of a patch is the one with the lower sum over its coefficients of a weight by magnitude
(our choice: a staircase under the logarithm, measured level with a rate-distortion estimate)::

    |c| / step above   1/4  1/2  3/4  3/2   3    6   12   24
    adds                1    2    3    3    2    2    2    2
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from heqcodec.base.constants import STEPS
from numpy.typing import NDArray

from .cost_layer import CostLayer, thresholds
from .transform import TRANSFORM_SIZES, RateStem

OCTAVE = 128
"""Step indices to twice the step."""
FINEST = 2.0
"""The step of index 0, in units of the orthonormal transform of samples 0..255."""
FRACTION = 4
"""Fractional bits of the table of steps."""
LARGEST = 32767
"""Levels are limited to this magnitude; no image reaches it."""
COLOUR_NORMS = (3.0**0.5, 2.0**0.5, 6.0**0.5)
WEIGHTS = (1, 2, 3, 3, 2, 2, 2, 2)


ReliefOfCosts = Callable[[NDArray[np.int32]], NDArray[np.int32]]


def step_size(step: float) -> float:
    """The step of an index in units of the orthonormal transform: 2 to 511."""
    return FINEST * 2.0 ** (step / OCTAVE)


def units(stem: RateStem) -> NDArray[np.float64]:
    """Coefficient per orthonormal coefficient, float64 (TRANSFORM_SIZES, 3), by colour plane.

    The norm of a row that counts is that of its dual, since the error comes back through the
    inverse; rows differ by about 1 %, and their geometric mean is taken.
    """
    gains = []
    for matrix in stem.matrices:
        dual = np.linalg.inv(matrix / 32.0)
        gains.append(np.exp(-np.log((dual**2).sum(axis=0)).mean()))
    return np.outer(gains, COLOUR_NORMS)


def step_table(stem: RateStem) -> NDArray[np.uint16]:
    """Steps of the first octave in 1/16 of a coefficient, uint16 (TRANSFORM_SIZES, 3, OCTAVE)."""
    first = FINEST * 2.0 ** (np.arange(OCTAVE) / OCTAVE)
    return np.rint(units(stem)[..., None] * first * (1 << FRACTION)).astype(np.uint16)


def integer_steps(table: NDArray[np.uint16], step: int) -> NDArray[np.int32]:
    """Integer steps of an index, int32 (TRANSFORM_SIZES, 3).

    Raises:
        ValueError: the index is not in 0..STEPS - 1.
    """
    if not 0 <= step < STEPS:
        raise ValueError(f"step indices are 0 to {STEPS - 1}, not {step}")
    octave, fraction = divmod(step, OCTAVE)
    scaled = table[..., fraction].astype(np.int32) << octave
    return (scaled + (1 << (FRACTION - 1))) >> FRACTION


def rounded(coefficients: NDArray[np.int32], steps: NDArray[np.int32]) -> NDArray[np.int32]:
    """Magnitudes that the cost layer sees, (..., C, 1024); steps int32 (3,) by plane."""
    step = steps[: coefficients.shape[-2], None]
    return (np.abs(coefficients) + (step >> 2) + (step >> 4)) // step


def with_thresholds(
    coefficients: NDArray[np.int32],
    steps: NDArray[np.int32],
    seen: NDArray[np.int32],
    layer: CostLayer,
    size: int,
    relief: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Magnitudes of levels, at most `LARGEST`.

    Args:
        coefficients: int32 (N, C, 1024), in one transform size.
        steps: int32 (3,), by plane.
        seen: of the same coefficients, from `rounded`.
        layer: decides between 0 and 1.
        size: transform size of these patches, 0 or 1.
        relief: int32 (N,), see `CostLayer.indices`.
    """
    planes = coefficients.shape[-2]
    step = steps[:planes, None]
    magnitude = np.abs(coefficients)
    many = (magnitude + (step >> 1) - (step >> 4)) // step
    table = thresholds(steps[:planes])
    index = layer.indices(seen, size, relief)
    one = magnitude >= table[np.arange(planes)[:, None], index]
    return np.where(many >= 2, np.minimum(many, LARGEST), one)


def quantize(
    coefficients: NDArray[np.int32],
    steps: NDArray[np.int32],
    layer: CostLayer,
    size: int,
    relief: NDArray[np.int32] | None = None,
) -> NDArray[np.int16]:
    """Levels int16 (N, C, 1024) of coefficients in one transform size; steps int32 (3,).

    ``relief`` is that of the patches, int32 (N,), see `heqcodec.nqe_r.relief`.
    """
    seen = rounded(coefficients, steps)
    magnitude = with_thresholds(coefficients, steps, seen, layer, size, relief)
    return np.where(coefficients < 0, -magnitude, magnitude).astype(np.int16)


def transform_costs(coefficients: NDArray[np.int32], steps: NDArray[np.int32]) -> NDArray[np.int32]:
    """What a patch costs in a transform size, int32 (N,), from coefficients (N, C, 1024)."""
    step = steps[: coefficients.shape[-2], None]
    magnitude = np.abs(coefficients)
    half = step >> 1
    bounds = [step >> 2, half, half + (step >> 2), step + half]
    bounds += [bounds[-1] << shift for shift in range(1, 5)]
    cost = np.zeros(magnitude.shape, dtype=np.uint8)
    for bound, weight in zip(bounds, WEIGHTS, strict=True):
        cost += np.uint8(weight) * (magnitude > bound)
    total: NDArray[np.int32] = cost.sum(axis=(-2, -1), dtype=np.int32)
    return total


def choose_transform_sizes(
    coefficients: NDArray[np.int32], steps: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Transform sizes of coefficients int32 (N, TRANSFORM_SIZES, C, 1024).

    Returns:
        The cheaper ones, uint8 (N,), 0 where both cost the same; and what they cost, int32 (N,).
    """
    costs = [transform_costs(coefficients[:, size], steps[size]) for size in range(TRANSFORM_SIZES)]
    return (costs[1] < costs[0]).astype(np.uint8), np.minimum(*costs)


def choose_levels(
    coefficients: NDArray[np.int32],
    steps: NDArray[np.int32],
    layer: CostLayer,
    relief: ReliefOfCosts | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Levels and transform sizes of patches.

    Args:
        coefficients: int32 (N, TRANSFORM_SIZES, C, 1024), from `RateStem.forward`.
        steps: int32 (TRANSFORM_SIZES, 3), from `integer_steps`.
        layer: decides between levels of 0 and 1.
        relief: from the costs of patches to what is taken off the indices of their thresholds.

    Returns:
        Levels int16 (N, C, 1024) and transform sizes uint8 (N,).
    """
    transform_sizes, costs = choose_transform_sizes(coefficients, steps)
    lowered = relief(costs) if relief else np.zeros_like(costs)
    levels = np.empty(coefficients.shape[:1] + coefficients.shape[2:], dtype=np.int16)
    for size in range(TRANSFORM_SIZES):
        chosen = transform_sizes == size
        levels[chosen] = quantize(
            coefficients[chosen, size], steps[size], layer, size, lowered[chosen]
        )
    return levels, transform_sizes
