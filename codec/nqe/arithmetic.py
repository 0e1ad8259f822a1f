"""A binary arithmetic coder without multiplication, many patches side by side.

Probabilities are states 0..63 of a less probable symbol (LPS) that is always the bit 1; the width
given to it comes from a table by state and the top bits of the range, so that coding a bit takes a
look-up, a subtraction, a comparison and a shift (the M-coder of H.264, with a 16-bit range and
fixed states; our choice, because it runs on a microcontroller and in gates).

A code can be cut after any number of bits. The encoder writes the low end of its interval and
never looks at a budget; the decoder of N bits goes on for as long as the N bits alone decide the
next symbol, and stops there. So a shorter code is the beginning of a longer one.

::

    range in [2^15, 2^16)         low                low + range - lps      low + range
    window of 16 bits at bit k     ├──── bit 0 ────────────┼──── bit 1 ────────┤
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STATES = 128
RANGE_STEPS = 8
RANGE_START = 0xFFFF
EVEN = STATES - 1
"""Marks a bit of probability one half (signs): half the range, no table."""

_SHIFTS = np.zeros(1 << 16, dtype=np.uint8)
for _bit in range(16):
    _SHIFTS[1 << _bit : 1 << (_bit + 1)] = 15 - _bit


def lps_table(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Widths of bit 1 by state and range step.

    Args:
        probabilities: of bit 1, float64 (STATES,), in (0, 1).

    Returns:
        uint16 (STATES, RANGE_STEPS): probability times the middle of the range step, kept so that
        either symbol has a width of at least 1 in every range of the step.
    """
    step = (1 << 15) // RANGE_STEPS
    lowest = (1 << 15) + step * np.arange(RANGE_STEPS)
    width = np.rint(probabilities[:, None] * (lowest + step / 2)[None])
    return np.clip(width, 1, lowest[None] - 1).astype(np.uint16)


class ArithmeticEncoder:
    """Encoders of ``count`` patches, advancing together.

    Args:
        table: uint16 (STATES, RANGE_STEPS), as from `lps_table`.
        count: number of patches.
        bits: length of the longest code; a patch takes no more symbols once that many are fixed.
    """

    def __init__(self, table: NDArray[np.uint16], count: int, bits: int) -> None:
        self._table = table.astype(np.int64).reshape(-1)
        self.bits = bits
        self.range = np.full(count, RANGE_START, dtype=np.int64)
        self.shifted = np.zeros(count, dtype=np.int64)
        # Sums of 16-bit digits whose carries are settled at the end; 2 digits of room.
        self._digits = np.zeros((bits // 16 + 4, count), dtype=np.int64)

    def encode(
        self, which: NDArray[np.int64], states: NDArray[np.uint8], symbols: NDArray[np.uint8]
    ) -> None:
        """Code one bit for each of some patches.

        Args:
            which: patches, int64 (n,), without repetition.
            states: uint8 (n,), 0..STATES-1.
            symbols: uint8 (n,), 0 or 1.
        """
        open_ = self.shifted[which] < self.bits
        if not open_.all():
            which, states, symbols = which[open_], states[open_], symbols[open_]
        width = self.range[which]
        lps = _lps(self._table, width, states)
        one = symbols != 0
        base = np.where(one, width - lps, 0)
        width = np.where(one, lps, width - lps)
        shifted = self.shifted[which]
        digit = shifted >> 4
        spread = base << (16 - (shifted & 15))
        self._digits[digit, which] += spread >> 16
        self._digits[digit + 1, which] += spread & 0xFFFF
        shift = _SHIFTS[width].astype(np.int64)
        self.range[which] = width << shift
        self.shifted[which] = shifted + shift

    def open_patches(self) -> NDArray[np.bool_]:
        """Which patches still take symbols, bool (count,)."""
        return self.shifted < self.bits

    def codes(self) -> NDArray[np.uint8]:
        """The codes, uint8 (count, bits // 8), first bit in the top bit of the first byte."""
        digits = self._digits.copy()
        for index in range(len(digits) - 1, 0, -1):
            digits[index - 1] += digits[index] >> 16
            digits[index] &= 0xFFFF
        words = digits[: (self.bits + 15) // 16].T.astype(">u2")
        return np.ascontiguousarray(words).view(np.uint8)[:, : self.bits // 8].copy()


class ArithmeticDecoder:
    """Decoders of many patches' codes, advancing together.

    Args:
        table: uint16 (STATES, RANGE_STEPS), as the encoder's.
        codes: uint8 (count, bytes).
    """

    def __init__(self, table: NDArray[np.uint16], codes: NDArray[np.uint8]) -> None:
        count, length = codes.shape
        self._table = table.astype(np.int64).reshape(-1)
        self.bits = 8 * length
        padded = np.zeros((length + 8, count), dtype=np.int64)
        padded[:length] = codes.T
        # The 24 bits from each byte on, so that up to 16 bits at any place are one look-up.
        self._peek = (padded[:-2] << 16) | (padded[1:-1] << 8) | padded[2:]
        self.range = np.full(count, RANGE_START, dtype=np.int64)
        self.offset = self._peek[0] >> 8
        self.read = np.full(count, 16, dtype=np.int64)
        self.open = np.ones(count, dtype=bool)

    def decode(
        self, which: NDArray[np.int64], states: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Decode one bit for each of some open patches; close those whose bits do not decide it.

        Args:
            which: open patches, int64 (n,), without repetition.
            states: uint8 (n,), 0..STATES-1.

        Returns:
            The patches whose bit was decided, int64 (m,), and their bits, bool (m,).
        """
        width = self.range[which]
        lps = _lps(self._table, width, states)
        offset = self.offset[which]
        cut = width - lps
        read = self.read[which]
        unknown = np.maximum(read - self.bits, 0)
        one = offset >= cut
        decided = one | (offset + (1 << unknown) <= cut)
        if not decided.all():
            self.open[which[~decided]] = False
            which, width, lps, offset, cut, read, one = (
                part[decided] for part in (which, width, lps, offset, cut, read, one)
            )
        offset = np.where(one, offset - cut, offset)
        width = np.where(one, lps, cut)
        shift = _SHIFTS[width].astype(np.int64)
        place = np.minimum(read >> 3, len(self._peek) - 1)
        fresh = (self._peek[place, which] >> (24 - (read & 7) - shift)) & ((1 << shift) - 1)
        self.range[which] = width << shift
        self.offset[which] = (offset << shift) | fresh
        self.read[which] = read + shift
        # Beyond the last bit of the code the window holds nothing that could decide.
        if (read + shift - self.bits >= 16).any():
            self.open[which[read + shift - self.bits >= 16]] = False
        return which, one


def _lps(
    table: NDArray[np.int64], width: NDArray[np.int64], states: NDArray[np.uint8]
) -> NDArray[np.int64]:
    looked = table[states.astype(np.int64) * RANGE_STEPS + ((width >> 12) & 7)]
    return np.where(states == EVEN, width >> 1, looked)
