"""Which bits of which coefficients a code of `nqe-vgg` holds: one of 32 bit allocations a patch.

::

    code      class (5 bits) │ a bit of a coefficient │ a bit of a coefficient │ ...     512 bits
                  │             which one, the class says
                  ▼
    scales of the class, 4 bits a coefficient: s = 2^(e / 2) ──► priority of bit b = 8 e + gains[b]
                                                                  the largest first

This is classified transform coding (Chen and Smith, IEEE Trans. Commun. 25, 1977): the scale of a
coefficient says how large it is in patches of a class, hence how fine it must be quantized, and
what each further bit of it is worth. Bits in order of worth make the code of a lower rate a prefix
of that of a higher one.

A coefficient's first bit is its sign; the others name the cell of its magnitude in a tree of
thresholds, from the top: each is a comparison. One tree serves all coefficients, scaled by powers
of the square root of 2, which are shifts: 2^(1/2) is 1 + 1/4 + 1/8 + 1/32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.nqe_t.transform import SIZE
from numpy.typing import NDArray

from .payload import RATES

CLASSES = 32
CLASS_BITS = 5
LUMA_SUM, CHROMA_SUM = 16, 8
"""Coefficients of row u and column v have scales where u + v is at most this."""
SCALE_BITS = 4
MOST_BITS = 8
"""Of a coefficient: a sign and a cell among 128."""
CELLS = 1 << (MOST_BITS - 1)
FRACTION = 4
"""Thresholds are in sixteenths of the unit of coefficients."""
PRIORITY_STEPS = 8
"""Of a priority: so many for a scale, half an octave."""
ALLOCATION_TENSORS = ("scales", "cuts", "gains")


def coefficient_places() -> NDArray[np.int64]:
    """Places in (3, 32, 32) of the coefficients with scales, ascending, int64 (243,)."""
    sums = np.add.outer(np.arange(SIZE), np.arange(SIZE))
    reach = np.array([LUMA_SUM, CHROMA_SUM, CHROMA_SUM])
    return np.flatnonzero(sums[None] <= reach[:, None, None])


PLACES = coefficient_places()
COEFFICIENTS = len(PLACES)
LUMA = int((PLACES < SIZE * SIZE).sum())
"""Coefficients of the first plane; those that a gray patch has."""


class Order(NamedTuple):
    """The bits of a class behind those that name it, most important first.

    coefficient: index into `PLACES`, int64 (RATES[-1] - CLASS_BITS,).
    bit: which bit of it, 0 for the sign, int64, the same shape.
    """

    coefficient: NDArray[np.int64]
    bit: NDArray[np.int64]


class Allocation:
    """The allocations of all classes, and the quantizer of coefficients.

    Args:
        tensors: ``scales``, uint8 (32, 243) of 0..15, by class and coefficient; ``cuts``, uint16
            (127,), ascending: thresholds of a magnitude at scale 0, in sixteenths; ``gains``, int8
            (8,), descending: what a coefficient's bits are worth, in eighths of a scale.

    Raises:
        HeqFormatError: tensors of other types, shapes or ranges.
        KeyError: one is missing.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        scales, cuts, gains = (tensors[name] for name in ALLOCATION_TENSORS)
        expected = (
            (scales, np.uint8, (CLASSES, COEFFICIENTS)),
            (cuts, np.uint16, (CELLS - 1,)),
            (gains, np.int8, (MOST_BITS,)),
        )
        for (array, dtype, shape), name in zip(expected, ALLOCATION_TENSORS, strict=True):
            if array.dtype != dtype or array.shape != shape:
                raise HeqFormatError(f"its {name} are {array.dtype} of shape {array.shape}")
        if scales.max() >= 1 << SCALE_BITS:
            raise HeqFormatError(f"its scales take more than {SCALE_BITS} bits")
        if (np.diff(cuts.astype(np.int64)) < 0).any() or (np.diff(gains.astype(int)) >= 0).any():
            raise HeqFormatError("its cuts do not ascend, or its gains do not descend")
        self.scales, self.cuts, self.gains = scales, cuts, gains
        self._orders = {
            channels: [self._order(label, channels) for label in range(CLASSES)]
            for channels in (1, 3)
        }
        self._scaled = np.stack([scaled_cuts(cuts, e) for e in range(1 << SCALE_BITS)])

    def order(self, label: int, channels: int = 3) -> Order:
        """The bits of a class, of patches with 1 or 3 channels."""
        return self._orders[channels][label]

    def counts(self, bits: int, channels: int = 3) -> NDArray[np.int64]:
        """Bits of each coefficient in a code of ``bits`` bits, int64 (32, 243)."""
        orders = [order.coefficient[: bits - CLASS_BITS] for order in self._orders[channels]]
        return np.stack([np.bincount(order, minlength=COEFFICIENTS) for order in orders])

    def cells(self, magnitudes: NDArray[np.integer[Any]], label: int) -> NDArray[np.int64]:
        """Magnitudes (N, n) of the first n coefficients to the cells of a class, 0..127."""
        shifted = magnitudes.astype(np.int64) << FRACTION
        cells = np.empty(shifted.shape, dtype=np.int64)
        for scale in np.unique(self.scales[label, : shifted.shape[1]]):
            of_scale = np.flatnonzero(self.scales[label, : shifted.shape[1]] == scale)
            cells[:, of_scale] = np.searchsorted(
                self._scaled[scale], shifted[:, of_scale], side="right"
            )
        return cells

    def encode(
        self, coefficients: NDArray[np.int32], labels: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Coefficients of patches to codes.

        Args:
            coefficients: int32 (N, C, 32, 32), C 1 or 3.
            labels: classes, (N,).

        Returns:
            Bits, uint8 (N, 512) of 0 and 1.
        """
        channels = coefficients.shape[1]
        places = PLACES if channels == 3 else PLACES[:LUMA]
        given = coefficients.reshape(len(coefficients), -1)[:, places]
        codes = np.empty((len(given), RATES[-1]), dtype=np.uint8)
        codes[:, :CLASS_BITS] = labels[:, None] >> np.arange(CLASS_BITS - 1, -1, -1) & 1
        for label in np.unique(labels):
            chosen = np.flatnonzero(labels == label)
            part, order = given[chosen], self.order(int(label), channels)
            # The sign stands above the seven bits of the cell.
            words = self.cells(np.abs(part), int(label)) + CELLS * (part < 0)
            picked = words[:, order.coefficient] >> (MOST_BITS - 1 - order.bit)
            codes[chosen, CLASS_BITS:] = picked & 1
        return codes

    def weight_bits(self) -> dict[str, int]:
        """Bits that a device must hold."""
        return {
            "scales (4 bits)": SCALE_BITS * self.scales.size,
            "thresholds of magnitudes (16 bits)": 16 * self.cuts.size,
            "gains of bits (8 bits)": 8 * self.gains.size,
        }

    def _order(self, label: int, channels: int) -> Order:
        count = COEFFICIENTS if channels == 3 else LUMA
        scales = self.scales[label, :count].astype(np.int64)
        priority = PRIORITY_STEPS * scales[:, None] + self.gains.astype(np.int64)
        # Of equal priorities the lower index is first; a coefficient has none twice.
        first = np.argsort(-priority.ravel(), kind="stable")[: RATES[-1] - CLASS_BITS]
        return Order(*np.divmod(first, MOST_BITS))


def scaled_cuts(cuts: NDArray[np.uint16], scale: int) -> NDArray[np.int64]:
    """Thresholds at a scale, by shifts and additions alone."""
    base = cuts.astype(np.int64)
    if scale & 1:
        base = base + (base >> 2) + (base >> 3) + (base >> 5)
    return base << (scale >> 1)
