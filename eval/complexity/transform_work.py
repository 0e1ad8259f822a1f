"""Counting `nqe-t`: the transform from its tables, the patch code by running it."""

from __future__ import annotations

from collections import Counter

import numpy as np
from heqcodec.base.interval_table import RANGE_STEPS
from heqcodec.export.operations import colour_operations, gain_operations, pass_operations
from heqcodec.nqe_t import zones as geometry
from heqcodec.nqe_t.arithmetic import EVEN, RANGE_START
from heqcodec.nqe_t.contexts import PatchState
from heqcodec.nqe_t.encoder import LONGEST, TransformNqe
from heqcodec.nqe_t.patch_code import PatchCoderTables
from heqcodec.nqe_t.patch_encoder import encode_coefficients
from heqcodec.nqe_t.transform import CHANNEL_GAIN
from numpy.typing import NDArray

from .work import Work

SIDE = geometry.SIZE
PIXELS = SIDE * SIDE
RANGE_BITS = 16
CODED_SYMBOL = Work(additions=3, shifts=2)
"""The arithmetic coder for a binary symbol: range minus width, which of the two it is, and the low
end plus the cut (counted as if always added); range and low end shifted. Widths are looked up."""


def stem_work(coarse: NDArray[np.int8], fine: NDArray[np.int8]) -> Work:
    """Colour and both passes of the transform, per pixel, from their tables."""
    total = colour_operations().plus(pass_operations(np.stack([coarse, fine])).times(2))
    for gain in CHANNEL_GAIN:
        total = total.plus(gain_operations(gain))
    return Work(additions=total.additions, shifts=total.shifts)


class _DecisionCounter:
    """Sees the decisions of one patch, and counts those that its code has room for.

    The coder's own bookkeeping looks only now and then whether a code is full, so its range is
    followed here. Signs are taken as positive, which changes the range by at most 1 in 2^15.
    """

    def __init__(self, tables: PatchCoderTables, bits: int) -> None:
        self._tables, self._bits = tables, bits
        self._range, self._fixed = RANGE_START, 0
        self.counts: Counter[tuple[str, int]] = Counter()

    def __call__(
        self, kind: str, zone: int, plane: int, contexts: NDArray[np.uint8], made: NDArray[np.uint8]
    ) -> None:
        states = getattr(self._tables, kind)[zone, plane].reshape(-1).take(contexts)
        for state, bit in zip(states.tolist(), made.tolist(), strict=True):
            self._count(kind, zone, state, bit)
            if kind == "significance" and bit:
                self._count("sign", zone, EVEN, 0)

    def _count(self, kind: str, zone: int, state: int, bit: int) -> None:
        if self._fixed >= self._bits:
            return
        self.counts[kind, zone] += 1
        if state == EVEN:
            width = self._range >> 1
        else:
            width = int(self._tables.lps[state, (self._range >> 12) - RANGE_STEPS])
        chosen = width if bit else self._range - width
        shift = RANGE_BITS - chosen.bit_length()
        self._range = chosen << shift
        self._fixed += shift


def count_decisions(
    encoder: TransformNqe, patches: NDArray[np.uint8], bits: int
) -> Counter[tuple[str, int]]:
    """How many decisions the coder takes for patches until their codes are full.

    Args:
        encoder: of the model.
        patches: uint8 (N, 32, 32, 3), taken one by one.
        bits: length of a code.

    Returns:
        Counts by kind ("flag", "significance", "sign", "refinement") and zone.
    """
    total: Counter[tuple[str, int]] = Counter()
    for index in range(len(patches)):
        counter = _DecisionCounter(encoder.tables, bits)
        coefficients = encoder.stem.forward(patches[index : index + 1])
        encode_coefficients(coefficients, encoder.tables, bits, counter)
        total += counter.counts
    return total


def decision_work(kind: str, zone: int) -> Work:
    """One decision with its context and its coded symbol; see `heqcodec.nqe_t.contexts`."""
    near, far = len(geometry.NEAR_OFFSETS), len(geometry.FAR_OFFSETS)
    own = {
        # The sum of near zones' levels, capped; is the zone active?
        "flag": Work(additions=max(len(geometry.zones()[zone].near) - 1, 0) + 2),
        # Open still? Near levels, doubled, plus far ones; the larger of two colours' levels; the
        # index of the context (three parts); does the magnitude reach the plane?
        "significance": Work(additions=1 + (near - 1) + far + 1 + 2 + 1, shifts=1),
        "sign": Work(),
        # Open still? First refinement? The bit itself.
        "refinement": Work(additions=2, shifts=1),
    }
    return own[kind] + CODED_SYMBOL


def coder_work(counts: Counter[tuple[str, int]], patches: int) -> Work:
    """The patch code, per pixel, for counted decisions of so many patches.

    In addition to the decisions, two operations a coefficient: its magnitude, and the largest one
    of its zone.
    """
    total = Work(additions=2 * geometry.CHANNELS)
    for (kind, zone), count in counts.items():
        each = decision_work(kind, zone) + Work(symbols=1)
        total = total + each.times(count / patches / PIXELS)
    return total


def stem_activation_bytes() -> int:
    """A patch's pixels and its coefficients in 32 bits, and one row in work."""
    samples = geometry.CHANNELS * PIXELS
    return samples + 4 * samples + 4 * SIDE


def coder_activation_bytes() -> int:
    """Coefficients in 32 bits, the state of the contexts, and the code."""
    state = PatchState(1, geometry.CHANNELS)
    held = state.levels.nbytes + state.zone_levels.nbytes + LONGEST // 8
    return 4 * geometry.CHANNELS * PIXELS + held
