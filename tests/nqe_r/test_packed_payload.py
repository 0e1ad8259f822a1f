"""What a packed payload is made of: coded bits, and slices with their lengths and checks."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from heqcodec.nqe_r.packed_coder.arithmetic import BitDecoder, BitEncoder
from heqcodec.nqe_r.packed_coder.slices import join_slices, split_slices
from heqcodec.nqe_r.packed_coder.tables import SLICES
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([1, 6, 900, 32768, 65000, 65535])),
        max_size=300,
    )
)
def test_bits_come_back(decisions: list[tuple[int, int]]) -> None:
    encoder = BitEncoder()
    for bit, ones in decisions:
        encoder.code(bit, ones)
    decoder = BitDecoder(encoder.finish())
    assert [decoder.code(0, ones) for _, ones in decisions] == [bit for bit, _ in decisions]


def test_bits_cost_what_they_should() -> None:
    rng = np.random.default_rng(3)
    encoder = BitEncoder()
    bits = (rng.random(20000) < 0.03).astype(int)
    for bit in bits:
        encoder.code(int(bit), 1966)
    ideal = -(np.where(bits, np.log2(0.03), np.log2(0.97))).sum()
    assert len(encoder.finish()) * 8 == pytest.approx(ideal, rel=0.005, abs=16)


def test_code_ends_with_the_fewest_bytes() -> None:
    encoder = BitEncoder()
    # Any number of the interval ends it; the one with most zeros is its last.
    encoder._low, encoder._high = 0x01000001, 0x02000000
    assert encoder.finish() == b"\x02"


@given(st.lists(st.binary(max_size=300), min_size=SLICES, max_size=SLICES))
def test_slices_come_back(slices: list[bytes]) -> None:
    assert split_slices(join_slices(slices)) == (slices, 0)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=SLICES, max_size=SLICES), st.data())
def test_cut_slices_are_left_out(slices: list[bytes], data: st.DataObject) -> None:
    payload = join_slices(slices)
    cut = data.draw(st.integers(0, len(payload) - 1))
    found, _ = split_slices(payload[:cut])
    assert found == slices[: len(found)] and len(found) < SLICES


@pytest.mark.parametrize(
    ("length", "spelling"),
    [(1, "01"), (127, "7f"), (128, "8001"), (129, "8101"), (16383, "ff7f"), (16384, "808001")],
)
def test_lengths_are_spelled_in_sevens_of_bits(length: int, spelling: str) -> None:
    payload = join_slices([bytes(length), *[b""] * (SLICES - 1)])
    check = zlib.crc32(b"\0" + bytes(length)) & 255
    assert payload == bytes.fromhex(spelling) + bytes([check]) + bytes(length + SLICES - 1)


def test_lengths_have_one_spelling() -> None:
    payload = join_slices([b"", *[b"abc"] * (SLICES - 1)])
    assert split_slices(b"\x80\x00" + payload[1:])[0] == []
