"""Files of the variable-rate mode with a light model: encode, decode, targets, regions, options."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import heqcodec
import numpy as np
import pytest
from counting_file import CountingFile
from heqcodec.base.constants import STEPS
from heqcodec.file import options
from heqcodec.file.options import quality_of_step, step_of_quality
from heqcodec.file.target_search import finest_fitting_step
from heqcodec.models import registry
from heqcodec.nqe_r import levels
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from light_rate_model import LightRateModels
from sample_rate_files import PHOTO, extents, per_example

RNG = np.random.default_rng(6)


@cache
def coded_and_decoded(strip_rows: int, coder: str) -> tuple[bytes, np.ndarray]:
    """The photograph; only where the light model is in place."""
    file = heqcodec.encode(PHOTO, quality=70, strip_rows=strip_rows, coder=coder)
    return file, heqcodec.decode(file)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean((found.astype(float) - wanted) ** 2))


@pytest.mark.usefixtures("light_rate")
class TestRoundTrip:
    @pytest.mark.parametrize("size", [(1, 1), (31, 33), (32, 32), (1, 100), (300, 70)])
    @pytest.mark.parametrize(("channels", "shown"), [(0, 1), (1, 1), (2, 4), (3, 3), (4, 4)])
    @pytest.mark.parametrize("coder", ["device", "packed"])
    def test_sizes_and_channels(
        self, size: tuple[int, int], channels: int, shown: int, coder: str
    ) -> None:
        image = RNG.integers(0, 256, size + ((channels,) if channels else ()), np.uint8)
        data = heqcodec.encode(image, coder=coder)
        pixels = heqcodec.decode(data)
        assert pixels.shape == (*size, shown) and pixels.dtype == np.uint8
        if channels in (2, 4):
            assert np.array_equal(pixels[..., 3], image[..., -1])

    def test_more_quality_is_more_bytes_and_less_error(self) -> None:
        files = [heqcodec.encode(PHOTO, quality=q) for q in (1, 20, 40.5, 60, 80, 100)]
        sizes = [len(file) for file in files]
        errors = [error(heqcodec.decode(file), PHOTO) for file in files]
        assert sizes == sorted(set(sizes))
        assert errors == sorted(set(errors), reverse=True)

    def test_both_coders_hold_the_same_image(self) -> None:
        one, other = (heqcodec.encode(PHOTO, quality=60, coder=c) for c in ("device", "packed"))
        assert one != other
        assert np.array_equal(heqcodec.decode(one), heqcodec.decode(other))

    @settings(per_example, max_examples=most(30))
    @given(
        st.integers(1, 80),
        st.integers(1, 300),
        st.sampled_from([1, 3]),
        st.integers(1, 9),
        st.sampled_from(["device", "packed"]),
        st.integers(1, 100),
    )
    def test_strips_change_no_pixel(
        self, width: int, height: int, channels: int, rows: int, coder: str, quality: int
    ) -> None:
        image = PHOTO.repeat(2, axis=0)[:height, :width, :channels]
        image = np.ascontiguousarray(image)
        usual = heqcodec.encode(image, quality=quality)
        data = heqcodec.encode(image, quality=quality, strip_rows=rows, coder=coder)
        facts = heqcodec.info(data)
        assert facts["strip_rows"] == rows
        assert facts["strips"] == math.ceil(image.shape[0] / (32 * rows))
        assert np.array_equal(heqcodec.decode(data), heqcodec.decode(usual))

    @pytest.mark.parametrize("batch", [1, 7, 20])
    def test_batches_do_not_matter(
        self, light_rate: LightRateModels, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        whole = heqcodec.encode(PHOTO)
        monkeypatch.setattr(levels, "BATCH", batch)
        light_rate.encoder.batches.clear()
        assert heqcodec.encode(PHOTO) == whole
        assert sum(light_rate.encoder.batches) == 7 * 9
        assert max(light_rate.encoder.batches) <= batch


@pytest.mark.usefixtures("light_rate")
class TestInfo:
    def test_device_file(self, light_rate: LightRateModels) -> None:
        data = heqcodec.encode(PHOTO, quality=40.3)
        facts = heqcodec.info(data)
        assert (facts["mode"], facts["coder"]) == ("rate", "device")
        assert (facts["step"], facts["quality"]) == (590, 40.25)
        assert (facts["strips"], facts["strip_rows"]) == (2, 4)
        assert facts["encoder_id"] == b"lightrat".hex() and facts["coder_id"] == b"lightdev".hex()
        assert facts["bits_per_patch"] is None and facts["device_strip_rows"] is None
        assert light_rate.decoders_loaded == 0

    def test_packed_file(self) -> None:
        facts = heqcodec.info(heqcodec.encode(PHOTO, coder="packed"))
        assert (facts["mode"], facts["coder"], facts["quality"]) == ("rate", "packed", 50)
        assert (facts["strip_rows"], facts["device_strip_rows"], facts["strips"]) == (32, 4, 1)

    def test_patch_mode_is_one_option_away(self) -> None:
        for option in ({"mode": "patch"}, {"model": "light"}):
            facts = heqcodec.info(heqcodec.encode(PHOTO, **option))
            assert (facts["mode"], facts["bits_per_patch"]) == ("patch", 256)


class TestQuality:
    def test_steps(self) -> None:
        assert [step_of_quality(q) for q in (1, 50, 50.06, 50.07, 100)] == [904, 512, 512, 511, 112]
        for quality in range(1, 101):
            assert quality_of_step(step_of_quality(quality)) == quality

    @pytest.mark.parametrize("quality", [0, 0.99, 100.01, -3, float("nan"), float("inf"), "50"])
    def test_out_of_range(self, light_rate: LightRateModels, quality: Any) -> None:
        with pytest.raises(heqcodec.HeqError, match="1 to 100"):
            heqcodec.encode(PHOTO, quality=quality)


@pytest.mark.usefixtures("light_rate")
class TestTarget:
    @pytest.mark.parametrize("coder", ["device", "packed"])
    @pytest.mark.parametrize("size", [3000, 5000, 8000, 20_000, 50_000])
    def test_is_not_passed_and_nearly_reached(self, coder: str, size: int) -> None:
        data = heqcodec.encode(PHOTO, target_size=size, coder=coder)
        assert 0.98 * size <= len(data) <= size

    @settings(per_example, max_examples=most(30))
    @given(st.integers(1500, 100_000), st.integers(1, 60), st.integers(1, 100))
    def test_never_above(self, size: int, width: int, height: int) -> None:
        image = np.ascontiguousarray(PHOTO[:height, :width])
        data = heqcodec.encode(image, target_size=size)
        assert len(data) <= size
        step = heqcodec.info(data)["step"]
        if step:
            finer = heqcodec.encode(image, quality=min(quality_of_step(step - 1), 100))
            assert len(finer) > size or step <= 112

    def test_all_of_the_file_counts(self) -> None:
        alpha = RNG.integers(0, 256, PHOTO.shape[:2], np.uint8)
        data = heqcodec.encode(np.dstack([PHOTO, alpha]), target_size=60_000)
        assert 58_800 <= len(data) <= 60_000
        with pytest.raises(heqcodec.HeqError, match=r"smallest file .* \d{5} bytes"):
            heqcodec.encode(np.dstack([PHOTO, alpha]), target_size=54_000)

    @pytest.mark.parametrize("bpp", [0.5, 1, 3.21])
    def test_bits_per_pixel(self, bpp: float) -> None:
        data = heqcodec.encode(PHOTO, bpp=bpp)
        assert 0.97 * bpp <= 8 * len(data) / (200 * 270) <= bpp

    @pytest.mark.parametrize("options", [{"target_size": 1}, {"bpp": 1e-9}, {"target_size": 300}])
    def test_too_small(self, options: dict[str, Any]) -> None:
        with pytest.raises(heqcodec.HeqError, match="smallest file"):
            heqcodec.encode(PHOTO, **options)

    def test_more_than_there_is(self) -> None:
        data = heqcodec.encode(PHOTO, target_size=10**9)
        assert heqcodec.info(data)["step"] == 0

    @pytest.mark.parametrize("kept", [0, 1 << 20, 1 << 30])
    def test_coefficients_are_computed_once_as_far_as_memory_goes(
        self, light_rate: LightRateModels, monkeypatch: pytest.MonkeyPatch, kept: int
    ) -> None:
        expected = heqcodec.encode(PHOTO, target_size=9000)
        monkeypatch.setattr(levels, "KEPT_BYTES", kept)
        light_rate.encoder.batches.clear()
        assert heqcodec.encode(PHOTO, target_size=9000) == expected
        assert (sum(light_rate.encoder.batches) == 7 * 9) == (kept == 1 << 30)


class TestSearch:
    @given(st.integers(0, 10**9), st.sampled_from([5, 300, 10**6]), st.floats(0, 1))
    def test_any_falling_sizes(self, seed: int, largest: int, share: float) -> None:
        drawn = np.random.default_rng(seed).integers(1, largest + 1, STEPS)
        sizes = np.sort(drawn)[::-1].tolist()
        target = sizes[-1] + round(share * (largest + 10 - sizes[-1]))
        wanted = next(step for step, size in enumerate(sizes) if size <= target)
        assert finest_fitting_step(lambda step: sizes[step], target) == wanted

    @given(st.integers(0, 10**9), st.integers(4000, 10**6))
    def test_sizes_that_fall_nearly(self, seed: int, target: int) -> None:
        wave = np.random.default_rng(seed).uniform(0.99, 1.01, STEPS)
        sizes = (60 + 2e6 * 2 ** (-np.arange(STEPS) / 110) * wave).round().astype(int).tolist()
        calls: list[int] = []

        def size_at(step: int) -> int:
            calls.append(step)
            return sizes[step]

        step = finest_fitting_step(size_at, target)
        assert sizes[step] <= target
        assert step == 0 or sizes[step - 1] > target
        assert step == [call for call in calls if sizes[call] <= target][-1]
        assert len(calls) == len(set(calls)) <= 14


@pytest.mark.usefixtures("light_rate")
class TestOptions:
    @pytest.mark.parametrize(
        ("given_options", "reported"),
        [
            ({"quality": 50, "bpp": 0.5}, "quality and bpp contradict"),
            ({"quality": 50, "target_size": 9000}, "quality and target_size contradict"),
            ({"bpp": 1, "target_size": 9000, "mode": "patch"}, "contradict"),
            ({"quality": 50, "mode": "patch"}, "quality belongs to the variable-rate mode"),
            ({"target_size": 9000, "model": "light"}, "target_size belongs"),
            ({"coder": "packed", "mode": "patch"}, "coder='packed' belongs"),
            ({"mode": "rate", "model": "light"}, "of mode 'patch', not 'rate'"),
            ({"mode": "patch", "model": "light-rate"}, "of mode 'rate', not 'patch'"),
            ({"bpp": 0}, "above 0"),
            ({"bpp": float("nan")}, "above 0"),
            ({"bpp": float("inf")}, "above 0"),
            ({"bpp": "1"}, "above 0"),
            ({"bpp": 0.3, "mode": "patch"}, "0.0625, 0.125, 0.25, 0.5"),
            ({"target_size": 0}, "from 1"),
            ({"strip_rows": 0}, "1 to 255"),
            ({"strip_rows": 256}, "1 to 255"),
            ({"mode": "fast"}, "'auto', 'patch', 'rate'"),
            ({"coder": "zip"}, "'device', 'packed'"),
            ({"model": "none"}, "none"),
        ],
    )
    def test_refused(self, given_options: dict[str, Any], reported: str) -> None:
        with pytest.raises(heqcodec.HeqError, match=reported):
            heqcodec.encode(PHOTO, **given_options)

    def test_patch_strips_of_several_rows(self) -> None:
        one, three = (heqcodec.encode(PHOTO, mode="patch", strip_rows=rows) for rows in (None, 3))
        assert heqcodec.info(three)["strips"] == 3
        assert np.array_equal(heqcodec.decode(one), heqcodec.decode(three))

    def test_no_image_is_read_before_the_options_are_right(self) -> None:
        with pytest.raises(heqcodec.HeqError, match="1 to 100"):
            heqcodec.encode("not-there.png", quality=0)
        assert options.EncodeOptions().resolved(registry).step == 512


@pytest.mark.usefixtures("light_rate")
class TestRegion:
    @settings(per_example, max_examples=most(40))
    @given(st.data())
    def test_is_the_crop_of_the_whole(self, data: st.DataObject) -> None:
        y, x = data.draw(st.integers(0, 199)), data.draw(st.integers(0, 269))
        height, width = data.draw(st.integers(1, 200 - y)), data.draw(st.integers(1, 270 - x))
        file, whole = coded_and_decoded(
            data.draw(st.integers(1, 4)), data.draw(st.sampled_from(["device", "packed"]))
        )
        found = heqcodec.decode(file, region=(x, y, width, height))
        assert np.array_equal(found, whole[y : y + height, x : x + width])

    def test_reads_only_its_strips(self, light_rate: LightRateModels) -> None:
        image = np.tile(PHOTO, (4, 1, 1))[: 32 * 20]
        data = heqcodec.encode(image, strip_rows=2)
        stream = CountingFile(data)
        # Rows 320 to 351 widened by a radius of 40 are patch rows 8 to 12: strips 4 to 6.
        heqcodec.decode(stream, region=(100, 320, 32, 32))
        assert light_rate.decoder.shapes == [(5, 5)]
        places = extents(data)
        tail = len(data) - 4 * len(places) - 28  # where an index of strips would be
        for index, (start, stop) in enumerate(places):
            assert stream.touched[start + 8 : stop].all() == (4 <= index <= 6)
            assert stream.touched[start + 8 : min(stop, tail)].any() == (4 <= index <= 6)

    def test_damage_elsewhere_does_not_matter(self, light_rate: LightRateModels) -> None:
        data = bytearray(heqcodec.encode(PHOTO, strip_rows=1))
        expected = heqcodec.decode(bytes(data), region=(0, 0, 64, 32))
        start, stop = extents(bytes(data))[5]
        data[(start + stop) // 2] ^= 1
        assert np.array_equal(heqcodec.decode(bytes(data), region=(0, 0, 64, 32)), expected)
        light_rate.decoders_loaded = 0
        with pytest.raises(heqcodec.HeqChecksumError):
            heqcodec.decode(bytes(data), region=(0, 165, 64, 20))
        assert light_rate.decoders_loaded == 0
        with pytest.raises(heqcodec.HeqChecksumError):
            heqcodec.decode(bytes(data), region=(0, 130, 64, 20))
        assert light_rate.decoders_loaded == 1


@pytest.mark.usefixtures("light_rate")
class TestSlices:
    def test_more_slices_are_nearer(self) -> None:
        data = heqcodec.encode(PHOTO, quality=80, coder="packed", strip_rows=3)
        errors = [error(heqcodec.decode(data, slices=n), PHOTO) for n in range(1, 6)]
        assert errors == sorted(set(errors), reverse=True)
        assert np.array_equal(heqcodec.decode(data, slices=5), heqcodec.decode(data))
        assert np.array_equal(heqcodec.decode(data, slices=99), heqcodec.decode(data))
        part = heqcodec.decode(data, slices=2, region=(50, 60, 70, 80))
        assert np.array_equal(part, heqcodec.decode(data, slices=2)[60:140, 50:120])

    @pytest.mark.parametrize("slices", [0, -1])
    def test_less_than_one(self, slices: int) -> None:
        with pytest.raises(heqcodec.HeqError, match="whole number from 1"):
            heqcodec.decode(heqcodec.encode(PHOTO, coder="packed"), slices=slices)

    @pytest.mark.parametrize("option", [{}, {"mode": "patch"}])
    def test_files_that_have_none(self, option: dict[str, Any]) -> None:
        with pytest.raises(heqcodec.HeqError, match="only packed and progressive files"):
            heqcodec.decode(heqcodec.encode(PHOTO, **option), slices=1)
