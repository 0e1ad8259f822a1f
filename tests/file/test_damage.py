"""Damaged, cut and hostile files of both modes and all coders: a typed error, or with ``partial``
an image of the right size whose other strips are as they were."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import heqcodec
import numpy as np
import pytest
from conftest import LightModels
from heqcodec.container import HEADER_LENGTH, MAGIC, Coder, Header, Mode
from heqcodec.container.header import FIELDS
from heqcodec.file.concealment import fill_rows
from heqcodec.image.images import LoadedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most, quick
from light_rate_model import LightRateModels
from sample_rate_files import PHOTO, extents, flipped, lost, per_example

HEIGHT, WIDTH = 150, 40
IMAGE = np.ascontiguousarray(PHOTO[:HEIGHT, :WIDTH])
PATCH: dict[str, Any] = {"bpp": 0.0625, "mode": "patch"}
CODERS: dict[str, dict[str, Any]] = {
    "patch": PATCH,
    "device": {"quality": 8, "coder": "device"},
    "packed": {"quality": 8, "coder": "packed"},
}
RATE_HEADER = {
    "encoder_id": b"lightrat",
    "coder_id": b"lightdev",
    "coder": Coder.DEVICE,
    "mode": Mode.RATE,
}
HEADERS: dict[str, dict[str, Any]] = {
    "patch": {"rate": 64, "encoder_id": b"lightenc"},
    "rate": {"rate": 5, **RATE_HEADER},
}
each_coder = pytest.mark.parametrize("coder", CODERS)


def make(coder: str) -> bytes:
    """A small file of five strips with everything that a file can have."""
    image = LoadedImage(
        IMAGE, np.full((HEIGHT, WIDTH), 200, np.uint8), icc=b"profile", exif=b"II*\0", xmp=b"<x/>"
    )
    return heqcodec.encode(image, strip_rows=1, **CODERS[coder])


@pytest.fixture(params=CODERS)
def file(light_rate: LightRateModels, request: pytest.FixtureRequest) -> bytes:
    return make(request.param)


class TestTruncation:
    def test_is_a_typed_error(self, light_rate: LightRateModels, file: bytes) -> None:
        for length in range(len(file)):
            with quick(), pytest.raises(heqcodec.HeqError) as caught:
                heqcodec.decode(file[:length])
            kind = heqcodec.HeqTruncatedError if length else heqcodec.HeqFormatError
            assert caught.type is kind
        assert light_rate.decoders_loaded == 0

    @pytest.mark.slow
    def test_is_an_image_in_partial_mode(self, light_rate: LightRateModels, file: bytes) -> None:
        whole = heqcodec.decode(file)
        places = extents(file)
        for length in range(HEADER_LENGTH, len(file), 1 + len(file) // 500):
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

    def test_inside_the_header_is_an_error_in_partial_mode_too(self, file: bytes) -> None:
        for length in range(HEADER_LENGTH):
            with pytest.raises((heqcodec.HeqTruncatedError, heqcodec.HeqFormatError)):
                heqcodec.decode(file[:length], partial=True)


class TestByteFlips:
    """Every byte of a file is under a checksum, so each of many random flips is seen."""

    def flips(self, file: bytes, count: int) -> Iterator[tuple[int, bytes]]:
        rng = np.random.default_rng(4)
        for _ in range(count):
            offset = int(rng.integers(len(file)))
            yield offset, flipped(file, offset, int(rng.integers(1, 256)))

    def test_are_typed_errors(self, light_rate: LightRateModels, file: bytes) -> None:
        for _, damaged in self.flips(file, 1000):
            with quick():  # the clock of a process takes longer to read than a header
                for work in (heqcodec.decode, heqcodec.info, heqcodec.pack, heqcodec.unpack):
                    with pytest.raises(heqcodec.HeqError) as caught:
                        work(damaged)
                    if work in (heqcodec.decode, heqcodec.info):
                        assert caught.type is not heqcodec.HeqError
        assert light_rate.decoders_loaded == 0

    @pytest.mark.slow
    def test_cost_their_own_part_alone(self, file: bytes) -> None:
        whole = heqcodec.decode(file)
        places = extents(file)
        for offset, damaged in self.flips(file, 400):
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

    @pytest.mark.slow
    def test_every_byte_of_the_heads(self, file: bytes) -> None:
        whole = heqcodec.decode(file)
        for start, _ in extents(file):
            for offset in range(start, start + 8):
                for value in (1, 0x80, 0xFF):
                    result = heqcodec.decode_partial(flipped(file, offset, value))
                    assert lost(result) == [] and len(result.repaired) == 1
                    assert np.array_equal(result.pixels, whole)


@each_coder
@settings(per_example, max_examples=most(60))
@given(st.data())
def test_any_damage(light_rate: LightRateModels, coder: str, data: st.DataObject) -> None:
    file = make(coder)
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


def plausible(mode: str, name: str, size: int) -> st.SearchStrategy[int]:
    """Raw values of a header field: mostly valid ones, so that files get past the first check."""
    rate = mode == "rate"
    valid = {
        "version": st.just(1),
        "mode": st.just(int(rate)),
        "coder": st.sampled_from([2, 2, 3] if rate else [0, 0, 1, 2]),
        "channels": st.sampled_from([1, 3]),
        "width": st.integers(1, 3000),
        "height": st.integers(1, 3000),
        "rate": st.integers(0, 1023) if rate else st.sampled_from([8, 64, 256, 65528]),
        "strip_rows": st.integers(1, 255),
        "device_rows": st.sampled_from([0, 0, 4] if rate else [0]),
        "encoder_id": st.just(int.from_bytes(HEADERS[mode]["encoder_id"], "little")),
        "coder_id": st.just(int.from_bytes(HEADERS[mode].get("coder_id", b""), "little")),
    }[name]
    return st.one_of(*[valid] * 15, st.integers(0, 256**size - 1))


@pytest.mark.parametrize("mode", HEADERS)
@settings(per_example, max_examples=most(100))
@given(st.data(), st.binary(max_size=300))
def test_hostile_headers_with_a_right_checksum(
    light_rate: LightRateModels, mode: str, data: st.DataObject, rest: bytes
) -> None:
    values = {f.name: data.draw(plausible(mode, f.name, f.size)) for f in FIELDS[1:-1]}
    body = MAGIC + b"".join(values[f.name].to_bytes(f.size, "little") for f in FIELDS[1:-1])
    file = body + struct.pack("<I", zlib.crc32(body)) + rest
    with quick(3):
        try:
            pixels = heqcodec.decode(file, partial=True, max_pixels=1 << 20)
        except heqcodec.HeqError as error:
            assert type(error) is not heqcodec.HeqError
        else:
            assert pixels.shape == (values["height"], values["width"], values["channels"])
            assert pixels.shape[0] * pixels.shape[1] <= 1 << 20


@pytest.mark.parametrize(
    ("mode", "size", "strip_rows"),
    [
        ("patch", (2**32 - 1, 2**21), 1),
        ("patch", (1, 89_478_485), 255),
        ("patch", (89_478_485, 1), 1),
        ("rate", (2**32 - 1, 2**21), 1),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_huge_headers_take_no_memory(
    light_rate: LightRateModels, mode: str, size: tuple[int, int], strip_rows: int, partial: bool
) -> None:
    header = Header(*size, 3, strip_rows=strip_rows, **HEADERS[mode])
    data = header.pack() + bytes(1000)
    tracemalloc.start()
    try:
        with quick(), pytest.raises(heqcodec.HeqLimitError):
            heqcodec.decode(data, partial=partial)
        with quick(), pytest.raises(heqcodec.HeqTruncatedError):
            heqcodec.decode(data[:HEADER_LENGTH], max_pixels=None)
        facts = heqcodec.info(data, partial=True)
        assert facts["missing_strips"] in (header.strip_count, header.strip_count - 1)
        assert tracemalloc.get_traced_memory()[1] < 1 << 21
    finally:
        tracemalloc.stop()
    assert light_rate.decoders_loaded == 0


def test_an_image_of_the_limit_without_a_strip(light: LightModels) -> None:
    data = Header(4096, 4096, 1, 64, b"lightenc").pack()
    with quick():
        result = heqcodec.decode_partial(data)
    assert result.pixels.shape == (4096, 4096, 1)
    assert (result.pixels == 128).all()
    assert result.damaged_strips == list(range(128))


def test_alpha_of_another_size(light_rate: LightRateModels, file: bytes) -> None:
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
    assert light_rate.decoders_loaded == 1


class TestConcealment:
    @each_coder
    def test_pixels_out_of_reach_do_not_change(
        self, light_rate: LightRateModels, coder: str
    ) -> None:
        file = heqcodec.encode(PHOTO, strip_rows=1, **CODERS[coder])
        whole = heqcodec.decode(file)
        result = heqcodec.decode_partial(flipped(file, extents(file)[3][0] + 30))
        assert lost(result) == [3]
        far = np.ones(200, bool)
        far[96 - light_rate.decoder.radius : 128 + light_rate.decoder.radius] = False
        assert np.array_equal(result.pixels[far], whole[far])
        assert not np.array_equal(result.pixels[~far], whole[~far])
        if result.damaged_strips:
            above, below = result.pixels[95].astype(int), result.pixels[128].astype(int)
            middle = result.pixels[96:128].astype(int)
            assert (middle >= np.minimum(above, below)).all()
            assert (middle <= np.maximum(above, below)).all()

    @pytest.mark.slow
    @each_coder
    @settings(per_example, max_examples=most(60))
    @given(st.data())
    def test_region_is_the_crop_of_the_whole(
        self, light_rate: LightRateModels, coder: str, data: st.DataObject
    ) -> None:
        file = heqcodec.encode(PHOTO, strip_rows=1, **CODERS[coder])
        places = extents(file)
        hit = data.draw(st.sets(st.integers(0, 6), max_size=7))
        for index in hit:
            file = flipped(file, places[index][0] + 20)
            if data.draw(st.booleans()):
                file = flipped(file, places[index][0] + 5)
        y, x = data.draw(st.integers(0, 199)), data.draw(st.integers(0, 269))
        height, width = data.draw(st.integers(1, 200 - y)), data.draw(st.integers(1, 270 - x))
        whole = heqcodec.decode_partial(file)
        part = heqcodec.decode_partial(file, region=(x, y, width, height))
        assert np.array_equal(part.pixels, whole.pixels[y : y + height, x : x + width])
        assert set(lost(part)) <= hit and lost(whole) == sorted(hit)

    def test_region_keeps_the_alpha_behind_a_damaged_chunk(
        self, light_rate: LightRateModels, file: bytes
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
