"""The encoder of the patch code: coefficients of many patches to their codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import zones as geometry
from .arithmetic import EVEN, NO_SYMBOL, ArithmeticEncoder
from .contexts import BOTTOM_PLANE, TOP_PLANE, PatchState, plane_index
from .patch_code import PatchCoderTables

_BUFFER_ROWS = 1024

Tally = Callable[[str, int, int, NDArray[np.uint8], NDArray[np.uint8]], None]
"""Called with (kind, zone, plane index, contexts, bits): how the tables are fitted."""


def encode_coefficients(
    coefficients: NDArray[np.int32],
    tables: PatchCoderTables,
    bits: int,
    tally: Tally | None = None,
) -> NDArray[np.uint8]:
    """Code the coefficients of patches.

    Args:
        coefficients: int32 (N, C, 32, 32), C 1 or 3; magnitudes from 2^18 on are taken as
            2^18 - 1.
        tables: of the coder.
        bits: length of the codes, a multiple of 8.
        tally: sees every decision (of patches whose code is not full yet).

    Returns:
        uint8 (N, bits // 8).
    """
    encoder = _PatchEncoder(coefficients, tables, bits, tally)
    order = tables.zone_order(coefficients.shape[1])
    for plane in range(TOP_PLANE, BOTTOM_PLANE - 1, -1):
        if not encoder.start_plane():
            break
        for zone in order:
            encoder.code_significance(zone, plane)
        for zone in order:
            encoder.code_refinement(zone, plane)
    return encoder.codes()


class _PatchEncoder:
    """Patches on their way through the bit planes; arguments as of `encode_coefficients`."""

    def __init__(
        self,
        coefficients: NDArray[np.int32],
        tables: PatchCoderTables,
        bits: int,
        tally: Tally | None,
    ) -> None:
        count, channels = coefficients.shape[:2]
        signed = np.zeros((geometry.CELLS, count), dtype=np.int32)
        inside = geometry.cell_map()[: channels * geometry.SIZE**2]
        signed[inside] = coefficients.reshape(count, -1).T
        self._magnitude = np.minimum(np.abs(signed), (2 << TOP_PLANE) - 1)
        self._negative = (signed < 0).astype(np.uint8)
        # Bits of each magnitude: a coefficient reaches 2^p if it has more than p of them.
        self._length = np.frexp(self._magnitude.astype(np.float32))[1].astype(np.uint8)
        self._zone_length = np.stack(
            [self._length[zone.cells].max(axis=0) for zone in geometry.zones()]
        )
        self._tables = tables
        self._tally = tally
        self._state = PatchState(count, channels)
        self._coder = ArithmeticEncoder(tables.lps, count, bits)
        self._queue = _SymbolQueue(self._coder, count)
        self._open = self._coder.open_patches()

    def start_plane(self) -> bool:
        """Begin the next plane; False when all codes are full."""
        self._queue.flush()
        self._open = self._coder.open_patches()
        self._state.next_plane()
        return bool(self._open.any())

    def code_significance(self, zone: int, plane: int) -> None:
        """The flag of a zone, and what becomes significant in it."""
        if self._queue.flushed:
            self._open = self._coder.open_patches()
            self._queue.flushed = False
        coded = self._open
        if geometry.zones()[zone].size > 1:
            self._code_flag(zone, plane)
            coded = coded & (self._state.zone_levels[zone] > 0)
        if coded.any():
            for half, cells in enumerate(geometry.zones()[zone].halves):
                if len(cells):
                    self._code_half(zone, half, plane, coded)

    def _code_flag(self, zone: int, plane: int) -> None:
        levels = self._state.zone_levels[zone]
        asked = self._open & (levels == 0)
        if not asked.any():
            return
        step = plane_index(plane)
        context = self._state.flag_context(zone)
        active = (self._zone_length[zone] > plane).astype(np.uint8)
        if self._tally:
            self._tally("flag", zone, step, context[asked], active[asked])
        np.copyto(levels, active, where=asked)
        self._put(self._tables.flag[zone, step].take(context)[None], active[None], asked[None])

    def _code_half(self, zone: int, half: int, plane: int, coded: NDArray[np.bool_]) -> None:
        """Significance of a half's coefficients, each followed by its sign where it is 1."""
        cells = geometry.zones()[zone].halves[half]
        step = plane_index(plane)
        context = self._state.significance_context(zone, half)
        levels = self._state.levels[cells]
        asked = (levels == 0) & coded
        now = asked & (self._length[cells] > plane)
        if self._tally:
            became = now[asked].astype(np.uint8)
            self._tally("significance", zone, step, context[asked], became)
        levels[now] = 1
        self._state.levels[cells] = levels
        states = np.full((len(cells), 2, len(coded)), EVEN, dtype=np.uint8)
        states[:, 0] = self._tables.significance[zone, step].reshape(-1).take(context)
        symbols = np.stack([now.astype(np.uint8), self._negative[cells]], axis=1)
        there = np.stack([asked, now], axis=1)
        flat = -1, len(coded)
        self._put(states.reshape(flat), symbols.reshape(flat), there.reshape(flat))

    def code_refinement(self, zone: int, plane: int) -> None:
        """One more bit of the coefficients that were significant before this plane."""
        cells = geometry.zones()[zone].cells
        levels = self._state.levels[cells]
        asked = (levels >= 2) & self._open
        if not asked.any():
            return
        step = plane_index(plane)
        first = (levels == 2).astype(np.uint8)
        bit = ((self._magnitude[cells] >> plane) & 1).astype(np.uint8)
        if self._tally:
            self._tally("refinement", zone, step, first[asked], bit[asked])
        self._put(self._tables.refinement[zone, step].take(first), bit, asked)

    def _put(
        self, states: NDArray[np.uint8], symbols: NDArray[np.uint8], there: NDArray[np.bool_]
    ) -> None:
        self._queue.add(states, np.where(there, symbols, np.uint8(NO_SYMBOL)))

    def codes(self) -> NDArray[np.uint8]:
        """The codes, once all planes are coded."""
        self._queue.flush()
        return self._coder.codes()


class _SymbolQueue:
    """Symbols on their way to the arithmetic coder, which is fastest with many rows at once.

    Attributes:
        flushed: set whenever symbols were coded, so that codes may have become full.
    """

    def __init__(self, coder: ArithmeticEncoder, count: int) -> None:
        self._coder = coder
        rows = _BUFFER_ROWS + 2 * max(len(half) for z in geometry.zones() for half in z.halves)
        self._states = np.zeros((rows, count), dtype=np.uint8)
        self._symbols = np.zeros((rows, count), dtype=np.uint8)
        self._rows = 0
        self.flushed = False

    def add(self, states: NDArray[np.uint8], symbols: NDArray[np.uint8]) -> None:
        """Rows of symbols, 0, 1 or NO_SYMBOL, all uint8 (rows, count)."""
        place = slice(self._rows, self._rows + len(states))
        self._states[place] = states
        self._symbols[place] = symbols
        self._rows = place.stop
        if self._rows >= _BUFFER_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand all symbols to the coder, each patch's closed up to the top."""
        states, symbols = self._states[: self._rows].T, self._symbols[: self._rows].T
        there = (symbols != NO_SYMBOL) & self._coder.open_patches()[:, None]
        depth = there.sum(axis=1)
        packed = np.arange(depth.max(initial=0)) < depth[:, None]
        packed_states = np.zeros(packed.shape, dtype=np.uint8)
        packed_symbols = np.full(packed.shape, NO_SYMBOL, dtype=np.uint8)
        packed_states[packed] = states[there]
        packed_symbols[packed] = symbols[there]
        self._coder.encode(packed_states.T, packed_symbols.T)
        self._rows = 0
        self.flushed = True
