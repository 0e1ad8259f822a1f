"""Packets in streams of bytes, and resend lists."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from heqcodec.base.errors import HeqFormatError
from heqcodec.packets.framing import (
    MOST_PENDING,
    KissStream,
    counted,
    kiss_frame,
    kiss_frames,
    split,
    whole_stream,
)
from heqcodec.packets.resend import RESEND_HEAD, pack_resend, read_resend

PACKETS = [bytes(range(256)), b"\xc0\xdb\xdc\xdd", b"\xdb" * 40, b"a"]


def lengthened(packets: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def test_kiss() -> None:
    frames = [b"\x01\xc0\x02", b"\xdb\xdb", b"plain"]
    coded = (
        b"\xc0\x00\x01\xdb\xdc\x02\xc0\xc0\x00\xdb\xdd\xdb\xdd\xc0\xc0\x00plain\xc0\xc0\x06set\xc0"
    )
    assert list(kiss_frames(coded)) == frames
    assert b"".join(map(kiss_frame, frames)) == coded[: coded.index(b"\xc0\x06")]


def test_a_cut_file_gives_its_whole_packets() -> None:
    assert list(counted(lengthened([b"one", b"three"])[:-1])) == [b"one"]


@pytest.mark.parametrize("kiss", [True, False])
def test_a_stream_that_grows(kiss: bool) -> None:
    stream = b"".join(map(kiss_frame, PACKETS)) if kiss else lengthened(PACKETS)
    assert list(whole_stream(stream)) == PACKETS
    found, rest = [], b""
    for place in range(len(stream)):
        rest += stream[place : place + 1]
        packets, used = split(rest)
        found += packets
        rest = rest[used:]
    assert found == PACKETS


def test_a_line_with_noise() -> None:
    line, generator = KissStream(), np.random.default_rng(0)
    stream = b"noise" + b"".join(kiss_frame(packet) + b"\x06x" for packet in PACKETS)
    found = []
    for byte in stream:
        found += line.feed(bytes([byte]))
    assert found == PACKETS
    # What is longer than any frame is dropped, its end too.
    assert line.feed(b"\xc0\0" + bytes(MOST_PENDING)) == []
    assert line.feed(b"tail" + kiss_frame(b"next")) == [b"next"]
    line.feed(generator.bytes(100_000))
    assert b"last" in line.feed(b"\xc0" + kiss_frame(b"last"))


def test_resend_lists() -> None:
    numbers = [3, 4, 11, 12, 200]
    data = pack_resend(65535, 255, numbers)
    assert data[:7] == b"\xff\xff\xff\x03\x00\x03\x03"  # 3, 4; 11, 12
    assert read_resend(data) == (65535, 255, numbers)
    assert len(data) == RESEND_HEAD.size + 25
    assert read_resend(pack_resend(1, 2, numbers, most=7)) == (1, 2, [3, 4, 11, 12])
    assert read_resend(pack_resend(1, 2, [65535])) == (1, 2, [65535])
    with pytest.raises(HeqFormatError):
        read_resend(bytes(5))
