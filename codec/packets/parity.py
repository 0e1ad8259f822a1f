"""Forward error correction: parity packets by a systematic Reed-Solomon code over GF(256).

::

    packets of a group: length  word  first  count  payload  0 .. 0     protected bytes
                                  └──── a column of K bytes, one of each packet ────┐
    parity packets: R bytes of the code of that column, one in each ◄───────────────┘

Any K of the K + R packets give the others. The code is the usual one (polynomial 0x11D, generator
2, first root 1), shortened: the encoder is a shift register of R bytes a column, with two tables of
256 bytes and additions alone; `reedsolo` decodes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
from heqcodec.base.errors import HeqFormatError, HeqUnsupportedError
from numpy.typing import NDArray

from .layout import HEAD, VERSION_BIT, Kind, Packet, parse

PROTECTED_HEAD = struct.Struct("<HHHB")
"""Length of the payload, word, first, count: protected before the payload."""
POLYNOMIAL = 0x11D
MOST = 255
"""Packets of a group, with its parity packets."""


def _powers() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    power, logarithm, value = np.zeros(510, np.uint8), np.zeros(256, np.int64), 1
    for exponent in range(255):
        power[exponent] = power[exponent + 255] = value
        logarithm[value] = exponent
        value <<= 1
        value ^= POLYNOMIAL if value >> 8 else 0
    return power, logarithm


POWER, LOGARITHM = _powers()


def product(a: NDArray[np.uint8], b: int) -> NDArray[np.uint8]:
    """Products in GF(256), of an array and a number."""
    if not b:
        return np.zeros_like(a)
    return np.where(a == 0, 0, POWER[LOGARITHM[a] + LOGARITHM[b]]).astype(np.uint8)


def generator(count: int) -> list[int]:
    """Coefficients of (x - 1)(x - 2) ... of ``count`` roots, highest power first."""
    made = [1]
    for root in range(count):
        shifted = [*made, 0]
        times = product(np.array([0, *made], np.uint8), int(POWER[root]))
        made = [int(a ^ b) for a, b in zip(shifted, times, strict=True)]
    return made


def protected(packet: Packet) -> bytes:
    """The bytes of a packet that a parity packet protects."""
    (word, *_), payload = HEAD.unpack_from(packet.body()), packet.payload
    return PROTECTED_HEAD.pack(len(payload), word, packet.first, packet.count) + payload


def parity(columns: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Parity bytes.

    Args:
        columns: protected bytes of the K packets, uint8 (K, length).
        count: parity packets, R; K + R at most 255.

    Returns:
        uint8 (R, length).
    """
    coefficients = generator(count)[1:]
    register = np.zeros((count + 1, columns.shape[1]), np.uint8)
    for row in columns:
        feedback = row ^ register[0]
        for place, coefficient in enumerate(coefficients):
            register[place] = register[place + 1] ^ product(feedback, coefficient)
    return register[:count]


def group_of(packets: int, percent: float) -> tuple[int, int]:
    """Packets of a group, of which the last one may have fewer, and its parity packets: as few
    groups as can be, of nearly equal size."""
    most = int(100 * MOST / (100 + percent))
    size = -(-packets // -(-packets // most))
    return size, min(ceil(size * percent / 100), MOST - size)


def with_parity(packets: Sequence[Packet], percent: float) -> Iterator[Packet]:
    """Numbered packets, each group followed by its parity packets."""
    if not percent or not packets:
        yield from packets
        return
    most, extra = group_of(len(packets), percent)
    for first in range(0, len(packets), most):
        group = packets[first : first + most]
        size = len(group)
        yield from group
        rows = [protected(packet) for packet in group]
        length = max(map(len, rows))
        columns = np.frombuffer(b"".join(row.ljust(length, b"\0") for row in rows), np.uint8)
        made = parity(columns.reshape(size, length), extra)
        for index, row in enumerate(made):
            yield replace(
                group[0],
                kind=Kind.PARITY,
                payload=row.tobytes(),
                step=0,
                last=False,
                continued=False,
                continues=False,
                first=size | extra << 8,
                count=index,
            )


def recovered(group: dict[int, Packet], extra: dict[int, Packet]) -> list[Packet]:
    """The packets of a group that did not arrive.

    Args:
        group: those that did, by their number.
        extra: parity packets by their index, at least one; all of one group.

    Returns:
        The others; none where too few arrived.

    Raises:
        HeqUnsupportedError: reedsolo is not installed.
        HeqFormatError: the parity packets do not belong together.
    """
    some = next(iter(extra.values()))
    size, count, length = some.first & 255, some.first >> 8, len(some.payload)
    numbers = range(some.number, some.number + size)
    absent = [number for number in numbers if number not in group]
    if not absent or len(absent) > len(extra):
        return []
    alike = {(packet.first, len(packet.payload)) for packet in extra.values()} == {
        (some.first, length)
    }
    valid = length >= PROTECTED_HEAD.size and 0 < size <= MOST - count and max(extra) < count
    if not alike or not valid:
        raise HeqFormatError("parity packets that do not belong together")
    try:
        from reedsolo import ReedSolomonError, RSCodec
    except ImportError as error:
        raise HeqUnsupportedError(
            'parity packets need reedsolo; run pip install "heqcodec[link]".'
        ) from error
    word = np.zeros((size + count, length), np.uint8)
    for number, packet in group.items():
        row = protected(packet)
        if number in numbers and len(row) <= length:
            word[number - some.number, : len(row)] = np.frombuffer(row, np.uint8)
    for index, packet in extra.items():
        word[size + index] = np.frombuffer(packet.payload, np.uint8)
    lost = [number - some.number for number in absent]
    lost += [size + index for index in range(count) if index not in extra]
    codec = RSCodec(count, nsize=size + count, fcr=0, prim=POLYNOMIAL, generator=2)
    try:
        columns = [codec.decode(column.tobytes(), erase_pos=lost)[0] for column in word.T]
    except ReedSolomonError as error:
        raise HeqFormatError("parity packets that contradict the others") from error
    whole = np.frombuffer(b"".join(map(bytes, columns)), np.uint8).reshape(length, size).T
    return [_unprotected(whole[n - some.number].tobytes(), some, n) for n in absent]


def _unprotected(row: bytes, like: Packet, number: int) -> Packet:
    size, word, first, count = PROTECTED_HEAD.unpack_from(row)
    if size > len(row) - PROTECTED_HEAD.size or word >> VERSION_BIT:
        raise HeqFormatError("parity packets of no packets")
    body = HEAD.pack(word, like.sender, like.image, number, first, count)
    payload = row[PROTECTED_HEAD.size : PROTECTED_HEAD.size + size]
    packet = parse(body + payload + bytes(4))
    if packet.kind == Kind.PARITY:
        raise HeqFormatError("parity packets of a parity packet")
    return packet
