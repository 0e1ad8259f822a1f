"""Counting the encoder of `nqe-r`: what depends on the image. Layers are counted by
`heqcodec.export.layers`.

How many comparisons a size or a level takes depends on the coefficient, so those are counted on
coefficients. Not counted: what is prepared once an image (steps, bounds, thresholds), loops,
stores, and where a coefficient lies.
"""

from __future__ import annotations

import numpy as np
from heqcodec.export.operations import INDEX_ADDITIONS, Operations
from heqcodec.nqe_r.cost_layer import PLANES, TOP, CostLayer, thresholds
from heqcodec.nqe_r.layout import LEVELS, SUBS, band_frequencies
from heqcodec.nqe_r.quantizer import WEIGHTS, rounded
from heqcodec.nqe_r.transform import QUARTER, SIZE, TRANSFORM_SIZES
from numpy.typing import NDArray

from .work import Work

PIXELS = SIZE * SIZE


def work_of(found: Operations) -> Work:
    """What `heqcodec.export.operations` counts, as everything else here."""
    return Work(additions=found.additions, shifts=found.shifts)


# ---- Choices ----


def bounds_of(steps: NDArray[np.int32]) -> NDArray[np.int32]:
    """The bounds of the size decision, by rising magnitude; see `heqcodec.nqe_r.quantizer`.

    Args:
        steps: int32 (C,).

    Returns:
        int32 (len(WEIGHTS), C).
    """
    half = steps >> 1
    low = [steps >> 2, half, half + (steps >> 2), steps + half]
    return np.stack(low + [low[-1] << shift for shift in range(1, len(WEIGHTS) - len(low) + 1)])


