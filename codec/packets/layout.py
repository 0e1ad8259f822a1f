"""The bytes of a packet: one list of fields, as docs/PACKETS.md prints it.

::

    .------.--------.-------.--------.-------.-------.----------- -- --.------.
    | word | sender | image | number | first | count | payload ...     | crc  |
    | u16  |  u16   |  u8   |  u16   |  u16  |  u8   |                 | u32  |
    '------'--------'-------'--------'-------'-------'----------- -- --'------'

What identifies model and image size stands before the patches of some packets, the start packets.
The checksum of every other packet begins with it, so a packet of another model or size is refused,
and none spends bytes on it (our choice).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from math import gcd

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqChecksumError, HeqFormatError, HeqTruncatedError
from heqcodec.container.header import channel_values
from numpy.typing import NDArray

HEAD = struct.Struct("<HHBHHB")
"""word, sender, image, number, first, count."""
CRC = struct.Struct("<I")
OVERHEAD = HEAD.size + CRC.size
SMALLEST, LARGEST = 32, 1400
"""Bytes of a packet, all in."""
MOST_PATCHES = 255
"""Patches of a packet."""
STEP_MASK, KIND_SHIFT, LAST_BIT, CONTINUED_BIT, CONTINUES_BIT = 0x3FF, 10, 12, 13, 14
VERSION_BIT = 15
"""0 in this version."""
START = struct.Struct("<HHBBHHBHI")
"""width, height, channels, strip_rows, step, stride, run, packets, model."""


class Kind(IntEnum):
    """The kind of a packet's payload; that of a start packet begins with what all share."""

    START = 0
    PATCHES = 1
    PARITY = 2


def model_tag(encoder_id: bytes, coder_id: bytes) -> int:
    """What names a model: CRC-32 of the encoder_id and coder_id of its files."""
    return zlib.crc32(encoder_id + coder_id)


