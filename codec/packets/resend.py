"""The resend list: which packets a receiver asks for, in the fewest bytes.

::

    | sender u16 | image u8 | first u16 | bits ... |    bit i of byte b: packet first + 8 b + i

It goes where the way back is narrow, such as the downlink of LoRaWAN, which has its own checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from heqcodec.base.errors import HeqFormatError

RESEND_HEAD = struct.Struct("<HBH")
"""sender, image, first."""


def pack_resend(sender: int, image: int, numbers: Iterable[int], most: int | None = None) -> bytes:
    """The bytes of a list.

    Args:
        numbers: of packets, 0..65535, at least one.
        most: bytes; what does not fit is left for the next list. None for no limit.
    """
    wanted = sorted(numbers)
    first = wanted[0]
    if most is not None:
        end = first + 8 * max(most - RESEND_HEAD.size, 1)
        wanted = [number for number in wanted if number < end]
    bits = sum(1 << number - first for number in wanted)
    return RESEND_HEAD.pack(sender, image, first) + bits.to_bytes(
        (bits.bit_length() + 7) // 8, "little"
    )


def read_resend(data: bytes) -> tuple[int, int, list[int]]:
    """Sender, image and the numbers of a list.

    Raises:
        HeqFormatError: it is too short.
    """
    if len(data) <= RESEND_HEAD.size:
        raise HeqFormatError(f"a resend list of {len(data)} bytes")
    sender, image, first = RESEND_HEAD.unpack_from(data)
    bits = int.from_bytes(data[RESEND_HEAD.size :], "little")
    return sender, image, [first + i for i in range(bits.bit_length()) if bits >> i & 1]