def exceeded_bounds(coefficients: NDArray[np.int32], steps: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many bounds each coefficient exceeds, (N, C, 1024), 0..8.

    Args:
        coefficients: int32 (N, C, 1024), in one transform size.
        steps: int32 (C,), in that size.
    """
    magnitude = np.abs(coefficients)
    found = np.zeros(coefficients.shape, dtype=np.int64)
    for bound in bounds_of(steps):
        found += magnitude > bound[:, None]
    return found


def transform_choice_work(coefficients: NDArray[np.int32], steps: NDArray[np.int32]) -> Work:
    """Choosing the transform sizes of patches, in all.

    A magnitude is compared with the bounds one after another until one is not exceeded; what all
    exceeded ones add is looked up, and added where it is not 0. The sums of both sizes are compared
    once.

    Args:
        coefficients: int32 (N, TRANSFORM_SIZES, C, 1024).
        steps: int32 (TRANSFORM_SIZES, C).
    """
    additions = float(len(coefficients))
    for size in range(TRANSFORM_SIZES):
        exceeded = exceeded_bounds(coefficients[:, size], steps[size])
        compared = np.minimum(exceeded + 1, len(WEIGHTS)).sum()
        additions += exceeded.size + compared + np.count_nonzero(exceeded)
    return Work(additions=float(additions))


def quotient_work(quotients: NDArray[np.integer]) -> Work:
    """Quotients of n bits, n at least 2, by compare and subtract, in all.

    The step is shifted up until it is too large (n shifts, n + 1 comparisons), then down again
    (n shifts); at each place but the first the remainder is compared (n - 1), and at each place
    but the last the step is subtracted where it fits. The quotient is doubled at each place but the
    first (n - 1 shifts), and one is added where the step fits.
    """
    values = quotients.astype(np.uint32).reshape(-1)
    places = np.arange(32, dtype=np.uint32)
    bits = (values[:, None] >> places) & 1
    lengths = float(np.where(bits, places + 1, 0).max(axis=1, initial=0).sum())
    ones, count = float(bits.sum()), float(len(values))
    last = float((values & 1).sum())
    return Work(additions=2 * lengths + (ones - last) + (ones - count), shifts=3 * lengths - count)


def quantizer_work(
    coefficients: NDArray[np.int32], levels: NDArray[np.int16], steps: NDArray[np.int32]
) -> Work:
    """Both quantizations of patches in the size chosen, in all.

    Of each coefficient: its magnitude; what the cost layer sees of it, compared with the bounds of
    1, 2 and 3 until one is not reached; whether it reaches 2; if not, whether it reaches the
    threshold of its index; if so, 7/16 of a step are added and the quotient is found, and limited.
    A level that is not 0 is given its sign.

    Args:
        coefficients: int32 (N, C, 1024).
        levels: int16 (N, C, 1024), of these.
        steps: int32 (C,).
    """
    seen = np.minimum(rounded(coefficients, steps), TOP)
    additions = coefficients.size + np.minimum(seen + 1, TOP).sum()
    magnitude = np.abs(levels.astype(np.int64))
    large = magnitude[magnitude >= 2]
    additions += magnitude.size + (magnitude.size - large.size) + 2 * large.size
    additions += np.count_nonzero(magnitude)
    return Work(additions=float(additions)) + quotient_work(large)


# ---- Cost layer ----


def met_weights(layer: CostLayer, size: int, inward: bool) -> NDArray[np.int64]:
    """How many weights that are not zero lead to each level (inward), or from each.

    Returns:
        int64 (PLANES, 1024).
    """
    frequencies = band_frequencies()
    reach = layer.near.shape[-1] // 2
    met = np.zeros((PLANES, len(frequencies), SUBS), dtype=np.int64)
    # By plane, sub at this end, and place: a weight leads from the level there to the middle.
    weights = (layer.near[size] != 0).sum(axis=2 if inward else 1)
    for row, column in np.ndindex(*weights.shape[2:]):
        offset = np.array([row - reach, column - reach])
        other = frequencies + (offset if inward else -offset)
        inside = ((other >= 0) & (other < QUARTER)).all(axis=1)
        met += inside[None, :, None] * weights[:, None, :, row, column]
    crossing = layer.cross[size] != 0
    for plane in range(PLANES):
        for which in range(PLANES - 1):
            end = plane if inward else (plane + 1 + which) % PLANES
            met[end] += crossing[plane, :, which]
    return met.reshape(PLANES, LEVELS)


def sparse_cost_additions(
    layer: CostLayer, size: int, coefficients: NDArray[np.int32], steps: NDArray[np.int32]
) -> float:
    """Additions of weights for patches of a transform size if zeros are skipped, in all.

    Args:
        layer: of the model.
        size: transform size of these patches, 0 or 1.
        coefficients: int32 (N, 3, 1024).
        steps: int32 (3,).
    """
    seen = rounded(coefficients, steps) > 0
    return float((seen * met_weights(layer, size, inward=False)).sum())


def doubtful_levels(coefficients: NDArray[np.int32], steps: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where the cost layer decides: between its first threshold and its last.

    Args:
        coefficients: int32 (N, C, 1024), in one transform size.
        steps: int32 (C,).
    """
    magnitude = np.abs(coefficients)
    table = thresholds(steps)[:, :, None]
    return (magnitude >= table[:, 0]) & (magnitude < table[:, -1])


def doubtful_cost_additions(
    layer: CostLayer, size: int, coefficients: NDArray[np.int32], steps: NDArray[np.int32]
) -> float:
    """Additions of the cost layer if it is asked only where it decides; as
    `sparse_cost_additions`, but with those for the index of the threshold."""
    each = met_weights(layer, size, inward=True) + INDEX_ADDITIONS
    return float((doubtful_levels(coefficients, steps) * each).sum())


# ---- Memory ----


def encoder_activation_bytes() -> int:
    """A patch's pixels, its coefficients in both transform sizes in 32 bits, one row in work, and
    what the cost layer sees in 2 bits. Levels take the place of coefficients."""
    samples = PLANES * PIXELS
    return samples + TRANSFORM_SIZES * 4 * samples + 4 * SIZE + samples // 4
