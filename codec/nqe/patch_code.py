"""The embedded bit-plane code of a patch (coder 1 of the container).

From the top bit plane to the bottom one, with T = 2^plane::

    for each zone, in the order of the tables
        not active yet?  flag: does any of its coefficients reach T now?      (context)
        active?  even half, then odd half, each coefficient not significant yet:
                 does it reach T?  (context)      if so: its sign  (even)
    for each zone, each coefficient significant since an earlier plane:
        the next bit of its magnitude  (context)

Zones of one coefficient have no flag. A coefficient coded late is clipped to the range that is
left to it. All decisions of a half use the state before that half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import zones as geometry
from .arithmetic import EVEN, ArithmeticDecoder, ArithmeticEncoder
from .contexts import (
    BOTTOM_PLANE,
    CROSS_BINS,
    SUM_BINS,
    TOP_PLANE,
    PatchState,
    plane_index,
)

_BUFFER_ROWS = 1024


class PatchCoderTables(NamedTuple):
    """Everything the coder knows beforehand; fitted on photographs, stored with the weights.

    significance, flag, refinement: states, uint8, shapes as in `contexts`.
    lps: uint16 (STATES, 8), widths of bit 1.
    order: uint8 (zones,), the order of zones in a plane.
    """

    significance: NDArray[np.uint8]
    flag: NDArray[np.uint8]
    refinement: NDArray[np.uint8]
    lps: NDArray[np.uint16]
    order: NDArray[np.uint8]

    def zone_order(self, channels: int) -> list[int]:
        """Zones to visit in a plane, in order, for a number of channels."""
        zones = geometry.zones()
        return [int(index) for index in self.order if zones[index].channel < channels]


class Coefficients(NamedTuple):
    """What N bits tell of the coefficients of ``count`` patches.

    low: int32 (CELLS, count), magnitudes known so far (multiples of the width), 0 where nothing.
    width: int32 (CELLS, count), size of the interval [low, low + width) where significant.
    negative: bool (CELLS, count).
    reached: uint8 (zones, count), number of planes whose significance is complete for the zone.
    """

    low: NDArray[np.int32]
    width: NDArray[np.int32]
    negative: NDArray[np.bool_]
    reached: NDArray[np.uint8]


Tally = Callable[[str, int, int, NDArray[np.int64], NDArray[np.uint8]], None]
"""Called with (kind, zone, plane index, contexts, bits): how the tables are fitted."""


def encode_coefficients(
    coefficients: NDArray[np.int32],
    tables: PatchCoderTables,
    bits: int,
    tally: Tally | None = None,
) -> NDArray[np.uint8]:
    """Code the coefficients of patches.

    Args:
        coefficients: int32 (N, C, 32, 32), magnitudes below 2^18.
        tables: of the coder.
        bits: length of the codes, a multiple of 16.
        tally: sees every decision (of patches whose code is not full yet).

    Returns:
        uint8 (N, bits // 8).
    """
    count, channels = coefficients.shape[:2]
    signed = np.zeros((geometry.CELLS, count), dtype=np.int32)
    inside = geometry.cell_map()[: channels * geometry.SIZE**2]
    signed[inside] = coefficients.reshape(count, -1).T
    magnitude = np.minimum(np.abs(signed), (2 << TOP_PLANE) - 1)
    negative = (signed < 0).astype(np.uint8)
    state = PatchState(count, channels)
    # A significant coefficient's magnitude, less what is coded: refinement reads its bits.
    rest = magnitude
    coder = ArithmeticEncoder(tables.lps, count, bits)
    pending = _Pending(coder)
    zones = geometry.zones()
    order = tables.zone_order(channels)

    for plane in range(TOP_PLANE, BOTTOM_PLANE - 1, -1):
        step = plane_index(plane)
        threshold = 1 << plane
        state.next_plane()
        open_ = np.flatnonzero(coder.open_patches())
        if not len(open_):
            break
        for index in order:
            if pending.flushed:
                open_ = np.flatnonzero(coder.open_patches())
                pending.flushed = False
            zone = zones[index]
            if zone.size > 1:
                cells = np.concatenate(zone.halves)
                asked = open_[state.zone_levels[index, open_] == 0]
                if len(asked):
                    context = state.flag_context(index, asked)
                    active = (rest[np.ix_(cells, asked)] >= threshold).any(axis=0)
                    if tally:
                        tally("flag", index, step, context.astype(np.int64), active)
                    pending.add(asked, tables.flag[index, step][context], active)
                    state.zone_levels[index, asked] = active
                which = open_[state.zone_levels[index, open_] > 0]
            else:
                which = open_
            if not len(which):
                continue
            for cells in zone.halves:
                if not len(cells):
                    continue
                context = state.significance_context(index, cells, which)
                table = tables.significance[index, step].reshape(-1)
                states = table[context]
                box = np.ix_(cells, which)
                levels = state.levels[box]
                asked_cells = levels == 0
                now = (rest[box] >= threshold) & asked_cells
                if tally:
                    tally("significance", index, step, context[asked_cells], now[asked_cells])
                pending.add_with_signs(which, states, asked_cells, now, negative[box])
                state.levels[box] = np.where(now, 1, levels)
        for index in order:
            zone = zones[index]
            cells = np.concatenate(zone.halves)
            box = np.ix_(cells, open_)
            levels = state.levels[box]
            refined = levels >= 2
            if refined.any():
                # Refinement bits are those of the magnitude clipped to what is still possible.
                bit = (rest[box] >> plane) & 1
                first = (levels == 2).astype(np.int64)
                states = tables.refinement[index, step][first]
                if tally:
                    tally("refinement", index, step, first[refined], bit[refined].astype(np.uint8))
                pending.add_many(open_, states, refined, bit.astype(np.uint8))
        _clip(rest, state.levels, threshold)
        pending.flush()
    pending.flush()
    return coder.codes()


def _clip(rest: NDArray[np.int32], levels: NDArray[np.uint8], threshold: int) -> None:
    """Keep magnitudes inside the interval that the code so far allows."""
    new = levels == 1
    np.minimum(rest, 2 * threshold - 1, out=rest, where=new)


class _Pending:
    """Symbols waiting for the arithmetic coder, as columns of rows to be closed up."""

    def __init__(self, coder: ArithmeticEncoder) -> None:
        self._coder = coder
        self._rows: list[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]] = []
        self._count = 0
        self.flushed = False

    def add(
        self, which: NDArray[np.int64], states: NDArray[np.uint8], bits: NDArray[np.bool_]
    ) -> None:
        """One symbol for each of some patches."""
        self._rows.append((which, states[None], bits.astype(np.uint8)[None]))
        self._grow(1)

    def add_many(
        self,
        which: NDArray[np.int64],
        states: NDArray[np.uint8],
        asked: NDArray[np.bool_],
        bits: NDArray[np.uint8],
    ) -> None:
        """Rows of symbols; where ``asked`` is false there is none. All (rows, len(which))."""
        self._rows.append((which, states, np.where(asked, bits, 2).astype(np.uint8)))
        self._grow(len(states))

    def add_with_signs(
        self,
        which: NDArray[np.int64],
        states: NDArray[np.uint8],
        asked: NDArray[np.bool_],
        now: NDArray[np.bool_],
        negative: NDArray[np.uint8],
    ) -> None:
        """Significance decisions, each followed by a sign where it is 1."""
        rows, width = states.shape
        both = np.full((rows, 2, width), EVEN, dtype=np.uint8)
        both[:, 0] = states
        bits = np.full((rows, 2, width), 2, dtype=np.uint8)
        bits[:, 0] = np.where(asked, now, 2)
        bits[:, 1] = np.where(now, negative, 2)
        self._rows.append((which, both.reshape(-1, width), bits.reshape(-1, width)))
        self._grow(2 * rows)

    def _grow(self, rows: int) -> None:
        self._count += rows
        if self._count >= _BUFFER_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand all waiting symbols to the coder, patch by patch in order, empty places closed."""
        if not self._rows:
            return
        width = len(self._coder.range)
        filled = np.zeros(width, dtype=np.int64)
        depth = np.zeros(width, dtype=np.int64)
        for which, _, bits in self._rows:
            depth[which] += (bits < 2).sum(axis=0)
        total = int(depth.max(initial=0))
        states_out = np.zeros((total, width), dtype=np.uint8)
        bits_out = np.full((total, width), 2, dtype=np.uint8)
        for which, states, bits in self._rows:
            asked = bits < 2
            if not asked.any():
                continue
            places = np.cumsum(asked, axis=0) - 1 + filled[which]
            row, column = np.nonzero(asked)
            target = places[row, column], which[column]
            states_out[target] = states[row, column]
            bits_out[target] = bits[row, column]
            filled[which] += asked.sum(axis=0)
        for states, bits in zip(states_out, bits_out, strict=True):
            which = np.flatnonzero(bits < 2)
            self._coder.encode(which, states[which], bits[which])
        self._rows.clear()
        self._count = 0
        self.flushed = True


def decode_coefficients(
    codes: NDArray[np.uint8], channels: int, tables: PatchCoderTables
) -> Coefficients:
    """What the codes tell of the coefficients.

    Args:
        codes: uint8 (N, bytes), any number of bytes from 0.
        channels: 1 or 3.
        tables: of the coder.

    Returns:
        Intervals of all coefficients; any bytes decode to something.
    """
    count = len(codes)
    state = PatchState(count, channels)
    low = np.zeros((geometry.CELLS, count), dtype=np.int32)
    width = np.zeros((geometry.CELLS, count), dtype=np.int32)
    negative = np.zeros((geometry.CELLS, count), dtype=bool)
    reached = np.zeros((len(geometry.zones()), count), dtype=np.uint8)
    coder = ArithmeticDecoder(tables.lps, codes)
    zones = geometry.zones()
    order = tables.zone_order(channels)

    for plane in range(TOP_PLANE, BOTTOM_PLANE - 1, -1):
        step = plane_index(plane)
        threshold = 1 << plane
        state.next_plane()
        for index in order:
            zone = zones[index]
            open_ = np.flatnonzero(coder.open)
            if not len(open_):
                break
            which = open_
            if zone.size > 1:
                asked = open_[state.zone_levels[index, open_] == 0]
                if len(asked):
                    context = state.flag_context(index, asked)
                    told, active = coder.decode(asked, tables.flag[index, step][context])
                    state.zone_levels[index, told] = active
                open_ = np.flatnonzero(coder.open)
                which = open_[state.zone_levels[index, open_] > 0]
            for cells in zone.halves:
                which = which[coder.open[which]]
                if not len(cells) or not len(which):
                    continue
                context = state.significance_context(index, cells, which)
                states = tables.significance[index, step].reshape(-1)[context]
                asked_cells = state.levels[np.ix_(cells, which)] == 0
                _decode_half(coder, state, which, cells, states, asked_cells, negative)
            open_ = np.flatnonzero(coder.open)
            reached[index, open_] = step + 1
        new = state.levels == 1
        low[new] = threshold
        width[new] = threshold
        for index in order:
            open_ = np.flatnonzero(coder.open)
            if not len(open_):
                break
            cells = np.concatenate(zones[index].halves)
            levels = state.levels[np.ix_(cells, open_)]
            for row in np.flatnonzero((levels >= 2).any(axis=1)):
                asked = open_[levels[row] >= 2]
                first = (levels[row][levels[row] >= 2] == 2).astype(np.int64)
                keep = coder.open[asked]
                told, bit = coder.decode(
                    asked[keep], tables.refinement[index, step][first[keep]]
                )
                target = cells[row]
                low[target, told] += bit * np.int32(threshold)
                width[target, told] = threshold
        if not coder.open.any():
            break
    return Coefficients(low, width, negative, reached)


def _decode_half(
    coder: ArithmeticDecoder,
    state: PatchState,
    which: NDArray[np.int64],
    cells: NDArray[np.int64],
    states: NDArray[np.uint8],
    asked: NDArray[np.bool_],
    negative: NDArray[np.bool_],
) -> None:
    """Significance and signs of one half of a zone, coefficient by coefficient."""
    for row, target in enumerate(cells):
        wanted = asked[row] & coder.open[which]
        if not wanted.any():
            continue
        told, now = coder.decode(which[wanted], states[row][wanted])
        significant = told[now]
        if not len(significant):
            continue
        even = np.full(len(significant), EVEN, dtype=np.uint8)
        signed, minus = coder.decode(significant, even)
        state.levels[target, signed] = 1
        negative[target, signed] = minus


__all__ = [
    "CROSS_BINS",
    "SUM_BINS",
    "Coefficients",
    "PatchCoderTables",
    "decode_coefficients",
    "encode_coefficients",
]
