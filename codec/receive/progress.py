"""How far an image has come, known from the heads of its packets: nothing is decoded here.

::

    packet ──► checksum by the image's start ──► number, positions of its patches ──► complete?
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqChecksumError, HeqUnsupportedError
from heqcodec.packets.assembler import model_by_tag
from heqcodec.packets.layout import CRC, HEAD, START, Kind, Packet, Start, check


class Verdict(Enum):
    """What a packet is to an image.

    NEW, DUPLICATE: of this image. OTHER: of another image of the same sender and number. BAD:
    damaged, or of none.
    """

    NEW = "new"
    DUPLICATE = "duplicate"
    OTHER = "other"
    BAD = "bad"


@lru_cache(maxsize=1024)
def model_name(tag: int) -> str | None:
    """The model that a start packet names; None where it is not here."""
    try:
        return model_by_tag(tag)
    except HeqUnsupportedError:
        return None


@lru_cache(maxsize=1024)
def valid_step(tag: int, step: int) -> bool:
    """Whether the model is here and has this rate."""
    from heqcodec.models import registry

    name = model_name(tag)
    if name is None:
        return False
    return registry.mode_of(name) == registry.RATE_MODE or step in registry.load_encoder(name).rates


def _digest(data: bytes, kind: Kind) -> int:
    """What two packets of one number have in common where they are the same: not the start, which
    a sender may know better the second time."""
    shared = START.size if kind == Kind.START else 0
    return zlib.crc32(data[HEAD.size + shared : -CRC.size], zlib.crc32(data[: HEAD.size]))


@dataclass
class Progress:
    """What has come of an image.

    Attributes:
        key: of its row in the store.
        sender, image: as in its packets.
        start: None until a start packet came, or one of another image of the sender served.
        borrowed: whether it is that of another image.
        numbers: of the packets that came, with what tells two packets apart.
        total: numbered packets of the image; None while that is not known.
        stored: packets in the store, parity packets among them.
        size: their bytes.
        duplicates: packets that came again.
        first, last: when something came, seconds since 1970.
        way: how the sender can be reached, see `heqcodec.receive.ways`; "" where it cannot.
        decoded: whether its files are written or being written, as complete.
    """

    key: int
    sender: int
    image: int
    start: Start | None = None
    borrowed: bool = False
    numbers: dict[int, int] = field(default_factory=dict)
    total: int | None = None
    stored: int = 0
    size: int = 0
    duplicates: int = 0
    first: float = 0
    last: float = 0
    way: str = ""
    decoded: bool = False
    _seed: int = 0
    _known: bytearray = field(default_factory=bytearray)
    _groups: dict[int, tuple[int, set[int]]] = field(default_factory=dict)

    def begin(self, start: Start, borrowed: bool) -> None:
        """Set what all packets of the image share."""
        self.start, self.borrowed = start, borrowed
        self._seed = start.seed()
        self.total = self.total or start.packets or None
        self._known = self._known or bytearray(start.patches)

    def judge(self, packet: Packet, data: bytes) -> Verdict:
        """What a packet is to this image, which has a start; nothing is changed."""
        assert self.start is not None
        if packet.kind == Kind.START:
            if Start.read(packet.payload).seed() != self._seed:
                return Verdict.OTHER
        else:
            try:
                check(data, self._seed)
            except HeqChecksumError:
                return Verdict.BAD
        if packet.kind == Kind.PARITY:
            size, count = packet.first & 255, packet.first >> 8
            _, seen = self._groups.get(packet.number, (size, set()))
            if not 0 < size <= 255 - count or packet.count >= count:
                return Verdict.BAD
            return Verdict.DUPLICATE if packet.count in seen else Verdict.NEW
        if packet.first + packet.count > self.start.patches:
            return Verdict.BAD
        known = self.numbers.get(packet.number)
        if known is None:
            return Verdict.NEW
        return Verdict.DUPLICATE if known == _digest(data, packet.kind) else Verdict.OTHER

    def add(self, packet: Packet, data: bytes) -> None:
        """Take a packet that was judged to be new."""
        self.stored += 1
        self.size += len(data)
        if packet.kind == Kind.PARITY:
            size = packet.first & 255
            self._groups.setdefault(packet.number, (size, set()))[1].add(packet.count)
            return
        self.numbers[packet.number] = _digest(data, packet.kind)
        self._known[packet.first : packet.first + packet.count] = b"\1" * packet.count
        if packet.last:
            self.total = packet.number + 1

    def learn(self, start: Start) -> None:
        """Take what a later start packet of the same image knows better."""
        if self.borrowed or (start.packets and not self.total):
            self.start, self.borrowed = start, False
            self.total = self.total or start.packets or None

    @property
    def complete(self) -> bool:
        """Whether all packets came, or enough parity packets for the others."""
        if self.start is None or self.total is None:
            return False
        if len(self.numbers) >= self.total:
            return True
        return bool(self._groups) and not self.missing()

    def missing(self) -> list[int]:
        """Numbers of the packets that neither came nor follow from parity packets; where the last
        is not known, the one after the highest is among them."""
        if self.total is not None and len(self.numbers) >= self.total:
            return []
        end = self.total if self.total is not None else max(self.numbers, default=-1) + 2
        absent = [number for number in range(end) if number not in self.numbers]
        for first, (size, seen) in self._groups.items():
            lost = [number for number in absent if first <= number < first + size]
            if lost and len(lost) <= len(seen):
                absent = [number for number in absent if not first <= number < first + size]
        return absent

    def facts(self) -> dict[str, Any]:
        """came and total packets, numbers that are missing, and of which patches something came:
        bits, row by row, the first is the highest of a byte, in hexadecimal."""
        assert self.start is not None
        known = np.zeros(self.start.patches, bool)
        order = self.start.patches_at(np.arange(self.start.patches))
        known[order] = np.frombuffer(bytes(self._known), bool)
        return {
            "came": len(self.numbers),
            "total": self.total,
            "missing": self.missing(),
            "patches": np.packbits(known).tobytes().hex(),
        }
