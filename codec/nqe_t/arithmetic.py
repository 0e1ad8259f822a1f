"""A binary arithmetic coder without multiplication, many patches side by side.

Each symbol is coded in a state, 0..127, that stands for a probability of the bit 1; the width given
to bit 1 comes from a table by state and the top bits of the range, so that coding a bit takes a
look-up, a subtraction, a comparison and a shift (the M-coder of H.264, with a 16-bit range and
fixed states; our choice, because it runs on a microcontroller and in gates). Bit 1 ought to be the
rarer one: up to 0.94 a symbol costs within 2 % of its entropy, above that some hundredths of a bit
more.

A code can be cut after any number of bits. The encoder writes the low end of its interval, and
stops only where the longest code is full; the decoder of N bits goes on for as long as the N bits
alone decide the next symbol. So a shorter code is the beginning of a longer one. docs/FORMAT.md has
both in pseudocode.

::

    range in [2^15, 2^16)         low                low + range - lps      low + range
    window of 16 bits at bit k     ├──── bit 0 ────────────┼──── bit 1 ────────┤
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.interval_table import RANGE_STEPS, STATES
from numpy.typing import NDArray

RANGE_START = 0xFFFF
EVEN = STATES - 1
"""The state of a bit of probability one half (signs): half the range, no table."""
NO_SYMBOL = 2
"""In the place of a bit: this patch has none here."""

_WINDOW = 16
_LOADED_BITS = 24

_SHIFTS = np.zeros(1 << 16, dtype=np.uint8)
for _bit in range(16):
    _SHIFTS[1 << _bit : 1 << (_bit + 1)] = 15 - _bit


class _Widths:
    """Widths of bit 1, looked up for many patches."""

    def __init__(self, table: NDArray[np.uint16]) -> None:
        # A range is at least 8 << 12, so the index 8 * state + (range >> 12) begins at 8. The last
        # row is that of NO_SYMBOL: nothing goes to bit 1.
        self._flat = np.zeros(RANGE_STEPS * (STATES + 2), dtype=np.int64)
        self._flat[RANGE_STEPS:-RANGE_STEPS] = table.reshape(-1)

    def __call__(
        self, places: NDArray[np.int64], even: NDArray[np.bool_], ranges: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """For ``8 * state``, ``state == EVEN`` and ranges, all (n,)."""
        widths: NDArray[np.int64] = self._flat.take(places + (ranges >> 12))
        np.right_shift(ranges, 1, out=widths, where=even)
        return widths


class ArithmeticEncoder:
    """Encoders of ``count`` patches, advancing together.

    Args:
        table: uint16 (STATES, RANGE_STEPS), as from `lps_table`.
        count: number of patches.
        bits: length of the longest code; a patch takes no more symbols once that many are fixed.
    """

    def __init__(self, table: NDArray[np.uint16], count: int, bits: int) -> None:
        self._widths = _Widths(table)
        self._bits = bits
        self._range = np.full(count, RANGE_START, dtype=np.int64)
        self._fixed = np.zeros(count, dtype=np.int64)
        # Sums of 16-bit digits whose carries are settled at the end; 2 digits of room.
        self._digits = np.zeros((bits // 16 + 4, count), dtype=np.int64)

    def encode(self, states: NDArray[np.uint8], symbols: NDArray[np.uint8]) -> None:
        """Code symbols of all patches, row by row.

        Args:
            states: uint8 (rows, count), 0..STATES-1.
            symbols: uint8 (rows, count), 0, 1 or NO_SYMBOL.
        """
        places = np.where(symbols == NO_SYMBOL, STATES, states).astype(np.int64) * RANGE_STEPS
        even = (states == EVEN) & (symbols != NO_SYMBOL)
        one = symbols == 1
        cuts = np.empty(states.shape, dtype=np.int64)
        shifts = np.empty(states.shape, dtype=np.uint8)
        ranges = self._range
        for row in range(len(states)):
            widths = self._widths(places[row], even[row], ranges)
            np.subtract(ranges, widths, out=cuts[row])
            chosen = np.where(one[row], widths, cuts[row])
            _SHIFTS.take(chosen, out=shifts[row])
            ranges = chosen << shifts[row]
        self._range = ranges
        fixed = self._fixed + np.cumsum(shifts, axis=0, dtype=np.int64)
        self._add(np.where(one, cuts, 0), fixed - shifts)
        if len(fixed):
            self._fixed = fixed[-1]

    def _add(self, amounts: NDArray[np.int64], fixed: NDArray[np.int64]) -> None:
        """Add to the low ends, (rows, count), where so many bits are fixed."""
        row, patch = np.nonzero((amounts > 0) & (fixed < self._bits))
        amount, place = amounts[row, patch], fixed[row, patch]
        spread = amount << (16 - (place & 15))
        np.add.at(self._digits, (place >> 4, patch), spread >> 16)
        np.add.at(self._digits, ((place >> 4) + 1, patch), spread & 0xFFFF)

    def open_patches(self) -> NDArray[np.bool_]:
        """Which patches still take symbols, bool (count,)."""
        return self._fixed < self._bits

    def codes(self) -> NDArray[np.uint8]:
        """The codes, uint8 (count, bits // 8), first bit in the top bit of the first byte."""
        digits = self._digits.copy()
        for index in range(len(digits) - 1, 0, -1):
            digits[index - 1] += digits[index] >> 16
            digits[index] &= 0xFFFF
        words = digits[: (self._bits + 15) // 16].T.astype(">u2")
        return np.ascontiguousarray(words).view(np.uint8)[:, : self._bits // 8].copy()


class ArithmeticDecoder:
    """Decoders of many patches' codes, advancing together.

    Args:
        table: uint16 (STATES, RANGE_STEPS), as the encoder's.
        codes: uint8 (count, bytes).

    Attributes:
        open: bool (count,), the patches whose code has not ended.
    """

    def __init__(self, table: NDArray[np.uint16], codes: NDArray[np.uint8]) -> None:
        count, length = codes.shape
        self._widths = _Widths(table)
        padded = np.zeros((length + 8, count), dtype=np.int64)
        padded[:length] = codes.T
        # The 24 bits from each byte on.
        self._peek = (padded[:-2] << 16) | (padded[1:-1] << 8) | padded[2:]
        self._bits = 8 * length
        self._range = np.full(count, RANGE_START, dtype=np.int64)
        # What lies between the low end and the code, as a window of 16 bits and some bits ahead.
        self._offset = self._peek[0] >> 8
        self._ahead = np.zeros(count, dtype=np.int64)
        self._loaded = np.full(count, _WINDOW, dtype=np.int64)
        self._unknown = np.zeros(count, dtype=np.int64)
        # Not below the first range: no encoder writes that, so it tells nothing.
        self.open = self._offset < RANGE_START
        self._load()

    def decode(
        self, states: NDArray[np.uint8], asked: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Decode a symbol of some patches; close those whose bits do not decide it.

        Args:
            states: uint8 (count,), 0..STATES-1; any where not asked.
            asked: bool (count,), open patches.

        Returns:
            Where a symbol was decoded, and where it is 1, both bool (count,).
        """
        places = np.multiply(states, RANGE_STEPS, dtype=np.int64)
        widths = self._widths(places, states == EVEN, self._range)
        cuts = self._range - widths
        edges = cuts << self._ahead
        ones = self._offset >= edges
        decided = ones | (self._offset + self._unknown <= edges)
        decided &= asked
        ones &= decided
        self.open &= decided == asked
        np.subtract(self._offset, edges, out=self._offset, where=ones)
        np.copyto(self._range, cuts, where=decided)
        np.copyto(self._range, widths, where=ones)
        shifts = _SHIFTS.take(self._range)
        self._range <<= shifts
        self._ahead -= shifts
        if np.min(self._ahead) < _WINDOW:
            self._load()
        return decided, ones

    def _load(self) -> None:
        """Load bits where fewer than 16 are ahead; end the codes of which all are fixed.

        Bits are loaded up to 31 beyond the code, as zeros; fewer than 16 of them are ahead just
        when the window has left the code, and then nothing more could be decided.
        """
        patch = np.flatnonzero(self._ahead < _WINDOW)
        loaded = self._loaded[patch]
        more = np.minimum(_LOADED_BITS, self._bits + 2 * _WINDOW - 1 - loaded)
        fresh = self._peek[loaded >> 3, patch] >> (_LOADED_BITS - more)
        self._offset[patch] = (self._offset[patch] << more) | fresh
        self._loaded[patch] = loaded + more
        self._unknown[patch] = 1 << np.maximum(loaded + more - self._bits, 0)
        self._ahead[patch] += more
        ended = patch[self._ahead[patch] < _WINDOW]
        self.open[ended] = False
        self._ahead[ended] = _WINDOW
