"""Damaged, cut and hostile files of the variable-rate mode: strips are found again."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import heqcodec
import numpy as np
import pytest
from heqcodec.container import HEADER_LENGTH, MAGIC, Coder, ContainerReader, Header, Mode
from heqcodec.container.header import FIELDS
from heqcodec.image.images import LoadedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import quick
from light_rate_model import SLICES, LightRateModels
from sample_rate_files import PHOTO, extents, per_example

pytestmark = pytest.mark.usefixtures("light_rate")
HEIGHT, WIDTH = 150, 40
IMAGE = np.ascontiguousarray(PHOTO[:HEIGHT, :WIDTH])
RNG = np.random.default_rng(12)


@pytest.fixture(params=["device", "packed"])
def file(light_rate: LightRateModels, request: pytest.FixtureRequest) -> bytes:
    """A small file of five strips with everything that a file can have."""
    image = LoadedImage(
        IMAGE, np.full((HEIGHT, WIDTH), 200, np.uint8), icc=b"profile", exif=b"II*\0", xmp=b"<x/>"
    )
    return heqcodec.encode(image, quality=8, strip_rows=1, coder=request.param)


def flipped(file: bytes, offset: int, value: int = 0x41) -> bytes:
    damaged = bytearray(file)
    damaged[offset] ^= value
    return bytes(damaged)


def flips(file: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    rng = np.random.default_rng(4)
    for _ in range(count):
        offset = int(rng.integers(len(file)))
        yield offset, flipped(file, offset, int(rng.integers(1, 256)))


def lost(result: heqcodec.PartialImage) -> list[int]:
    """Strips that are not as they were, coarse ones included."""
    return sorted(result.damaged_strips + result.coarse_strips)


class TestTruncation:
    def test_is_a_typed_error(self, light_rate: LightRateModels, file: bytes) -> None:
        for length in range(len(file)):
            with quick(), pytest.raises(heqcodec.HeqError) as caught:
                heqcodec.decode(file[:length])
            kind = heqcodec.HeqTruncatedError if length else heqcodec.HeqFormatError
            assert caught.type is kind
        assert light_rate.decoders_loaded == 0

    def test_is_an_image_in_partial_mode(self, light_rate: LightRateModels, file: bytes) -> None:
        whole = heqcodec.decode(file)
        places = extents(file)
        for length in range(HEADER_LENGTH, len(file), 7):
            with quick():
                result = heqcodec.decode_partial(file[:length])
            assert result.pixels.shape[:2] == (HEIGHT, WIDTH)
            assert result.damaged
            intact = [i for i, (_, stop) in enumerate(places) if stop <= length]
            assert lost(result) == [i for i in range(5) if i not in intact]
            assert len(result.coarse_strips) <= 1
            safe = 32 * len(intact) - light_rate.decoder.radius
            if len(intact) < 5 and safe > 0:
                assert np.array_equal(result.pixels[:safe, :, :3], whole[:safe, :, :3])
            facts = heqcodec.info(file[:length], partial=True)
            assert facts["missing_strips"] == 5 - len(intact)

    def test_whole_slices_of_a_cut_strip_are_used(self) -> None:
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


class TestByteFlips:
    def test_are_typed_errors(self, light_rate: LightRateModels, file: bytes) -> None:
        for _, damaged in flips(file, 500):
            for work in (heqcodec.decode, heqcodec.info, heqcodec.pack, heqcodec.unpack):
                with quick(), pytest.raises(heqcodec.HeqError):
                    work(damaged)
        assert light_rate.decoders_loaded == 0

    def test_cost_their_own_part_alone(self, file: bytes) -> None:
        whole = heqcodec.decode(file)
        places = extents(file)
        for offset, damaged in flips(file, 300):
            with quick():
                result = heqcodec.decode_partial(damaged)
            assert result.damaged and result.pixels.shape[:2] == (HEIGHT, WIDTH)
            if offset < HEADER_LENGTH:
                assert result.repaired == ["header"]
                assert np.array_equal(result.pixels, whole)
            elif offset < places[-1][1]:
                index = sum(start <= offset for start, _ in places) - 1
                assert result.damaged_chunks == []
                if offset < places[index][0] + 8:
                    assert result.repaired == [f"strip {index}"]
                    assert np.array_equal(result.pixels, whole)
                else:
                    assert lost(result) == [index] and result.repaired == []
            else:
                assert (lost(result), result.repaired) == ([], [])
                assert len(result.damaged_chunks) == 1
                assert np.array_equal(result.pixels[..., :3], whole[..., :3])
            facts = heqcodec.info(damaged, partial=True)
            assert facts["damaged_strips"] == lost(result)
            assert facts["repaired"] == result.repaired

    def test_every_byte_of_the_heads(self, file: bytes) -> None:
        whole = heqcodec.decode(file)
        for start, _ in extents(file):
            for offset in range(start, start + 8):
                for value in (1, 0x80, 0xFF):
                    result = heqcodec.decode_partial(flipped(file, offset, value))
                    assert lost(result) == [] and len(result.repaired) == 1
                    assert np.array_equal(result.pixels, whole)


class TestResynchronisation:
    @settings(per_example, max_examples=60)
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

    def test_region_of_a_damaged_file_is_the_crop_of_the_whole(self) -> None:
        file = heqcodec.encode(PHOTO, strip_rows=1)
        for hit in ({1}, {0, 5}, {2, 3}):
            damaged = bytearray(file)
            for index in hit:
                damaged[extents(file)[index][0] + 20] ^= 1
                damaged[extents(file)[index][0] + 5] ^= 1
            whole = heqcodec.decode_partial(bytes(damaged))
            assert whole.damaged_strips == sorted(hit)
            for x, y, width, height in ((0, 0, 270, 40), (30, 90, 50, 60), (100, 150, 1, 50)):
                part = heqcodec.decode_partial(bytes(damaged), region=(x, y, width, height))
                assert np.array_equal(part.pixels, whole.pixels[y : y + height, x : x + width])

    def test_pixels_out_of_reach_do_not_change(self, light_rate: LightRateModels) -> None:
        file = heqcodec.encode(PHOTO, strip_rows=1)
        whole = heqcodec.decode(file)
        result = heqcodec.decode_partial(flipped(file, extents(file)[3][0] + 30))
        far = np.ones(200, bool)
        far[96 - light_rate.decoder.radius : 128 + light_rate.decoder.radius] = False
        assert np.array_equal(result.pixels[far], whole[far])
        assert not np.array_equal(result.pixels[~far], whole[~far])


@settings(per_example, max_examples=60)
@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    coder = data.draw(st.sampled_from(["device", "packed"]))
    file = heqcodec.encode(IMAGE, quality=8, strip_rows=1, coder=coder)
    damaged = bytearray(file)
    places = st.lists(st.tuples(st.integers(0, len(file) - 1), st.integers(0, 255)), max_size=20)
    for offset, value in data.draw(places):
        damaged[offset] = value
    start = data.draw(st.integers(0, len(file)))
    stop = data.draw(st.integers(start, min(start + 100, len(file))))
    damaged[start:stop] = data.draw(st.binary(max_size=50))
    try:
        shape = heqcodec.decode(bytes(damaged), partial=True).shape
        assert shape[:2] == (HEIGHT, WIDTH)
    except heqcodec.HeqError as error:
        assert type(error) is not heqcodec.HeqError
    if bytes(damaged) != file:
        with pytest.raises(heqcodec.HeqError):
            heqcodec.decode(bytes(damaged))


def plausible(name: str, size: int) -> st.SearchStrategy[int]:
    """Raw values of a header field: mostly lawful ones, so that files get past the first check."""
    lawful = {
        "version": st.just(1),
        "mode": st.just(1),
        "coder": st.sampled_from([2, 2, 3]),
        "channels": st.sampled_from([1, 3]),
        "width": st.integers(1, 3000),
        "height": st.integers(1, 3000),
        "rate": st.integers(0, 1023),
        "strip_rows": st.integers(1, 255),
        "device_rows": st.sampled_from([0, 0, 4]),
        "encoder_id": st.just(int.from_bytes(b"lightrat", "little")),
        "coder_id": st.just(int.from_bytes(b"lightdev", "little")),
    }[name]
    return st.one_of(*[lawful] * 15, st.integers(0, 256**size - 1))


@settings(per_example, max_examples=60)
@given(
    st.fixed_dictionaries({f.name: plausible(f.name, f.size) for f in FIELDS[1:-1]}),
    st.binary(max_size=300),
)
def test_hostile_headers_with_a_right_checksum(values: dict[str, int], rest: bytes) -> None:
    body = MAGIC + b"".join(values[f.name].to_bytes(f.size, "little") for f in FIELDS[1:-1])
    data = body + struct.pack("<I", zlib.crc32(body)) + rest
    with quick(3):
        try:
            pixels = heqcodec.decode(data, partial=True, max_pixels=1 << 20)
        except heqcodec.HeqError as error:
            assert type(error) is not heqcodec.HeqError
        else:
            assert pixels.shape == (values["height"], values["width"], values["channels"])


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**32 - 1])
def test_hostile_lengths_with_a_right_checksum(length: int) -> None:
    header = Header(32, 32, 3, 512, b"lightrat", b"lightdev", Coder.DEVICE, Mode.RATE)
    head = struct.pack("<HHI", 0, 512, length)
    data = header.pack() + head + b"\0" + struct.pack("<I", zlib.crc32(head + b"\0")) + bytes(50)
    with pytest.raises(heqcodec.HeqError):
        heqcodec.decode(data)
    assert heqcodec.decode_partial(data).damaged_strips == [0]


@pytest.mark.parametrize("partial", [False, True])
def test_huge_headers_take_no_memory(light_rate: LightRateModels, partial: bool) -> None:
    header = Header(
        2**32 - 1, 2**21, 3, 5, b"lightrat", b"lightdev", Coder.DEVICE, Mode.RATE, strip_rows=1
    )
    data = header.pack() + bytes(1000)
    with quick(), pytest.raises(heqcodec.HeqLimitError):
        heqcodec.decode(data, partial=partial)
    with quick():
        assert heqcodec.info(data, partial=True)["missing_strips"] == 2**16
    assert light_rate.decoders_loaded == 0


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
