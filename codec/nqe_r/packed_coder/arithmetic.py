"""A binary arithmetic coder of 32 bits without carries, with probabilities of 16 bits.

After lpaq (Mahoney): an interval ``low..high`` of 32-bit numbers is cut at
``low + ((high - low) * ones >> 16)``, the lower part for a 1; leading bytes that both ends share
are written. An encoder ends with the fewest bytes that, followed by zeros, lie in the interval; a
decoder reads zeros beyond the end.
"""

from __future__ import annotations

from typing import Protocol

_TOP = 0xFFFFFFFF


class BitCoder(Protocol):
    """What the encoder and the decoder of a code have in common."""

    decoding: bool

    def code(self, bit: int, ones: int) -> int:
        """Code a bit, or decode one (then ``bit`` is not looked at).

        Args:
            bit: 0 or 1.
            ones: probability of a 1 in 1/65536, 1..65535.
        """
        ...


class BitEncoder:
    """The encoder: bits to bytes."""

    decoding = False

    def __init__(self) -> None:
        self._low, self._high = 0, _TOP
        self._out = bytearray()

    def code(self, bit: int, ones: int) -> int:
        middle = self._low + ((self._high - self._low) * ones >> 16)
        if bit:
            self._high = middle
        else:
            self._low = middle + 1
        while (self._low ^ self._high) >> 24 == 0:
            self._out.append(self._high >> 24)
            self._low = self._low << 8 & _TOP
            self._high = (self._high << 8 & _TOP) | 255
        return bit

    def finish(self) -> bytes:
        """End the code, and return its bytes."""
        if self._low:
            for count in range(1, 5):
                unit = 1 << (32 - 8 * count)
                value = -(-self._low // unit) * unit
                if value <= self._high:
                    self._out += value.to_bytes(4, "big")[:count]
                    break
        return bytes(self._out)


class BitDecoder:
    """The decoder: bytes to bits; zeros behind the end."""

    decoding = True

    def __init__(self, code: bytes) -> None:
        self._code, self._at = code, 4
        self._low, self._high = 0, _TOP
        self._window = int.from_bytes(code[:4].ljust(4, b"\0"), "big")

    def code(self, bit: int, ones: int) -> int:
        middle = self._low + ((self._high - self._low) * ones >> 16)
        bit = int(self._window <= middle)
        if bit:
            self._high = middle
        else:
            self._low = middle + 1
        while (self._low ^ self._high) >> 24 == 0:
            byte = self._code[self._at] if self._at < len(self._code) else 0
            self._at += 1
            self._window = (self._window << 8 & _TOP) | byte
            self._low = self._low << 8 & _TOP
            self._high = (self._high << 8 & _TOP) | 255
        return bit
