"""The arithmetic coder of the device coder, in Python: one bit at a time, either way.

A bit comes with its log odds in sixteenths, -127..127. The width of the less likely value is
looked up by the log odds and the top bits of the range, as in `heqcodec.nqe_t.arithmetic`; here a
code is ended, not cut: by the number of the last interval with the most zeros at its end, and
zero bytes at the end are left out. docs/FORMAT.md, "Device payload".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TOP = 1 << 15
_START = 0xFFFF


class BitEncoder:
    """Writes bits.

    Args:
        widths: uint16 (128, 8), of `DeviceTables`.
    """

    decoding = False

    def __init__(self, widths: NDArray[np.uint16]) -> None:
        self._widths = widths.reshape(-1).tolist()
        self._range = _START
        self._low = 0
        self._shifted = 0

    def code(self, odds: int, bit: int) -> int:
        """Code a bit of given log odds; returns it."""
        likely = int(odds >= 0)
        width: int = self._widths[8 * abs(odds) + ((self._range >> 12) & 7)]
        cut = self._range - width
        if bit == likely:
            self._range = cut
        else:
            self._range = width
            # One long number; a carry finds its way by itself.
            self._low += cut
        shift = 16 - self._range.bit_length()
        self._range <<= shift
        self._low <<= shift
        self._shifted += shift
        return bit

    def payload(self) -> bytes:
        """The bytes so far, ended."""
        low = (self._low + _TOP - 1) & ~(_TOP - 1)
        length = self._shifted // 8 + 1
        data = (low << 8) >> (16 + self._shifted % 8)
        return data.to_bytes(length, "big").rstrip(b"\0")


class BitDecoder:
    """Reads what `BitEncoder` wrote, and anything else without complaint until `is_whole`.

    Args:
        widths: uint16 (128, 8), of `DeviceTables`.
        payload: bytes; after them zeros are read.
    """

    decoding = True

    def __init__(self, widths: NDArray[np.uint16], payload: bytes) -> None:
        self._widths = widths.reshape(-1).tolist()
        self._payload = payload
        self._range = _START
        self._low = int.from_bytes(payload[:2].ljust(2, b"\0"), "big")
        self._shifted = 0
        self._place = 2
        self._ahead = 0
        self._bits = 0
        self._begun = self._low < self._range
        if not self._begun:
            self._low = 0

    def code(self, odds: int, bit: int = 0) -> int:
        """Decode a bit of given log odds."""
        likely = int(odds >= 0)
        width: int = self._widths[8 * abs(odds) + ((self._range >> 12) & 7)]
        cut = self._range - width
        if self._low < cut:
            bit = likely
            self._range = cut
        else:
            bit = 1 - likely
            self._range = width
            self._low -= cut
        shift = 16 - self._range.bit_length()
        self._range <<= shift
        self._shifted += shift
        while self._bits < shift:
            byte = self._payload[self._place] if self._place < len(self._payload) else 0
            self._ahead = (self._ahead << 8) | byte
            self._place += 1
            self._bits += 8
        self._bits -= shift
        self._low = (self._low << shift) | (self._ahead >> self._bits)
        self._ahead &= (1 << self._bits) - 1
        return bit

    def is_whole(self) -> bool:
        """Does the payload end where this decoder stands?"""
        ended = not self._payload.endswith(b"\0")
        return self._begun and ended and len(self._payload) <= self._shifted // 8 + 1
