"""The layers of `nqe-vgg` in bit planes, as codec/native/heq_vgg.h has them, and bounds of sums.

A weight is a sign and a magnitude: plane n where it is negative, p and q where its magnitude is 1
and 2. A sum over activations of bits a0 and a1 is then a weighted sum of numbers of bits::

    sum w a = |p & (a0 ^ n)| + 2 |p & (a1 ^ n) | q & (a0 ^ n)| + 4 |q & (a1 ^ n)| - c

where c is what zeros would give. Ternary weights have the one plane m in place of p and q, binary
ones none: a sum takes 2 numbers of bits for each 64 inputs, a quinary one 3. This is what the fast
kernel counts, and ours: planes of positive and of negative weights would take 4 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from numpy.typing import NDArray

from .bit_fields import pack_fields
from .layer import IntegerLayer

PLANES = {2: 1, 3: 2, 5: 3}
"""Bit planes by the number of levels."""
WORD = 64
FIRST_BITS = 32
"""Bits that a plane of an output of the first layer has, for 27 weights."""
LARGEST_CUT_BITS = 16
FIELD = 1 << 15
"""Sums, and differences of sums and cuts, have 16 bits."""
OPEN_BYTES = 2
"""The C source reads three bytes where a field begins."""


class PackedVgg(NamedTuple):
    """An encoder as the device holds it; the members of ``heq_vgg``.

    Attributes:
        weights: uint8, all layers.
        planes: uint8 (7,), bit planes of each layer's weights.
        cuts: uint8, bit fields of the sums where outputs step up.
        cut_bits, cut_offset: a field has so many bits and holds a cut plus the offset.
        own_cuts: whether each output has its cuts, else all of a layer have the same.
        bounds: largest magnitude of a sum, by layer.
    """

    weights: NDArray[np.uint8]
    planes: NDArray[np.uint8]
    cuts: NDArray[np.uint8]
    cut_bits: int
    cut_offset: int
    own_cuts: bool
    bounds: tuple[int, ...]


def pack_vgg(layers: Sequence[IntegerLayer]) -> PackedVgg:
    """Pack the seven layers.

    Args:
        layers: of an `heqcodec.nqe_vgg.integer.IntegerVgg`.

    Raises:
        HeqError: a layer has other weights than binary, ternary and quinary ones, or a skip, or
            its sums do not fit the types of the C source.
    """
    for item in layers:
        if item.skip != "none":
            raise HeqError(
                f"{item.layer.name} has a skip of kind {item.skip}; encoders with skips cannot be "
                "exported as C."
            )
        if len(item.layer.levels) not in PLANES:
            raise HeqError(
                f"{item.layer.name} has weights of {len(item.layer.levels)} levels; only 2, 3 and "
                "5 can be exported as C."
            )
    bounds = tuple(largest_sum(item) for item in layers)
    cuts = [_cuts(item, bound) for item, bound in zip(layers, bounds, strict=True)]
    for item, bound in zip(layers, bounds, strict=True):
        # The fast kernel subtracts cuts of the first layer, at most bound + 1, in 16 bits.
        if 2 * bound + 1 >= FIELD:
            raise HeqError(
                f"the sums of {item.layer.name} reach {bound}, more than 16 bits hold with the "
                "numbers that they are compared with; this model cannot be exported."
            )
    offset = -min(0, *(int(cut.min()) for cut in cuts))
    bits = max(1, *((int(cut.max()) + offset).bit_length() for cut in cuts))
    assert bits <= LARGEST_CUT_BITS, "bounds are checked"
    fields = pack_fields([(cut.ravel() + offset, bits) for cut in cuts])
    first, *others = layers
    weights = [_first_weights(first.levels), *(_weights(item) for item in others)]
    planes = [PLANES[5], *(PLANES[len(item.layer.levels)] for item in others)]
    return PackedVgg(
        np.concatenate(weights),
        np.array(planes, dtype=np.uint8),
        np.concatenate([fields, np.zeros(OPEN_BYTES, np.uint8)]),
        bits,
        offset,
        first.thresholds is not None,
        bounds,
    )


def largest_sum(item: IntegerLayer) -> int:
    """The largest magnitude that a sum of a layer reaches, for any input."""
    magnitudes = np.abs(item.levels.astype(np.int64)).reshape(len(item.levels), -1)
    return int(magnitudes.sum(axis=1).max()) * item.layer.top


def _cuts(item: IntegerLayer, bound: int) -> NDArray[np.int64]:
    """Sums where the output steps up: by output and step, or by step for all outputs.

    Cuts that no sum can reach, or all do, become the nearest of that kind.
    """
    if item.thresholds is not None:
        cuts = item.thresholds.astype(np.int64)
    elif len(item.layer.cuts) == 1:
        cuts = np.zeros(1, np.int64)
    else:
        # sum >> shift reaches a step from the least sum of at least step * 2^shift on.
        steps = range(1, len(item.layer.cuts) + 1)
        shift = item.shift
        least = [step << shift if shift >= 0 else -(-step >> -shift) for step in steps]
        cuts = np.array([min(cut - item.offset, bound + 1) for cut in least], dtype=np.int64)
    return np.clip(cuts, -bound, bound + 1)


def _first_weights(levels: NDArray[np.int8]) -> NDArray[np.uint8]:
    """By output, plane and sample (row, column, channel), in 32 bits."""
    flat = levels.transpose(0, 2, 3, 1).reshape(len(levels), -1)
    padded = np.zeros((len(levels), FIRST_BITS), dtype=np.int8)
    padded[:, : flat.shape[1]] = flat
    return _bytes(padded, PLANES[5])


def _weights(item: IntegerLayer) -> NDArray[np.uint8]:
    """By output, place in the kernel, 64 inputs, and plane."""
    words = item.levels.transpose(0, 2, 3, 1).reshape(-1, WORD)
    return _bytes(words, PLANES[len(item.layer.levels)])


def _bytes(words: NDArray[np.int8], planes: int) -> NDArray[np.uint8]:
    """Weights (N, bits) to bytes by word and plane; the first weight is the lowest bit."""
    parts = [words < 0]
    if planes == PLANES[3]:
        parts.append(words != 0)
    elif planes == PLANES[5]:
        parts += [np.abs(words) == 1, np.abs(words) == 2]
    return np.packbits(np.stack(parts, axis=1), axis=-1, bitorder="little").reshape(-1)
