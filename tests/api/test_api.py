"""encode, decode and info with a light model: sizes, sources, options, regions."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from conftest import LightModels
from counting_file import CountingFile
from heqcodec import api
from heqcodec.container import ContainerReader, Header, patch_offset, strip_offset, total_size
from heqcodec.image import patches
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from light_model import LightEncoder
from PIL import Image

RNG = np.random.default_rng(2)
PHOTO = RNG.integers(0, 256, (150, 260, 3), np.uint8)
FUNCTIONS: list[Any] = [
    heqcodec.encode,
    heqcodec.decode,
    heqcodec.decode_partial,
    heqcodec.info,
    heqcodec.read_metadata,
    heqcodec.pack,
    heqcodec.unpack,
]


class Pipe(io.RawIOBase):
    """A file object that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


class TestRoundTrip:
    @pytest.mark.parametrize("size", [(1, 1), (31, 33), (32, 32), (64, 1), (1, 100), (129, 200)])
    @pytest.mark.parametrize(("channels", "shown"), [(0, 1), (1, 1), (2, 4), (3, 3), (4, 4)])
    def test_sizes_and_channels(
        self, light: LightModels, size: tuple[int, int], channels: int, shown: int
    ) -> None:
        image = RNG.integers(0, 256, size + ((channels,) if channels else ()), np.uint8)
        data = heqcodec.encode(image)
        pixels = heqcodec.decode(data)
        assert pixels.shape == (*size, shown)
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous and pixels.flags.writeable
        if channels in (2, 4):
            assert np.array_equal(pixels[..., 3], image[..., -1])
        if channels == 2:
            assert np.array_equal(pixels[..., 0], pixels[..., 2])

    def test_payload_is_that_of_each_patch_alone(self, light: LightModels) -> None:
        data = heqcodec.encode(PHOTO, bpp=0.125)
        header = ContainerReader(io.BytesIO(data)).header
        padded = np.pad(PHOTO, ((0, 10), (0, 28), (0, 0)), mode="edge")
        for row in range(5):
            for column in range(9):
                patch = padded[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
                code = LightEncoder().encode_patches(patch[None], 128).tobytes()
                start = patch_offset(header, row, column)
                assert data[start : start + 16] == code

    @pytest.mark.parametrize("bpp", [0.0625, 0.125, 0.25, 0.5, None])
    def test_size_is_known(self, light: LightModels, bpp: float | None) -> None:
        data = heqcodec.encode(PHOTO, bpp=bpp)
        bits = round((bpp or 0.25) * 1024)
        assert len(data) == total_size(Header(260, 150, 3, bits, bytes(8)))
        assert len(data) == 44 + 5 * 12 + 45 * bits // 8 + 12

    @pytest.mark.parametrize("batch", [1, 7, 10, 4096])
    def test_batches_are_bounded_and_do_not_matter(
        self, light: LightModels, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        whole = heqcodec.encode(PHOTO)
        monkeypatch.setattr(patches.patch_batches, "__defaults__", (batch,))
        light.encoder.batches.clear()
        assert heqcodec.encode(PHOTO) == whole
        assert sum(light.encoder.batches) == 45
        assert max(light.encoder.batches) <= batch

    @given(st.integers(1, 100), st.integers(1, 100), st.sampled_from([1, 3]), st.integers(1, 20))
    def test_patch_batches(self, height: int, width: int, channels: int, batch: int) -> None:
        image = np.arange(height * width * channels).reshape(height, width, channels)
        rows, columns = -(-height // 32), -(-width // 32)
        padding = ((0, 32 * rows - height), (0, 32 * columns - width), (0, 0))
        padded = np.pad(image, padding, mode="edge")
        found = np.concatenate(list(patches.patch_batches(image.astype(np.uint8), batch)))
        for index, patch in enumerate(found):
            y, x = 32 * (index // columns), 32 * (index % columns)
            assert np.array_equal(patch, padded[y : y + 32, x : x + 32].astype(np.uint8))
        assert len(found) == rows * columns


class TestSources:
    def test_images(self, light: LightModels, tmp_path: Path) -> None:
        expected = heqcodec.encode(PHOTO)
        Image.fromarray(PHOTO).save(tmp_path / "photo.png")
        assert heqcodec.encode(Image.fromarray(PHOTO)) == expected
        assert heqcodec.encode(tmp_path / "photo.png") == expected
        assert heqcodec.encode(str(tmp_path / "photo.png")) == expected
        with (tmp_path / "photo.png").open("rb") as stream:
            assert heqcodec.encode(stream) == expected

    def test_files(self, light: LightModels, tmp_path: Path) -> None:
        data = heqcodec.encode(PHOTO)
        expected = heqcodec.decode(data)
        path = tmp_path / "photo.heq"
        path.write_bytes(data)
        stream = io.BytesIO(b"ahead" + data)
        stream.seek(5)
        for source in (bytearray(data), memoryview(data), path, str(path), stream, Pipe(data)):
            assert np.array_equal(heqcodec.decode(source), expected)  # type: ignore[arg-type]
        assert stream.tell() == 5
        assert heqcodec.info(path) == heqcodec.info(data)

    def test_what_is_no_source(self, tmp_path: Path) -> None:
        for function in FUNCTIONS:
            with pytest.raises(TypeError, match="int"):
                function(17)
            with pytest.raises(TypeError, match="'rb'"):
                function(io.StringIO("text"))
            with pytest.raises(FileNotFoundError, match=r"none\.heq"):
                function(tmp_path / "none.heq")
            with pytest.raises(IsADirectoryError):
                function(tmp_path)


class TestOptions:
    @pytest.mark.parametrize("bpp", [0, 0.3, -0.25, 1, float("nan"), "0.25"])
    def test_rates_are_listed(self, light: LightModels, bpp: Any) -> None:
        with pytest.raises(heqcodec.HeqError, match=r"0\.0625, 0\.125, 0\.25, 0\.5"):
            heqcodec.encode(PHOTO, bpp=bpp)

    def test_rates_of_the_model(self, light: LightModels) -> None:
        light.encoder.rates = (256,)
        assert heqcodec.encode(PHOTO)
        with pytest.raises(heqcodec.HeqError, match=r"choose one of 0\.25\."):
            heqcodec.encode(PHOTO, bpp=0.5)

    @pytest.mark.parametrize("option", [{"quality": 5}, {"mode": "rate"}, {"coder": "packed"}])
    def test_variable_rate(self, light: LightModels, option: dict[str, Any]) -> None:
        with pytest.raises(heqcodec.HeqUnsupportedError, match="patch-constant files only"):
            heqcodec.encode(PHOTO, **option)

    @pytest.mark.parametrize("option", [{"mode": "fast"}, {"coder": "zip"}, {"model": "none"}])
    def test_unknown_names(self, light: LightModels, option: dict[str, Any]) -> None:
        with pytest.raises(heqcodec.HeqError):
            heqcodec.encode(PHOTO, **option)

    def test_modes_and_models_that_are_the_same(self, light: LightModels) -> None:
        assert heqcodec.encode(PHOTO, mode="patch", model="light") == heqcodec.encode(PHOTO)

    def test_pixel_limit(self, light: LightModels) -> None:
        data = heqcodec.encode(PHOTO, max_pixels=150 * 260)
        assert heqcodec.decode(data, max_pixels=150 * 260).shape == PHOTO.shape
        with pytest.raises(heqcodec.HeqLimitError):
            heqcodec.encode(PHOTO, max_pixels=150 * 260 - 1)
        with pytest.raises(heqcodec.HeqLimitError):
            heqcodec.decode(data, max_pixels=150 * 260 - 1)
        assert heqcodec.decode(heqcodec.encode(PHOTO, max_pixels=None), max_pixels=None).any()

    def test_unknown_model_id(self, light: LightModels) -> None:
        data = heqcodec.encode(PHOTO)
        light.encoder.encoder_id = b"retired."
        with pytest.raises(heqcodec.HeqUnsupportedError, match=b"lightenc".hex()):
            heqcodec.decode(data)


class TestMetadata:
    def test_kept_and_stripped(self, light: LightModels) -> None:
        from heqcodec.image.images import LoadedImage

        alpha = RNG.integers(0, 256, PHOTO.shape[:2], np.uint8)
        image = LoadedImage(PHOTO, alpha, icc=b"profile", exif=b"II*\0", xmp=b"<x/>", notes=[])
        data = heqcodec.encode(image)
        assert heqcodec.read_metadata(data) == heqcodec.Metadata(b"profile", b"II*\0", b"<x/>")
        assert heqcodec.info(data)["chunks"][0] == {"type": "ICCP", "bytes": 7}
        assert heqcodec.decode_partial(data).metadata.exif == b"II*\0"
        stripped = heqcodec.encode(image, strip_metadata=True)
        assert heqcodec.read_metadata(stripped) == heqcodec.Metadata()
        with pytest.warns(DeprecationWarning, match="strip_metadata"):
            assert heqcodec.encode(image, strip=True) == stripped
        with pytest.warns(DeprecationWarning, match="strip_metadata"):
            assert heqcodec.encode(image, strip_metadata=True, strip=False) == data
        assert np.array_equal(heqcodec.decode(stripped), heqcodec.decode(data))

    def test_info(self, light: LightModels) -> None:
        data = heqcodec.encode(PHOTO)
        facts = heqcodec.info(data)
        assert (facts["width"], facts["height"]) == (260, 150)
        assert (facts["mode"], facts["coder"], facts["format_version"]) == ("patch", "none", 1)
        assert (facts["channels"], facts["alpha"]) == (3, False)
        assert (facts["bits_per_patch"], facts["nominal_bpp"]) == (256, 0.25)
        assert facts["file_bytes"] == len(data)
        assert facts["file_bpp"] == pytest.approx(8 * len(data) / (260 * 150))
        assert (facts["patch_rows"], facts["patch_columns"], facts["strips"]) == (5, 9, 5)
        assert facts["encoder_id"] == b"lightenc".hex()
        assert facts["quality"] is None and facts["model"] is None  # no model that ships
        assert set(facts) == set(heqcodec.FileInfo.__annotations__)
        assert light.decoders_loaded == 0


class TestRegion:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.data())
    def test_is_the_crop_of_the_whole(self, light: LightModels, data: st.DataObject) -> None:
        y, x = data.draw(st.integers(0, 149)), data.draw(st.integers(0, 259))
        height, width = data.draw(st.integers(1, 150 - y)), data.draw(st.integers(1, 260 - x))
        file = heqcodec.encode(PHOTO)
        found = heqcodec.decode(file, region=(x, y, width, height))
        assert np.array_equal(found, heqcodec.decode(file)[y : y + height, x : x + width])

    def test_with_alpha(self, light: LightModels) -> None:
        image = np.dstack([PHOTO, PHOTO[..., :1]])
        data = heqcodec.encode(image)
        found = heqcodec.decode(data, region=(70, 40, 30, 20))
        assert np.array_equal(found, heqcodec.decode(data)[40:60, 70:100])

    def test_reads_only_its_strips_and_decodes_only_its_columns(self, light: LightModels) -> None:
        image = RNG.integers(0, 256, (32 * 20, 32 * 12, 3), np.uint8)
        data = heqcodec.encode(image)
        header = ContainerReader(io.BytesIO(data)).header
        stream = CountingFile(data)
        light.decoder.shapes.clear()
        # Rows 320 to 351 widened by a radius of 40 are patch rows 8 to 12, columns 3 to 7.
        heqcodec.decode(stream, region=(160, 320, 32, 32))
        assert light.decoder.shapes == [(5, 5)]
        for index in range(20):
            start, stop = strip_offset(header, index), strip_offset(header, index + 1)
            assert stream.touched[start:stop].any() == (8 <= index <= 12)

    def test_damage_elsewhere_does_not_matter(self, light: LightModels) -> None:
        image = RNG.integers(0, 256, (32 * 8, 64, 3), np.uint8)
        data = bytearray(heqcodec.encode(image))
        expected = heqcodec.decode(bytes(data), region=(0, 0, 64, 32))
        data[strip_offset(Header(64, 256, 3, 256, bytes(8)), 6) + 20] ^= 1
        assert np.array_equal(heqcodec.decode(bytes(data), region=(0, 0, 64, 32)), expected)
        light.decoders_loaded = 0
        with pytest.raises(heqcodec.HeqChecksumError):
            heqcodec.decode(bytes(data), region=(0, 200, 64, 32))
        assert light.decoders_loaded == 0
        with pytest.raises(heqcodec.HeqChecksumError):
            heqcodec.decode(bytes(data), region=(0, 160, 64, 32))
        assert light.decoders_loaded == 1

    @pytest.mark.parametrize(
        "region",
        [(0, 0, 0, 5), (0, 0, 5, 0), (-1, 0, 5, 5), (0, -1, 5, 5), (256, 0, 5, 5), (0, 146, 5, 5)],
    )
    def test_outside(self, light: LightModels, region: api.Region) -> None:
        with pytest.raises(heqcodec.HeqError, match="260 x 150"):
            heqcodec.decode(heqcodec.encode(PHOTO), region=region)

    @pytest.mark.parametrize(
        "region", [(1, 2, 3), 5, "0,0,10,10", (0.5, 0, 10, 10), (0, 0, 10, "a"), (0, 0, 9, True)]
    )
    def test_of_something_else(self, light: LightModels, region: Any) -> None:
        with pytest.raises(heqcodec.HeqError, match="four numbers"):
            heqcodec.decode(heqcodec.encode(PHOTO), region=region)

    @pytest.mark.parametrize(
        "region", [np.array([3, 4, 50, 60]), (3.0, 4.0, 50.0, 6e1), [np.int32(3), 4, 50, 60]]
    )
    def test_of_other_numbers(self, light: LightModels, region: Any) -> None:
        file = heqcodec.encode(PHOTO)
        assert np.array_equal(
            heqcodec.decode(file, region=region), heqcodec.decode(file)[4:64, 3:53]
        )
