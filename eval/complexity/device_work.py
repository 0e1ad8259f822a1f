"""Counting the device coder of `nqe-r` by running it: what codec/native/heq_device.c does.

Every decision of a strip is noted with its contexts; what a decision costs follows from its kind,
and how many comparisons a bin takes from the bin, which stands in the number of the context. An
index of k parts is k - 1 additions, as in the patch code. Not counted: loops, stores, and the
addresses of neighbouring levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.device_coder.arithmetic import BitEncoder
from heqcodec.nqe_r.device_coder.borders import COLUMNS
from heqcodec.nqe_r.device_coder.contexts import (
    BAND_GROUPS,
    CONTEXT_AT,
    CONTEXT_KINDS,
    SCORES,
    SET_AT,
    SET_KINDS,
    SIGNED_BANDS,
    UNARY,
    ZONES,
    Decisions,
)
from heqcodec.nqe_r.device_coder.patch import BORDER_BANDS, GROUP_BANDS, GROUPS, PatchCoder
from heqcodec.nqe_r.device_coder.tables import CONTEXTS, INPUTS, SUMS, DeviceTables
from heqcodec.nqe_r.layout import LEVELS
from numpy.typing import NDArray

from .transform_work import CODED_SYMBOL
from .work import Work

_native = native_extension()

FIXED_BYTES = 256 + 2 * 18 * 18 + 192 + 2 * 383 + (61 + 25 + 11 + 10 + 11)
"""Tables of codec/native/heq_device_layout.h, and of bins in heq_device_contexts.h, the same
for every model."""

CONTEXT_STARTED = Work(additions=13, shifts=1)
"""A context at the start of a strip: two products by quarter squares (five each), their sum,
rounding, the place in the table of probabilities."""
DECIDED = Work(additions=4, shifts=2) + CODED_SYMBOL
"""Any decision: its row of weights (``4 set``), two limits of the sum, ``>> 5``, magnitude and sign
of the odds, and the coded symbol."""
MIXED = Work(additions=7, shifts=2)
"""Each context of a decision: its place in the table of log odds, a product by quarter squares and
its sum; and its probability, moved by a shifted difference."""
MOVED_UP = Work(additions=1)
"""Each context where the bit is 1: the difference is to 65535."""

BIN16, BIN10, BIN7, BIN6, BIN4 = ((1,) * bins for bins in (16, 10, 7, 6, 4))
"""Comparisons that each value of a bin takes: one with the last place of its table."""

KINDS = (*(kind for kind in SET_KINDS if kind != "one"), "size", "escape")
KINDS += ("dc", "dc_escape", "dc_sign", "border")
ALONE = {"border": "sign_border"}
"""Kinds that are named otherwise than their contexts, which other decisions have, too."""

SCORE = Work(additions=2 * 9 + 3, shifts=1)
"""The score of a level: nine places in tables and sums, two limits, 64 more before ``>> 3``."""
SCORED_PLANES = (0, 6, 6)
"""Additions for the sums over the planes before, by plane."""
SCORED_BINS = (7, 10, 10)
"""Sums of a level whose bins a score takes, by plane; the two of the band are in `BAND`."""

OWN = {
    # Size of the patch before.
    "size": Work(additions=1),
    # Indices of four contexts (3 each) and of the set (3); near + same; zone >> 1; the sums of
    # levels around: higher, edges, ahead (1 each), far (3), near (2, a shift), same (4, a shift);
    # magnitude, its two limits, its comparison, and three running sums.
    "zero": SCORE + Work(additions=12 + 3 + 1 + 12 + 7, shifts=1 + 2),
    # Indices of three contexts (4, 2, 2) and of the set (2, a shift); its class (2), its
    # comparison; two sums halved.
    "larger": Work(additions=8 + 2 + 3, shifts=3),
    # Indices of two contexts (5, 3) and of the set; the two signs around from 0 on, and which.
    "sign": Work(additions=8 + 1 + 3),
    # The same of one context, and of the set (2); the other context is in GAP.
    "sign_border": Work(additions=5 + 2 + 3),
    "border": Work(),
    # Indices of three contexts (2 each) and of the set, group >> 2; is there more? (2, a shift)
    "more": Work(additions=6 + 1 + 2, shifts=2),
    # Index, comparison.
    "dc": Work(additions=2 + 1),
    "dc_sign": Work(additions=2 + 1),
    # Index, value + 1, comparison; a shift.
    "escape": Work(additions=1 + 1 + 1, shifts=1),
    "dc_escape": Work(additions=1 + 1 + 1, shifts=1),
}
"""A decision of each kind without its bins, with what is prepared for it alone."""
OTHER_PLANES = (0, 3, 3)
"""Additions for the sum over the planes before, by plane."""
BAND = Work(additions=2 * 8 + 3)
"""Once a band: two sums over lower frequencies and their bins; that of the left patch's levels."""
PLANE = Work(additions=25, shifts=1)
"""Once a plane: the expected level 0 (8) and the gradient (5), as where the patch above is known;
the difference (1), its magnitude (1) and sign (2), level 0 from it (1) and its limits (2); the
energy (5, a shift)."""
PLANE_AFTER = Work(additions=3)
"""And in planes 1 and 2: twice the magnitude of the first difference."""
NONZERO = Work(additions=2)
"""Each level that is not 0: is its band among those whose signs have contexts? is it positive?"""
LOW_SIGN = Work(additions=2)
"""The sign that is kept of a level of the lowest bands."""
LARGER = SCORE + Work(additions=1, shifts=2)
"""Once a level that is not 0: its other score; near and same halved; the bin of their sum that
chooses weights."""
GAP = Work(additions=20, shifts=7)
"""A sign that is expected from the borders: frequencies (2, 4 shifts), two limits, the gaps at two
sides (4), magnitude and bin (5), area and limited magnitude (4), index (3, 3 shifts). As in a patch
of one transform."""
ADDED = Work(additions=22, shifts=4)
"""A level of plane 0 that is added to profiles: frequencies (2, 4 shifts), its limits (2) and those
of frequencies (2), what it is at two sides (10), four sums and two signs (6)."""
EDGES = Work(additions=8 * 3)
"""The profile kept for the row below, once a patch: places and limits."""
RAW_BIT = CODED_SYMBOL
"""A bit of even odds: a sign without contexts; a digit, with its shift in `DIGIT`."""
DIGIT = Work(additions=1, shifts=1)
"""A digit of an escaped number: its place, its bit."""


