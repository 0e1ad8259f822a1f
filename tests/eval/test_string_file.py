"""The file for byte strings: what goes in comes out, and damage is an error, never a picture."""

from __future__ import annotations

import pytest
from heqcodec.base.errors import HeqError, HeqFormatError, HeqLimitError, HeqTruncatedError
from heqcodec.eval.baselines.string_file import MAGIC, StringFile
from hypothesis import given
from hypothesis import strategies as st

sides = st.integers(1, 2**14)
files = st.builds(
    lambda identity, width, height, strings: StringFile(
        identity, width, height, -(-height // 64), -(-width // 64), tuple(strings)
    ),
    st.binary(min_size=4, max_size=4),
    sides,
    sides,
    st.lists(st.binary(max_size=300), min_size=1, max_size=5),
)
PLAIN = StringFile(b"\1\2\3\4", 768, 512, 8, 12, (b"latents", b"side"))


@given(files)
def test_what_is_packed_is_parsed(file: StringFile) -> None:
    assert StringFile.parse(file.pack()) == file


@given(files, st.data())
def test_every_cut_and_every_addition_is_an_error(file: StringFile, data: st.DataObject) -> None:
    packed = file.pack()
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises((HeqTruncatedError, HeqFormatError)):
        StringFile.parse(packed[:cut])
    with pytest.raises(HeqFormatError):
        StringFile.parse(packed + b"\0")


@given(st.binary(max_size=60))
def test_any_bytes_give_a_file_or_an_error(data: bytes) -> None:
    try:
        file = StringFile.parse(MAGIC + data)
    except HeqError:
        return
    assert len(file.pack()) <= len(MAGIC + data)  # numbers may be padded by zeros, and only they


def test_the_head_is_small() -> None:
    # Of Kodak's size with two strings of some thousand bytes: 0.0004 bits per pixel.
    file = StringFile(bytes(4), 768, 512, 8, 12, (bytes(9000), bytes(700)))
    assert len(file.pack()) - 9700 == 19


def test_the_layout_is_the_documented_one() -> None:
    numbers = bytes([0x80, 6, 0x80, 4, 8, 12, 2, 7, 4])
    assert PLAIN.pack() == b"HEQS" + b"\1\2\3\4" + numbers + b"latentsside"


@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        (b"\0\1\1\1\1\0", HeqFormatError),  # no width
        (b"\1\1\1\1\0", HeqFormatError),  # no strings
        (b"\x80\x80\x80\x80\x01" * 2 + b"\1\1\1\0", HeqLimitError),  # 2^28 x 2^28 pixels
        (b"\2\2\3\3\1\0", HeqLimitError),  # more latents than pixels
        (b"\1\1\1\1\x7f", HeqLimitError),  # 127 strings
        (b"\xff" * 20, HeqFormatError),  # a number without end
    ],
)
def test_what_cannot_be_is_refused(numbers: bytes, error: type[HeqError]) -> None:
    with pytest.raises(error):
        StringFile.parse(MAGIC + bytes(4) + numbers)
