"""Damaged, cut and hostile files of the variable-rate mode: strips are found again."""

from __future__ import annotations

import io
import struct
import zlib

import heqcodec
import numpy as np
import pytest
from heqcodec.container import Coder, ContainerReader, Header, Mode
from heqcodec.image.images import LoadedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from light_rate_model import SLICES, LightRateModels
from sample_rate_files import PHOTO, extents, flipped, lost, per_example

pytestmark = pytest.mark.usefixtures("light_rate")
HEIGHT, WIDTH = 150, 40
IMAGE = np.ascontiguousarray(PHOTO[:HEIGHT, :WIDTH])


@pytest.fixture(params=["device", "packed"])
def file(light_rate: LightRateModels, request: pytest.FixtureRequest) -> bytes:
    """A small file of five strips with everything that a file can have."""
    image = LoadedImage(
        IMAGE, np.full((HEIGHT, WIDTH), 200, np.uint8), icc=b"profile", exif=b"II*\0", xmp=b"<x/>"
    )
    return heqcodec.encode(image, quality=8, strip_rows=1, coder=request.param)


def test_whole_slices_of_a_cut_strip_are_used() -> None:
    data = heqcodec.encode(IMAGE, quality=60, coder="packed")
    ((start, _),) = extents(data)
    place, ends = start + 8, []
    for _ in SLICES:
        place += 8 + int.from_bytes(data[place : place + 4], "little")
        ends.append(place)
    for slices, end in enumerate(ends, 1):
        for cut in (end, end + 3):
            result = heqcodec.decode_partial(data[:cut])
            assert (result.coarse_strips, result.damaged_strips) == ([0], [])
            assert np.array_equal(result.pixels, heqcodec.decode(data, slices=slices))
    fewer = heqcodec.decode_partial(data[: ends[3]], slices=2)
    assert np.array_equal(fewer.pixels, heqcodec.decode(data, slices=2))
    result = heqcodec.decode_partial(data[: ends[0] - 1])
    assert (result.coarse_strips, result.damaged_strips) == ([], [0])
    assert (result.pixels == 128).all()


class TestResynchronisation:
    @settings(per_example, max_examples=most(60))
    @given(st.data())
    def test_bytes_lost_or_added_cost_one_strip(self, data: st.DataObject) -> None:
        file = heqcodec.encode(IMAGE, quality=8, strip_rows=1)
        places = extents(file)
        index = data.draw(st.integers(0, 4))
        start, stop = places[index]
        first = data.draw(st.integers(start, stop))
        last = data.draw(st.integers(first, stop))
        put = data.draw(st.binary(max_size=60))
        if file[first:last] == put:
            return
        damaged = file[:first] + put + file[last:]
        result = heqcodec.decode_partial(damaged)
        # What is put between two strips, or in place of nothing, may cost none.
        assert set(lost(result)) <= {index, index + 1} and len(lost(result)) <= 1
        # Before a chunk it is taken for one, by a name such as "AEND" where letters were put.
        assert len(result.damaged_chunks) <= 1

    @pytest.mark.parametrize("hit", [{0, 1}, {2, 3, 4}, {0, 2, 4}, {3, 4}, {0, 1, 2, 3, 4}])
    def test_several_strips_with_damaged_lengths_and_payloads(
        self, file: bytes, hit: set[int]
    ) -> None:
        damaged = bytearray(file)
        for index in hit:
            start, stop = extents(file)[index]
            damaged[start + 4] ^= 0x5A
            damaged[start + 9] ^= 1
            damaged[stop - 6] ^= 1
        result = heqcodec.decode_partial(bytes(damaged))
        assert set(lost(result)) == hit
        if hit != {0, 1, 2, 3, 4}:
            assert result.damaged_chunks == []
        assert heqcodec.info(bytes(damaged), partial=True)["alpha"]

    def test_a_missing_strip(self, file: bytes) -> None:
        places = extents(file)
        result = heqcodec.decode_partial(file[: places[1][0]] + file[places[2][1] :])
        assert result.damaged_strips == [1, 2] and result.damaged_chunks == []


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**32 - 1])
def test_hostile_lengths_with_a_right_checksum(length: int) -> None:
    header = Header(32, 32, 3, 512, b"lightrat", b"lightdev", Coder.DEVICE, Mode.RATE)
    head = struct.pack("<HHI", 0, 512, length)
    data = header.pack() + head + b"\0" + struct.pack("<I", zlib.crc32(head + b"\0")) + bytes(50)
    with pytest.raises(heqcodec.HeqError):
        heqcodec.decode(data)
    assert heqcodec.decode_partial(data).damaged_strips == [0]


def test_a_strip_that_is_none_is_a_damaged_strip() -> None:
    file = heqcodec.encode(IMAGE, strip_rows=1)
    start, stop = extents(file)[2]
    strip = struct.pack("<HHI", 2, 400, 5) + b"12345"
    wrong = file[:start] + strip + struct.pack("<I", zlib.crc32(strip)) + file[stop:]
    with pytest.raises(heqcodec.HeqFormatError, match="Strip 2 cannot be decoded"):
        heqcodec.decode(wrong)
    assert heqcodec.decode_partial(wrong).damaged_strips == [2]


def test_reading_from_the_middle_of_a_stream() -> None:
    file = heqcodec.encode(IMAGE, strip_rows=1)
    stream = io.BytesIO(b"before" + flipped(file, extents(file)[1][0] + 4))
    stream.seek(6)
    reader = ContainerReader(stream, partial=True)
    assert all(reader.read_strips(range(5)).values())
    assert reader.repaired == ["strip 1"]