class Trace(NamedTuple):
    """Every decision of a strip, in order.

    Attributes:
        sets: (N,) number of the set of weights.
        bits: (N,).
        inputs: (N,) number of contexts, 1..4.
        contexts: (N, 4); those beyond ``inputs`` are 0.
    """

    sets: NDArray[np.int64]
    bits: NDArray[np.int64]
    inputs: NDArray[np.int64]
    contexts: NDArray[np.int64]


class _Recorder(Decisions):
    """Notes decisions on their way to the coder."""

    def __init__(self, tables: DeviceTables, step: int) -> None:
        super().__init__(BitEncoder(tables.widths), tables, step)
        self.rows: list[list[int]] = []

    def decide(self, weights: int, contexts: list[int], shift: int, bit: int) -> int:
        padding = [0] * (INPUTS - len(contexts))
        self.rows.append([weights, bit, len(contexts), *contexts, *padding])
        return super().decide(weights, contexts, shift, bit)


def trace_strip(
    tables: DeviceTables,
    levels: NDArray[np.int16],
    transform_sizes: NDArray[np.uint8],
    step: int,
    native: bool = True,
) -> Trace:
    """Code a strip and note its decisions.

    Args:
        tables: of the coder.
        levels: int16 (R, C, planes, 1024).
        transform_sizes: uint8 (R, C).
        step: index.
        native: by the C extension where it is built, else by the Python coder, seconds a
            photograph.
    """
    rows, columns, planes, _ = levels.shape
    if native and _native is not None:
        given = np.ascontiguousarray(levels), np.ascontiguousarray(transform_sizes)
        data = _native.device_trace(tuple(tables), *given, rows, columns, planes, step)
        table = np.frombuffer(data, dtype=np.int16).reshape(-1, 4 + 2 * INPUTS + SUMS)
        noted = table[:, : 3 + INPUTS].astype(np.int64)
    else:
        recorder = _Recorder(tables, step)
        patches = PatchCoder(recorder, planes)
        for row, column in np.ndindex(rows, columns):
            patches.code(
                levels[row, column].tolist(), int(transform_sizes[row, column]), column == 0
            )
        noted = np.array(recorder.rows, dtype=np.int64).reshape(-1, 3 + INPUTS)
    return Trace(noted[:, 0], noted[:, 1], noted[:, 2], noted[:, 3:])