@dataclass(frozen=True)
class Start:
    """What all packets of an image share.

    Attributes:
        width, height: pixels, 1..65535.
        channels: byte 11 of a file's header.
        strip_rows: of the file that the packets make.
        step: index, of that file's header.
        stride, run: of the order of sending, see `patches_at`.
        packets: how many there are, without parity packets; 0 where the sender did not know.
        model: see `model_tag`.
    """

    width: int
    height: int
    channels: int
    strip_rows: int
    step: int
    stride: int
    run: int
    packets: int
    model: int

    @property
    def rows(self) -> int:
        """Rows of patches."""
        return -(-self.height // PATCH)

    @property
    def columns(self) -> int:
        """Columns of patches."""
        return -(-self.width // PATCH)

    @property
    def patches(self) -> int:
        """Patches of the image."""
        return self.rows * self.columns

    @property
    def planes(self) -> int:
        """Colour planes that are coded."""
        return int(channel_values(self.channels)["channels"])

    @property
    def gray_as_rgb(self) -> bool:
        """One plane is decoded to R, G and B."""
        return bool(channel_values(self.channels)["gray_as_rgb"])

    @property
    def weighted(self) -> bool:
        """Coefficients are weighted by frequency."""
        return bool(channel_values(self.channels)["weighted"])

    def patches_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Patches, counted row by row, at positions of the order of sending.

        Runs of ``run`` patches follow each other with a stride: the patch at position ``p`` is
        ``run * (p // run * stride mod patches // run) + p mod run``.
        """
        runs = self.patches // self.run
        return positions // self.run * self.stride % runs * self.run + positions % self.run

    def payload(self) -> bytes:
        """The 17 bytes that begin a start packet's payload."""
        values = (self.width, self.height, self.channels, self.strip_rows, self.step)
        return START.pack(*values, self.stride, self.run, self.packets, self.model)

    def seed(self) -> int:
        """Where the checksums of the image's other packets begin.

        It leaves out the step and the number of packets, so all images of a camera that stays as
        it is set have the same, and one whose start packets are all lost can be read nevertheless.
        """
        return zlib.crc32(replace(self, step=0, packets=0).payload())

    @classmethod
    def read(cls, payload: bytes) -> Start:
        """What stands first in the payload of a start packet.

        Raises:
            HeqFormatError: no image has these values.
        """
        if len(payload) < START.size:
            raise HeqFormatError(f"a start packet with {len(payload)} bytes of payload")
        start = cls(*START.unpack_from(payload))
        valid = (
            start.width > 0
            and start.height > 0
            and start.planes in (1, 3)
            and start.strip_rows > 0
            and start.step <= STEP_MASK
            and 0 < start.patches <= 1 << 16
            and start.stride > 0
            and start.run > 0
            and start.patches % start.run == 0
            and gcd(start.stride, start.patches // start.run) == 1
        )
        if not valid:
            raise HeqFormatError("a start packet that describes no image")
        return start


@dataclass(frozen=True)
class Packet:
    """A packet, split into its parts.

    Attributes:
        kind: what the payload is.
        sender: 0..65535.
        image: 0..255, of the sender.
        number: counted from 0 without parity packets; of a parity packet the first of its group.
        payload: bytes.
        step: index, of the patches.
        last: whether it is the image's last packet that is numbered.
        continued: whether its first patch began in the packet before.
        continues: whether its last patch goes on in the next packet.
        first: position of the first patch. PARITY: packets of the group, and 256 times its
            parity packets.
        count: patches, at positions that follow each other; a start packet may have none. PARITY:
            which of the group's parity packets.
    """

    kind: Kind
    sender: int
    image: int
    number: int
    payload: bytes
    step: int = 0
    last: bool = False
    continued: bool = False
    continues: bool = False
    first: int = 0
    count: int = 0

    def packed(self, seed: int) -> bytes:
        """The bytes.

        Args:
            seed: `Start.seed`; 0 for a start packet.
        """
        body = self.body()
        return body + CRC.pack(zlib.crc32(body, seed))

    def body(self) -> bytes:
        """The bytes without the checksum."""
        word = self.step | self.kind << KIND_SHIFT | self.last << LAST_BIT
        word |= self.continued << CONTINUED_BIT | self.continues << CONTINUES_BIT
        numbers = (word, self.sender, self.image, self.number, self.first, self.count)
        return HEAD.pack(*numbers) + self.payload


def parse(data: bytes) -> Packet:
    """Split a packet into its parts; its checksum is not verified.

    Raises:
        HeqTruncatedError: it is shorter than any packet.
        HeqFormatError: it is longer, or of another version.
    """
    if len(data) < OVERHEAD:
        raise HeqTruncatedError(f"a packet of {len(data)} bytes; the shortest has {OVERHEAD}")
    if len(data) > LARGEST:
        raise HeqFormatError(f"a packet of {len(data)} bytes; the longest has {LARGEST}")
    word, sender, image, number, first, count = HEAD.unpack_from(data)
    kind = word >> KIND_SHIFT & 3
    if word >> VERSION_BIT or kind not in iter(Kind):
        raise HeqFormatError("a packet of another version")
    return Packet(
        kind=Kind(kind),
        sender=sender,
        image=image,
        number=number,
        payload=bytes(data[HEAD.size : -CRC.size]),
        step=word & STEP_MASK,
        last=bool(word >> LAST_BIT & 1),
        continued=bool(word >> CONTINUED_BIT & 1),
        continues=bool(word >> CONTINUES_BIT & 1),
        first=first,
        count=count,
    )


def check(data: bytes, seed: int) -> None:
    """Verify the checksum of a packet.

    Args:
        data: the packet.
        seed: `Start.seed`; 0 for a start packet.

    Raises:
        HeqChecksumError: it is damaged, or of another image.
    """
    (stored,) = CRC.unpack_from(data, len(data) - CRC.size)
    if zlib.crc32(data[: -CRC.size], seed) != stored:
        raise HeqChecksumError("a packet is damaged, or belongs to another image")
