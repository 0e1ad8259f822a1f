"""Where a packet begins and ends in a stream of bytes.

::

    KISS:     C0  00  packet, C0 as DB DC and DB as DB DD  C0  00 ...     radio modems, serial lines
    counted:  u16 length, big-endian | packet | u16 length | ...          .pkt files

KISS finds the next packet after any damage; counted streams do not, so they are for files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .layout import LARGEST

LENGTH = struct.Struct(">H")
"""Before each packet of a .pkt file."""
KISS_END = 0xC0
KISS_PLAIN = {b"\xdb\xdc": b"\xc0", b"\xdb\xdd": b"\xdb"}
_END = bytes([KISS_END])
MOST_PENDING = 2 * LARGEST + 2
"""Bytes of a KISS frame at most, all of them escaped."""


def whole_stream(data: bytes) -> Iterator[bytes]:
    """The packets of a stream that is all there; which kind it is, its first byte says."""
    return kiss_frames(data) if data[:1] == _END else counted(data)


def split(data: bytes) -> tuple[list[bytes], int]:
    """The packets at the beginning of a stream that grows.

    Returns:
        Those that are whole, and how many bytes need not be given again. Of a KISS stream the last
        end mark stays, so that what follows begins like a KISS stream.
    """
    if data[:1] == _END:
        used = data.rindex(_END)
        return list(kiss_frames(data[:used])), used
    packets = list(counted(data))
    return packets, sum(LENGTH.size + len(packet) for packet in packets)


def counted(data: bytes) -> Iterator[bytes]:
    """Packets behind their lengths; a last one that is cut short is left out."""
    at = 0
    while at + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        if at + length > len(data):
            return
        yield data[at : at + length]
        at += length


def kiss_frames(data: bytes) -> Iterator[bytes]:
    """Data frames of a KISS stream, as radio modems give it."""
    for frame in data.split(_END):
        if len(frame) > 1 and frame[0] & 0x0F == 0:
            plain, at = bytearray(), 1
            while at < len(frame):
                pair = bytes(frame[at : at + 2])
                escaped = KISS_PLAIN.get(pair)
                plain += escaped or pair[:1]
                at += 2 if escaped else 1
            yield bytes(plain)


def kiss_frame(packet: bytes) -> bytes:
    """A packet as a KISS data frame for port 0."""
    escaped = packet
    for coded, plain in reversed(KISS_PLAIN.items()):
        escaped = escaped.replace(plain, coded)
    return _END + b"\0" + escaped + _END


class KissStream:
    """KISS frames of a line on which bytes come as they like; memory is bounded."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes.

        Returns:
            The frames that end with them.
        """
        self._pending += data
        begin = self._pending.find(_END)
        self._pending = self._pending[begin:] if begin >= 0 else b""
        if not self._pending:
            return []
        frames, used = split(self._pending)
        self._pending = self._pending[used:]
        if len(self._pending) > MOST_PENDING:
            self._pending = b""
        return frames
