"""Counting the packed coder of `nqe-r`: how often its networks run follows from the levels.

A network of two layers runs once for each flag and each level that is coded, with one head a
decision. Products of weights and activations are counted as in any network, those with zeros
included. The expectations from borders (four products a level) are not counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder.strip import UNARY
from heqcodec.nqe_r.packed_coder.tables import (
    HIDDEN,
    INPUTS,
    MIXED,
    MIXES,
    PLANES,
    SECOND,
    SEGMENT_STARTS,
    SLICE_SEGMENTS,
    SLICES,
)
from numpy.typing import NDArray

from .work import Work

LAYERS_PRODUCTS = INPUTS * HIDDEN + HIDDEN * SECOND
FLAG_MIXED, SIGN_MIXED, DIGIT_MIXED = 4, 3, 2
"""What is weighed in the decisions of flags, of signs and of the first digits of larger magnitudes;
in those of magnitudes it is `MIXED`."""
FREE_SLICES = 2
"""Slices without flags."""
MAP_BYTES, SUMMARY_BYTES = 1600, 1076
"""What codec/native/heq_packed.c keeps of a plane of a patch."""
CORRECTIONS = 43593
"""Contexts there, 8 bytes each."""


class PackedCounts(NamedTuple):
    """What coding a strip takes.

    Attributes:
        flags: decisions whether anything of a slice or segment is there.
        levels: that are coded.
        magnitudes: decisions of their magnitudes.
        signs: of those that are not 0.
        digits: bits of the larger magnitudes below their highest one.
        first_digits: the first of each, which a mix predicts; the others have even odds.
        transform_sizes: of patches.
    """

    flags: int
    levels: int
    magnitudes: int
    signs: int
    digits: int
    first_digits: int
    transform_sizes: int


def count_packed(levels: NDArray[np.int16]) -> PackedCounts:
    """What a strip takes, either way.

    Args:
        levels: int16 (R, C, planes, 1024); level 0 is coded as a difference.
    """
    magnitude = np.abs(levels.astype(np.int64))
    magnitude[..., 0] = np.abs(levels[..., 0] - predicted_means(levels[..., 0]))
    patches = levels.shape[0] * levels.shape[1]
    magnitude = magnitude.reshape(-1, LEVELS)
    starts = np.array(SEGMENT_STARTS)
    there = np.logical_or.reduceat(magnitude > 0, starts[:-1], axis=1)
    there[:, : SLICE_SEGMENTS[FREE_SLICES]] = True
    flags = 0
    for index in range(FREE_SLICES, SLICES):
        own = there[:, slice(*SLICE_SEGMENTS[index : index + 2])]
        flags += len(own)
        if own.shape[1] > 1:
            # The last segment is coded only if one before it is not empty.
            before = own[:, :-1].any(axis=1)
            flags += int((own.any(axis=1) * (own.shape[1] - 1) + before).sum())
    coded = magnitude[np.repeat(there, np.diff(starts), axis=1)]
    large = coded[coded >= UNARY] - (UNARY - 1)
    digits = np.frexp(large.astype(np.float64))[1] - 1
    decided = int((np.minimum(coded, UNARY) + 1).sum()) + int(digits.sum())
    signs = int(np.count_nonzero(coded))
    first = int(np.count_nonzero(digits))
    return PackedCounts(flags, coded.size, decided, signs, int(digits.sum()), first, patches)


def predicted_means(means: NDArray[np.int16]) -> NDArray[np.int64]:
    """Level 0 as its neighbours predict it: the median of left, above and left + above - corner.

    Args:
        means: int16 (R, C, planes), level 0 of each plane.

    Returns:
        int64 (R, C, planes); of the first row and column the neighbour that there is, or 0.
    """
    given = means.astype(np.int64)
    predicted = np.zeros_like(given)
    predicted[0, 1:], predicted[1:, 0] = given[0, :-1], given[:-1, 0]
    left, above, corner = given[1:, :-1], given[:-1, 1:], given[:-1, :-1]
    predicted[1:, 1:] = np.median([left, above, left + above - corner], axis=0)
    return predicted


def packed_work(counts: PackedCounts) -> Work:
    """Products of the networks and of the mixes, and symbols, in all.

    The mix of a sign is counted as if it always had an expectation.
    """
    runs = counts.flags + counts.levels
    heads = counts.flags + counts.magnitudes
    mixed = FLAG_MIXED * counts.flags + MIXED * counts.magnitudes + SIGN_MIXED * counts.signs
    mixed += DIGIT_MIXED * counts.first_digits
    symbols = (
        counts.flags + counts.magnitudes + counts.signs + counts.digits + counts.transform_sizes
    )
    return Work(
        multiply_accumulates=float(LAYERS_PRODUCTS * runs + SECOND * heads + mixed),
        symbols=float(symbols),
    )


def packed_activation_bytes(rows: int, columns: int) -> int:
    """Memory for a strip of so many patches of three planes, its levels included.

    What is kept of patches has a border of one patch around the strip.
    """
    kept = PLANES * (rows + 2) * (columns + 2) * (MAP_BYTES + SUMMARY_BYTES)
    mixing = 4 * MIXES * 4 * MIXED
    return kept + 8 * CORRECTIONS + mixing + 2 * PLANES * LEVELS * rows * columns
