"""How the slices of a packed strip stand in its payload: lengths and checks.

Each slice is a length (seven bits a byte, lowest first, the high bit set where more follow), a
check of one byte unless the length is 0, and its code. The check is the lowest byte of the CRC-32
of the slice's number (one byte) and code.
"""

from __future__ import annotations

import zlib

from .tables import SLICES

_LONGEST_LENGTH = 5


def _check(index: int, code: bytes) -> int:
    return zlib.crc32(code, zlib.crc32(bytes([index]))) & 255


def join_slices(slices: list[bytes]) -> bytes:
    """The payload of a strip from the codes of its slices."""
    payload = bytearray()
    for index, code in enumerate(slices):
        length = len(code)
        while length >= 128:
            payload.append(128 | length & 127)
            length >>= 7
        payload.append(length)
        if code:
            payload.append(_check(index, code))
        payload += code
    return bytes(payload)


def split_slices(payload: bytes) -> tuple[list[bytes], int]:
    """The slices that are whole, up to the first that is not, and the number of bytes left."""
    slices: list[bytes] = []
    at = 0
    while len(slices) < SLICES:
        end, length = at, 0
        for end in range(at, min(at + _LONGEST_LENGTH, len(payload))):
            length |= (payload[end] & 127) << 7 * (end - at)
            if payload[end] < 128:
                break
        else:
            break
        # One spelling a length: no zeros on top.
        if end > at and not payload[end]:
            break
        start = end + 1 + (length > 0)
        code = payload[start : start + length]
        if start + length > len(payload):
            break
        if length and payload[end + 1] != _check(len(slices), code):
            break
        slices.append(bytes(code))
        at = start + length
    return slices, len(payload) - at
