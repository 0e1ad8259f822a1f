"""Damaged, cut and hostile files: a typed error, or with ``partial`` an image of the right size."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Iterator

import heqcodec
import numpy as np
import pytest
from conftest import LightModels
from heqcodec.container import HEADER_LENGTH, MAGIC, Header, strip_offset
from heqcodec.container.header import FIELDS
from heqcodec.file.concealment import fill_rows
from heqcodec.image.images import LoadedImage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import quick

RNG = np.random.default_rng(3)
HEIGHT, WIDTH = 150, 40
HEADER = Header(WIDTH, HEIGHT, 3, 64, b"lightenc")
per_example = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def file(light: LightModels) -> bytes:
    """A file with everything that a file can have."""
    image = LoadedImage(
        RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        np.full((HEIGHT, WIDTH), 200, np.uint8),
        icc=b"profile",
        exif=b"II*\0",
        xmp=b"<x/>",
    )
    return heqcodec.encode(image, bpp=0.0625)


class TestEveryTruncation:
    def test_is_a_typed_error(self, light: LightModels, file: bytes) -> None:
        for length in range(len(file)):
            with quick(), pytest.raises(heqcodec.HeqError) as caught:
                heqcodec.decode(file[:length])
            kind = heqcodec.HeqTruncatedError if length else heqcodec.HeqFormatError
            assert caught.type is kind
        assert light.decoders_loaded == 0

    def test_is_an_image_in_partial_mode(self, light: LightModels, file: bytes) -> None:
        whole = heqcodec.decode(file)
        for length in range(HEADER_LENGTH, len(file)):
            with quick():
                result = heqcodec.decode_partial(file[:length])
            assert result.pixels.shape[:2] == (HEIGHT, WIDTH)
            assert result.damaged
            intact = [i for i in range(5) if strip_offset(HEADER, i + 1) <= length]
            assert result.damaged_strips == [i for i in range(5) if i not in intact]
            safe = 32 * len(intact) - light.decoder.radius
            if len(intact) < 5 and safe > 0:
                assert np.array_equal(result.pixels[:safe, :, :3], whole[:safe, :, :3])

    def test_inside_the_header_is_an_error_in_partial_mode_too(self, file: bytes) -> None:
        for length in range(HEADER_LENGTH):
            with pytest.raises((heqcodec.HeqTruncatedError, heqcodec.HeqFormatError)):
                heqcodec.decode(file[:length], partial=True)


class TestByteFlips:
    """Every byte of a file is under a checksum, so each of 1,000 random flips is seen."""

    def flips(self, file: bytes) -> Iterator[tuple[int, bytes]]:
        rng = np.random.default_rng(4)
        for _ in range(1000):
            damaged = bytearray(file)
            offset = int(rng.integers(len(file)))
            damaged[offset] ^= int(rng.integers(1, 256))
            yield offset, bytes(damaged)

    def test_are_typed_errors(self, light: LightModels, file: bytes) -> None:
        for _, damaged in self.flips(file):
            with quick(), pytest.raises(heqcodec.HeqError) as caught:
                heqcodec.decode(damaged)
            assert caught.type is not heqcodec.HeqError
            with pytest.raises(heqcodec.HeqError):
                heqcodec.info(damaged)
        assert light.decoders_loaded == 0

    def test_cost_their_own_part_alone(self, light: LightModels, file: bytes) -> None:
        whole = heqcodec.decode(file)
        chunks_begin = strip_offset(HEADER, 5)
        for offset, damaged in self.flips(file):
            with quick():
                result = heqcodec.decode_partial(damaged)
            assert result.pixels.shape[:2] == (HEIGHT, WIDTH)
            assert result.damaged
            if offset < HEADER_LENGTH:
                assert result.repaired == ["header"]
                assert np.array_equal(result.pixels, whole)
            elif offset < chunks_begin:
                index = sum(strip_offset(HEADER, i) <= offset for i in range(1, 5))
                assert result.damaged_chunks == []
                if result.repaired:
                    assert result.repaired == [f"strip {index}"]
                    assert np.array_equal(result.pixels, whole)
                else:
                    assert result.damaged_strips == [index]
            else:
                assert (result.damaged_strips, result.repaired) == ([], [])
                assert len(result.damaged_chunks) == 1
                assert np.array_equal(result.pixels[..., :3], whole[..., :3])
            facts = heqcodec.info(damaged, partial=True)
            assert facts["damaged_strips"] == result.damaged_strips
            assert facts["repaired"] == result.repaired


@per_example
@given(st.data())
def test_any_damage(light: LightModels, file: bytes, data: st.DataObject) -> None:
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
        "mode": st.just(0),
        "coder": st.sampled_from([0, 0, 1, 2]),
        "channels": st.sampled_from([1, 3]),
        "width": st.integers(1, 3000),
        "height": st.integers(1, 3000),
        "rate": st.sampled_from([8, 64, 256, 65528]),
        "strip_rows": st.integers(1, 255),
        "encoder_id": st.just(int.from_bytes(b"lightenc", "little")),
    }.get(name, st.just(0))
    return st.one_of(*[lawful] * 15, st.integers(0, 256**size - 1))


@per_example
@given(
    st.fixed_dictionaries({f.name: plausible(f.name, f.size) for f in FIELDS[1:-1]}),
    st.binary(max_size=300),
)
def test_hostile_headers_with_a_right_checksum(
    light: LightModels, values: dict[str, int], rest: bytes
) -> None:
    body = MAGIC + b"".join(values[f.name].to_bytes(f.size, "little") for f in FIELDS[1:-1])
    data = body + struct.pack("<I", zlib.crc32(body)) + rest
    with quick():
        try:
            pixels = heqcodec.decode(data, partial=True, max_pixels=1 << 20)
        except heqcodec.HeqError as error:
            assert type(error) is not heqcodec.HeqError
        else:
            assert pixels.shape == (values["height"], values["width"], values["channels"])
            assert pixels.shape[0] * pixels.shape[1] <= 1 << 20


@pytest.mark.parametrize(
    ("size", "strip_rows"), [((2**32 - 1, 2**21), 1), ((1, 89_478_485), 255), ((89_478_485, 1), 1)]
)
@pytest.mark.parametrize("partial", [False, True])
def test_huge_headers_take_no_memory(
    light: LightModels, size: tuple[int, int], strip_rows: int, partial: bool
) -> None:
    data = Header(*size, 3, 64, b"lightenc", strip_rows=strip_rows).pack() + bytes(1000)
    tracemalloc.start()
    try:
        with quick(), pytest.raises(heqcodec.HeqLimitError):
            heqcodec.decode(data, partial=partial)
        with quick(), pytest.raises(heqcodec.HeqTruncatedError):
            heqcodec.decode(data, max_pixels=None)
        assert heqcodec.info(data, partial=True)["missing_strips"] > 0
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert light.decoders_loaded == 0


def test_an_image_of_the_limit_without_a_strip(light: LightModels) -> None:
    data = Header(4096, 4096, 1, 64, b"lightenc").pack()
    with quick():
        result = heqcodec.decode_partial(data)
    assert result.pixels.shape == (4096, 4096, 1)
    assert (result.pixels == 128).all()
    assert result.damaged_strips == list(range(128))


def test_alpha_of_another_size(light: LightModels, file: bytes) -> None:
    wrong = zlib.compress(bytes(HEIGHT * WIDTH + 1))
    begin = file.index(b"ALPH")
    body = struct.pack("<4sI", b"ALPH", len(wrong)) + wrong
    end = file[-12:]
    data = file[:begin] + body + struct.pack("<I", zlib.crc32(body)) + end
    with pytest.raises(heqcodec.HeqFormatError, match="ALPH"):
        heqcodec.decode(data)
    result = heqcodec.decode_partial(data)
    assert result.pixels.shape == (HEIGHT, WIDTH, 3)
    assert result.damaged_chunks == ["ALPH"]
    assert light.decoders_loaded == 1


class TestConcealment:
    def test_pixels_out_of_reach_do_not_change(self, light: LightModels) -> None:
        image = RNG.integers(0, 256, (32 * 9, 32, 3), np.uint8)
        data = bytearray(heqcodec.encode(image))
        whole = heqcodec.decode(bytes(data))
        data[strip_offset(Header(32, 288, 3, 256, b"lightenc"), 4) + 20] ^= 1
        result = heqcodec.decode_partial(bytes(data))
        assert result.damaged_strips == [4]
        far = np.ones(288, bool)
        far[128 - light.decoder.radius : 160 + light.decoder.radius] = False
        assert np.array_equal(result.pixels[far], whole[far])
        assert not np.array_equal(result.pixels[~far], whole[~far])
        above, below = result.pixels[127].astype(int), result.pixels[160].astype(int)
        middle = result.pixels[128:160].astype(int)
        assert (middle >= np.minimum(above, below)).all()
        assert (middle <= np.maximum(above, below)).all()

    @per_example
    @given(st.data())
    def test_region_is_the_crop_of_the_whole(self, light: LightModels, data: st.DataObject) -> None:
        image = np.random.default_rng(8).integers(0, 256, (250, 100, 3), np.uint8)
        file = bytearray(heqcodec.encode(image))
        header = Header(100, 250, 3, 256, b"lightenc")
        damaged = data.draw(st.sets(st.integers(0, 7), max_size=8))
        for index in damaged:
            file[strip_offset(header, index) + 30] ^= 8
        y, x = data.draw(st.integers(0, 249)), data.draw(st.integers(0, 99))
        height, width = data.draw(st.integers(1, 250 - y)), data.draw(st.integers(1, 100 - x))
        whole = heqcodec.decode_partial(bytes(file))
        part = heqcodec.decode_partial(bytes(file), region=(x, y, width, height))
        assert np.array_equal(part.pixels, whole.pixels[y : y + height, x : x + width])
        assert set(part.damaged_strips) <= damaged
        assert whole.damaged_strips == sorted(damaged)

    def test_region_keeps_the_alpha_behind_a_damaged_chunk(
        self, light: LightModels, file: bytes
    ) -> None:
        damaged = bytearray(file)
        damaged[file.index(b"EXIF") + 4] ^= 1
        result = heqcodec.decode_partial(bytes(damaged), region=(3, 4, 5, 6))
        assert result.damaged_chunks == ["EXIF"]
        assert result.pixels.shape == (6, 5, 4)
        assert (result.pixels[..., 3] == 200).all()

    def test_fill(self) -> None:
        rows = np.array([0, 10, 0, 0, 0, 50, 60, 0], np.uint8)
        lost = np.array([1, 0, 1, 1, 1, 0, 0, 1], bool)
        pixels = rows[:, None, None].repeat(2, 1).repeat(3, 2)
        fill_rows(pixels, lost)
        assert pixels[:, 1, 2].tolist() == [10, 10, 20, 30, 40, 50, 60, 60]
        fill_rows(pixels, np.ones(8, bool))
        assert (pixels == 128).all()

    @given(st.integers(1, 400), st.integers(1, 400), st.data())
    def test_fill_in_blocks(self, width: int, lost_rows: int, data: st.DataObject) -> None:
        first, last = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 255))
        pixels = np.zeros((lost_rows + 2, width, 3), np.uint8)
        pixels[0], pixels[-1] = first, last
        lost = np.ones(lost_rows + 2, bool)
        lost[[0, -1]] = False
        fill_rows(pixels, lost)
        exact = np.linspace(first, last, lost_rows + 2)
        assert np.abs(pixels[:, 0, 0] - exact).max() <= 0.5 + 1e-9
        assert (pixels == pixels[:, :1, :1]).all()