def decisions_of(trace: Trace, kind: str) -> Trace:
    """The decisions of one of `KINDS`."""
    if kind in SET_KINDS:
        after = trace.sets - SET_AT[kind]
        chosen = (after >= 0) & (after < SET_KINDS[kind])
    else:
        name = ALONE.get(kind, kind)
        after = trace.contexts[:, 0] - CONTEXT_AT[name]
        chosen = (trace.sets == SET_AT["one"]) & (after >= 0) & (after < CONTEXT_KINDS[name])
    return Trace(*(column[chosen] for column in trace))


def strip_work(trace: Trace, levels: NDArray[np.int16]) -> Work:
    """All that coding a strip takes, symbols included.

    Args:
        trace: of the strip.
        levels: int16 (R, C, planes, 1024), of the strip.
    """
    kinds = {kind: decisions_of(trace, kind) for kind in KINDS}
    total = CONTEXT_STARTED.times(CONTEXTS) + DECIDED.times(len(trace.sets))
    total = total + MIXED.times(float(trace.inputs.sum()))
    total = total + MOVED_UP.times(float(trace.inputs[trace.bits == 1].sum()))
    for kind, own in OWN.items():
        total = total + own.times(len(kinds[kind].sets))
    compared = _zero_bins(kinds["zero"]) + _larger_bins(kinds["larger"]) + _more_bins(kinds["more"])
    compared += _dc_bins(kinds["dc"])
    summed = _other_sums(kinds["zero"]) + _group_sums(kinds["more"])
    total = total + Work(additions=compared + summed + _scanned(levels))
    total = total + BAND.times(GROUP_BANDS * int(kinds["more"].bits.sum()))
    planes = levels.shape[0] * levels.shape[1] * levels.shape[2]
    total = total + PLANE.times(planes)
    total = total + PLANE_AFTER.times(planes - planes // levels.shape[2])
    nonzero = int(kinds["zero"].bits.sum())
    total = total + (NONZERO + LARGER).times(nonzero)
    scored = _planes(kinds["zero"])[kinds["zero"].bits == 1]
    total = total + Work(additions=int(np.array(SCORED_PLANES)[scored].sum()))
    first = int(np.count_nonzero(levels[:, :, 0, 1:]))
    total = total + ADDED.times(first) + GAP.times(_gaps(kinds["sign"], levels))
    total = total + EDGES.times(levels.shape[0] * levels.shape[1])
    zones = (kinds["zero"].sets - SET_AT["zero"]) // 4 % ZONES
    total = total + LOW_SIGN.times(int((zones < SIGNED_BANDS).sum()))
    digits = sum(int(kinds[kind].bits.sum()) for kind in ("escape", "dc_escape"))
    # Each escaped number begins with magnitude - 15.
    begun = sum(
        int((kinds[kind].contexts[:, 0] - CONTEXT_AT[kind] & 15 == 0).sum())
        for kind in ("escape", "dc_escape")
    )
    total = total + DIGIT.times(digits) + Work(additions=begun)
    raw = raw_bits(trace)
    return total + RAW_BIT.times(raw) + Work(symbols=len(trace.sets) + raw)


def raw_bits(trace: Trace) -> int:
    """Bits of even odds: signs beyond the lowest bands, and the digits of escaped numbers."""
    decided = sum(len(decisions_of(trace, kind).sets) for kind in ("sign", "sign_border", "border"))
    signs = int(decisions_of(trace, "zero").bits.sum()) - decided
    digits = sum(int(decisions_of(trace, kind).bits.sum()) for kind in ("escape", "dc_escape"))
    return signs + digits


def _gaps(signs: Trace, levels: NDArray[np.int16]) -> int:
    """Signs that are expected from the borders: of the lowest bands of plane 0, but for means."""
    means = int((signs.sets - SET_AT["sign"] < SIGNED_BANDS).sum())
    return int(np.count_nonzero(levels[:, :, 0, 1 : 4 * BORDER_BANDS])) - means


def _compared(table: tuple[int, ...], values: NDArray[np.int64]) -> int:
    """Comparisons for bins."""
    return int(np.array(table)[values].sum())


def _zero_bins(trace: Trace) -> int:
    """near, same, other, near + same, and the sums of the score."""
    both = trace.contexts[:, 1] - CONTEXT_AT["zero_both"]
    other = trace.contexts[:, 2] - CONTEXT_AT["zero_other"]
    total = _compared(BIN10, both // 10 % 10) + _compared(BIN10, both % 10)
    total += _compared(BIN6, other // 4 % 6) + _compared(BIN4, other % 4)
    return total + int(np.array(SCORED_BINS)[_planes(trace)].sum()) * BIN16[0]


def _larger_bins(trace: Trace) -> int:
    """near and same once a level; near + same, and other, in each decision."""
    scores = trace.contexts[:, 0] - CONTEXT_AT["larger_score"]
    classes = scores // (4 * BAND_GROUPS * SCORES)
    both = (trace.contexts[:, 1] - CONTEXT_AT["larger_both"])[classes == 0]
    other = trace.contexts[:, 2] - CONTEXT_AT["larger_other"]
    total = _compared(BIN10, both // 10 % 10) + _compared(BIN10, both % 10)
    return total + _compared(BIN10, other // 6 % 10) + _compared(BIN6, other % 6)


def _more_bins(trace: Trace) -> int:
    """before and left, left again, and the planes before."""
    left = trace.contexts[:, 1] - CONTEXT_AT["more_left"]
    plane = trace.contexts[:, 2] - CONTEXT_AT["more_plane"]
    total = _compared(BIN10, left // 6 % 10) + _compared(BIN6, left % 6)
    return total + _compared(BIN10, plane // 7 % 10) + _compared(BIN7, plane % 7)


def _dc_bins(trace: Trace) -> int:
    """The energy, once a plane."""
    after = trace.contexts[:, 0] - CONTEXT_AT["dc"]
    return _compared(BIN6, (after // UNARY % 6)[after % UNARY == 0])


def _other_sums(trace: Trace) -> int:
    planes = _planes(trace)
    return int((np.array(OTHER_PLANES) + SCORED_PLANES)[planes].sum())


def _planes(trace: Trace) -> NDArray[np.int64]:
    return (trace.sets - SET_AT["zero"]) // (4 * 2 * ZONES)


def _group_sums(trace: Trace) -> int:
    """Counts from a group on, of this plane and of those before."""
    after = trace.contexts[:, 0] - CONTEXT_AT["more_group"]
    return int(((GROUPS - after % GROUPS) * (after // (2 * GROUPS) + 1)).sum())


def _scanned(levels: NDArray[np.int16]) -> int:
    """Comparisons from the last level down to the last that is not 0."""
    there = levels.reshape(-1, LEVELS)[:, 1:] != 0
    from_end = there[:, ::-1].argmax(axis=1) + 1
    return int(np.where(there.any(axis=1), from_end, LEVELS - 1).sum())


# ---- Memory ----


def table_bytes(tables: Mapping[str, NDArray[np.generic]]) -> int:
    """Trained tables and fixed ones."""
    return sum(table.nbytes for table in tables.values()) + FIXED_BYTES


def strip_bytes(pointer: int = 4) -> int:
    """The state of a strip, ``heq_device_strip``, on a device whose addresses take ``pointer``
    bytes (4 or 8)."""
    coder = 5 * pointer + 3 * 4 + 2 * 4 + 2 * 4
    # Levels 0 left and above, two steps, profiles of neighbours and own ones, sizes and columns
    # above.
    borders = 2 * 2 * 3 + 2 * 4 + 2 * (16 + 8) + 2 * 4 * 32 + COLUMNS // 8 + 14 * COLUMNS
    planes = 3 * (4 * SIGNED_BANDS + GROUPS + LEVELS + 4)
    size = coder + borders + planes + 2 * CONTEXTS
    return -(-size // pointer) * pointer


def coder_activation_bytes() -> int:
    """The state of a strip, and the levels of a patch in 16 bits. The payload leaves by bytes."""
    return strip_bytes() + 2 * 3 * LEVELS
