"""One measurement: figures of the real file, and what is watched while it is made."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from clock import Clock
from heqcodec.base.errors import HeqError
from heqcodec.eval import blockiness, metrics
from heqcodec.eval import measure as measuring
from heqcodec.eval.measure import measure
from PIL import Image

MIB = 2**20


@dataclass
class PillowCodec:
    """JPEG at a quality, or PNG, with hooks to misbehave."""

    name: str = "jpeg"
    setting_name: str = "quality"
    settings: tuple[float, ...] = (20.0,)
    single_threaded: bool = True
    suffix: str = ".jpg"
    about: str = "for tests"
    pause: Callable[[float], None] = lambda seconds: None
    encode_bytes: int = 0
    decode_child: bool = False

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return "1"

    def prepare(self) -> None:
        pass

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        self.pause(0.5)
        np.ones(self.encode_bytes, np.uint8)
        form = "png" if self.suffix == ".png" else "jpeg"
        Image.fromarray(pixels).save(path, form, quality=int(setting))
        pixels[:] = 0

    def decode(self, path: Path) -> np.ndarray:
        self.pause(0.125)
        if self.decode_child:
            subprocess.run([sys.executable, "-c", ""], check=True)
        return np.asarray(Image.open(path))


@pytest.fixture
def picture() -> np.ndarray:
    y, x = np.mgrid[:176, :200]
    waves = [np.sin(x / a) * np.cos(y / b) for a, b in ((9, 5), (4, 7), (30, 11))]
    noise = np.random.default_rng(4).normal(0, 6, (176, 200, 3))
    return np.clip(128 + 70 * np.stack(waves, 2) + noise, 0, 255).astype(np.uint8)


def test_figures_are_those_of_the_file(picture: np.ndarray, tmp_path: Path) -> None:
    before = picture.copy()
    path = tmp_path / "a.jpg"
    row = measure(PillowCodec(), 20, "a.png", picture, path)
    # The codec above wipes what it was given; the caller's pixels must not change with it.
    assert np.array_equal(picture, before)
    file = io.BytesIO()
    Image.fromarray(before).save(file, "jpeg", quality=20)
    assert path.read_bytes() == file.getvalue()
    decoded = np.asarray(Image.open(file))
    assert (row.codec, row.setting, row.image) == ("jpeg", 20, "a.png")
    assert (row.width, row.height, row.bytes) == (200, 176, len(file.getvalue()))
    assert row.bpp == 8 * len(file.getvalue()) / (200 * 176)
    assert row.psnr_rgb == metrics.psnr(before, decoded)
    assert row.psnr_luma == metrics.psnr_luma(before, decoded) != row.psnr_rgb
    assert row.ms_ssim == metrics.ms_ssim(before, decoded)
    assert row.bef8 == blockiness.blocking_effect_factor(decoded, 8) > 0
    assert row.bef32 == blockiness.blocking_effect_factor(decoded, 32)
    assert row.psnr_b8 == blockiness.psnr_b(before, decoded, 8)
    assert row.psnr_b32 == blockiness.psnr_b(before, decoded, 32)
    assert row.border_ratio == blockiness.relative_border_step_ratio(before, decoded)


def test_small_and_grey_images_leave_out_what_is_not_defined(tmp_path: Path) -> None:
    grey = np.random.default_rng(1).integers(0, 255, (20, 31, 1), np.uint8)
    row = measure(PillowCodec(suffix=".png"), 0, "a.png", grey, tmp_path / "a.png")
    assert row.ms_ssim is None and row.border_ratio is None
    # Nothing was lost: PSNR is infinite, for which there is no figure.
    assert row.psnr_rgb is row.psnr_luma is row.psnr_b8 is row.psnr_b32 is None
    assert row.bef32 == 0.0
    assert np.asarray(Image.open(tmp_path / "a.png")).shape == (20, 31, 3)


def test_seconds_are_of_the_call_that_took_them(
    picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)
    codec = PillowCodec(pause=clock.pause)
    row = measure(codec, 20, "a.png", picture, tmp_path / "a.jpg")
    assert (row.encode_seconds, row.decode_seconds) == (0.5, 0.125)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux resets peaks")
def test_peak_memory_is_of_the_call_and_forgets_what_was_before(
    picture: np.ndarray, tmp_path: Path
) -> None:
    np.ones(400 * MIB, np.uint8)
    row = measure(PillowCodec(encode_bytes=200 * MIB), 20, "a.png", picture, tmp_path / "a.jpg")
    light = measure(PillowCodec(), 20, "a.png", picture, tmp_path / "b.jpg")
    assert row.encode_peak_bytes and row.decode_peak_bytes and light.encode_peak_bytes
    assert row.encode_peak_bytes - row.decode_peak_bytes > 150 * MIB
    assert 150 * MIB < row.encode_peak_bytes - light.encode_peak_bytes < 350 * MIB


def test_peak_memory_is_unknown_where_a_child_worked_or_nothing_tells(
    picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("resource")
    row = measure(PillowCodec(decode_child=True), 20, "a.png", picture, tmp_path / "a.jpg")
    assert row.decode_peak_bytes is None
    monkeypatch.setattr(measuring, "_SELF", tmp_path / "no proc")
    row = measure(PillowCodec(), 20, "a.png", picture, tmp_path / "a.jpg")
    assert row.encode_peak_bytes is None and row.decode_peak_bytes is None


def test_a_codec_that_loses_pixels_or_writes_nothing_is_an_error(
    picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = PillowCodec()
    monkeypatch.setattr(codec, "decode", lambda path: picture[:-1])
    with pytest.raises(HeqError, match=r"gave a.png .* back as uint8"):
        measure(codec, 20, "a.png", picture, tmp_path / "a.jpg")
    monkeypatch.setattr(codec, "decode", lambda path: picture.astype(np.float32))
    with pytest.raises(HeqError, match="float32"):
        measure(codec, 20, "a.png", picture, tmp_path / "a.jpg")
    monkeypatch.setattr(codec, "encode", lambda pixels, setting, path: None)
    with pytest.raises(HeqError, match="wrote no file"):
        measure(codec, 20, "a.png", picture, tmp_path / "none.jpg")
