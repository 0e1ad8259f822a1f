"""Bits of the device coder: where a code begins, how it ends, what stands behind it."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.lab.training.device_tables import first_tables
from heqcodec.nqe_r.device_coder.arithmetic import BitDecoder, BitEncoder
from sample_device_strips import some_tables


def test_zeros_stand_behind_a_payload() -> None:
    decoder = BitDecoder(first_tables().widths, b"")
    assert [decoder.code(0) for _ in range(64)] == [1] * 64 and decoder.is_whole()


@pytest.mark.parametrize(("begin", "whole"), [(b"\xff\xff", False), (b"\xff\xfe", True)])
def test_a_code_begins_below_65535(begin: bytes, whole: bool) -> None:
    decoder = BitDecoder(first_tables().widths, begin)
    for _ in range(40):
        decoder.code(0)
    assert decoder.is_whole() == whole


def test_no_bits_take_no_bytes() -> None:
    encoder = BitEncoder(some_tables()["widths"])
    assert encoder.payload() == b""
    encoder.code(0, 1)
    assert encoder.payload() == b""
    encoder.code(0, 0)
    assert encoder.payload() != b""


@pytest.mark.parametrize("low", [0, 1, 2, 32767, 32768])
def test_a_code_ends_at_the_next_multiple_of_32768(low: int) -> None:
    encoder = BitEncoder(some_tables()["widths"])
    encoder._low = low
    wanted = -(-low // 32768) * 32768
    assert int.from_bytes(encoder.payload().ljust(1, b"\0"), "big") << 8 == wanted


def test_a_code_may_be_as_long_as_its_bits_and_no_longer() -> None:
    widths = np.full((128, 8), 1 << 14, dtype=np.uint16)
    for payload in (b"\x01", b"\x01\x01", b"\x01\x01\x01"):
        decoder, encoder = BitDecoder(widths, payload), BitEncoder(widths)
        for _ in range(40):
            # The first bits of a code are in its first byte, the ninth begins its second.
            assert decoder.is_whole() == (len(payload) <= encoder._shifted // 8 + 1)
            encoder.code(0, decoder.code(0))
