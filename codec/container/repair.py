"""Repair of a header with one damaged byte, from its CRC-32 alone.

A CRC is linear, so damage to one byte leaves a syndrome that depends on its place and value
only, and the 44 x 255 = 11,220 syndromes of a 44-byte header are all different (a test counts
them). Our choice, because the header has no spare copy and without it nothing can be decoded.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

from heqcodec.container.header import CRC_LENGTH, HEADER_LENGTH

COVERED = HEADER_LENGTH - CRC_LENGTH


@cache
def byte_syndromes() -> dict[int, tuple[int, int]]:
    """CRC difference -> (offset, XOR value) for every single damaged byte of a header."""
    clean = zlib.crc32(bytes(COVERED))
    syndromes = {}
    for offset in range(COVERED):
        damaged = bytearray(COVERED)
        for value in range(1, 256):
            damaged[offset] = value
            syndromes[zlib.crc32(damaged) ^ clean] = (offset, value)
    for offset in range(CRC_LENGTH):
        for value in range(1, 256):
            syndromes[value << (8 * offset)] = (COVERED + offset, value)
    return syndromes


def repair_header(data: bytes) -> bytes | None:
    """The header with its one damaged byte put right; None if the damage is larger.

    Args:
        data: at least 44 bytes. More than one damaged byte is taken for another single one with
            a chance of 11,220 in 2^32.
    """
    if len(data) < HEADER_LENGTH:
        return None
    (stored,) = struct.unpack_from("<I", data, COVERED)
    syndrome = zlib.crc32(data[:COVERED]) ^ stored
    if syndrome == 0:
        return bytes(data[:HEADER_LENGTH])
    found = byte_syndromes().get(syndrome)
    if found is None:
        return None
    offset, value = found
    repaired = bytearray(data[:HEADER_LENGTH])
    repaired[offset] ^= value
    return bytes(repaired)
