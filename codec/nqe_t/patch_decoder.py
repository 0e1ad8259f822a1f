"""The decoder of the patch code: codes of many patches to what they tell of the coefficients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import zones as geometry
from .arithmetic import EVEN, ArithmeticDecoder
from .contexts import BOTTOM_PLANE, TOP_PLANE, ZONE_COUNT, PatchState, plane_index
from .patch_code import Coefficients, PatchCoderTables


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
    decoder = _PatchDecoder(codes, channels, tables)
    order = tables.zone_order(channels)
    for plane in range(TOP_PLANE, BOTTOM_PLANE - 1, -1):
        decoder.start_plane()
        for zone in order:
            decoder.read_significance(zone, plane)
        decoder.place_significant(plane)
        for zone in order:
            decoder.read_refinement(zone, plane)
        if not decoder.any_open():
            break
    return decoder.coefficients


class _PatchDecoder:
    """Patches on their way through the bit planes; arguments as of `decode_coefficients`."""

    def __init__(self, codes: NDArray[np.uint8], channels: int, tables: PatchCoderTables) -> None:
        count = len(codes)
        self._tables = tables
        self._state = PatchState(count, channels)
        self._coder = ArithmeticDecoder(tables.lps, codes)
        self._even = np.full(count, EVEN, dtype=np.uint8)
        self.coefficients = Coefficients(
            low=np.zeros((geometry.CELLS, count), dtype=np.int32),
            width=np.zeros((geometry.CELLS, count), dtype=np.int32),
            negative=np.zeros((geometry.CELLS, count), dtype=bool),
            reached=np.zeros((ZONE_COUNT, count), dtype=np.uint8),
        )

    def any_open(self) -> bool:
        """Whether a code has not ended."""
        return bool(self._coder.open.any())

    def start_plane(self) -> None:
        """Begin the next plane."""
        self._state.next_plane()

    def read_significance(self, zone: int, plane: int) -> None:
        """The flag of a zone, and what becomes significant in it."""
        opened = self._coder.open
        if not opened.any():
            return
        if geometry.zones()[zone].size > 1:
            self._read_flag(zone, plane)
            coded = opened & (self._state.zone_levels[zone] > 0)
        else:
            coded = opened
        for half in (0, 1):
            coded = coded & opened
            if coded.any():
                self._read_half(zone, half, plane, coded)
        self.coefficients.reached[zone][opened] = plane_index(plane) + 1

    def _read_flag(self, zone: int, plane: int) -> None:
        levels = self._state.zone_levels[zone]
        asked = self._coder.open & (levels == 0)
        if asked.any():
            context = self._state.flag_context(zone)
            table = self._tables.flag[zone, plane_index(plane)]
            _, active = self._coder.decode(table.take(context), asked)
            levels[active] = 1

    def _read_half(self, zone: int, half: int, plane: int, coded: NDArray[np.bool_]) -> None:
        """Significance and signs of a half's coefficients."""
        cells = geometry.zones()[zone].halves[half]
        context = self._state.significance_context(zone, half)
        states = self._tables.significance[zone, plane_index(plane)].reshape(-1).take(context)
        asked = (self._state.levels[cells] == 0) & coded
        for row in np.flatnonzero(asked.any(axis=1)):
            _, now = self._coder.decode(states[row], asked[row] & self._coder.open)
            now &= self._coder.open
            if now.any():
                signed, minus = self._coder.decode(self._even, now)
                self._state.levels[cells[row]][signed] = 1
                self.coefficients.negative[cells[row]] |= minus

    def place_significant(self, plane: int) -> None:
        """Intervals of what became significant in this plane."""
        new = self._state.levels == 1
        self.coefficients.low[new] = 1 << plane
        self.coefficients.width[new] = 1 << plane

    def read_refinement(self, zone: int, plane: int) -> None:
        """One more bit of the coefficients that were significant before this plane."""
        if not self.any_open():
            return
        cells = geometry.zones()[zone].cells
        levels = self._state.levels[cells]
        asked = (levels >= 2) & self._coder.open
        states = self._tables.refinement[zone, plane_index(plane)].take(levels == 2)
        for row in np.flatnonzero(asked.any(axis=1)):
            decided, bit = self._coder.decode(states[row], asked[row] & self._coder.open)
            self.coefficients.low[cells[row]] += bit * np.int32(1 << plane)
            self.coefficients.width[cells[row]][decided] = 1 << plane
