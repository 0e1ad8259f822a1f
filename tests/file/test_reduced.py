"""Thumbnails without the network: means of the plain inverse, in files and through Pillow."""

from __future__ import annotations

import io

import heqcodec
import numpy as np
import pytest
from heqcodec.container.header import HEADER_LENGTH
from heqcodec.file.reduced import SCALES, decode_reduced
from heqcodec.models import registry
from PIL import Image
from small_models import photograph

RNG = np.random.default_rng(41)
PHOTO = photograph()[60:287, 100:371]
FILE = heqcodec.encode(PHOTO, quality=50, strip_rows=2)


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - two.astype(float)) ** 2)))


def reduced(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Means of squares, in whole levels."""
    return np.asarray(Image.fromarray(pixels).reduce(scale))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(registry, "load_rate_decoder", refuse)


@pytest.mark.parametrize("scale", [*SCALES, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sample_is_the_mean_of_those_of_the_plain_inverse(scale: int, channels: int) -> None:
    plain = registry.load_dequantizer("nqe-r")
    levels = RNG.integers(-9, 10, (6, channels, 1024)).astype(np.int16)
    transform_sizes = np.array([0, 1, 0, 1, 1, 0], np.uint8)
    whole = plain.pixels(levels, transform_sizes, 500)
    side = 32 // scale
    means = whole.reshape(6, 3, side, scale, side, scale).mean(axis=(3, 5))
    assert np.abs(plain.pixels(levels, transform_sizes, 500, scale) - means).max() < 0.01
    assert np.abs(means).max() > 100


@pytest.mark.parametrize("coder", ["device", "packed"])
@pytest.mark.parametrize(("scale", "least"), [(2, 38), (4, 42), (8, 46)])
@pytest.mark.usefixtures("no_network")
def test_a_photograph(coder: str, scale: int, least: float) -> None:
    file = FILE if coder == "device" else heqcodec.pack(FILE)
    found = decode_reduced(file, scale)
    assert found.shape == (-(-227 // scale), -(-271 // scale), 3) and found.dtype == np.uint8
    assert psnr(found[:-1, :-1], reduced(PHOTO, scale)[:-1, :-1]) > least


@pytest.mark.usefixtures("no_network")
def test_gray_alpha_and_gray_as_rgb() -> None:
    gray, alpha = PHOTO[..., 1], RNG.integers(0, 256, PHOTO.shape[:2], np.uint8)
    expected = decode_reduced(heqcodec.encode(gray, quality=60), 4)
    assert expected.shape == (57, 68, 1)
    as_rgb = decode_reduced(heqcodec.encode(np.dstack([gray] * 3), quality=60), 4)
    assert np.array_equal(as_rgb, np.repeat(expected, 3, axis=2))
    with_alpha = decode_reduced(heqcodec.encode(np.dstack([PHOTO, alpha]), quality=50), 4)
    assert np.array_equal(with_alpha[..., 3], reduced(alpha, 4))


def test_a_damaged_strip_costs_itself() -> None:
    damaged = bytearray(FILE)
    damaged[HEADER_LENGTH + 100] ^= 1
    with pytest.raises(heqcodec.HeqChecksumError, match="Strip 0"):
        decode_reduced(damaged, 4)
    whole, partial = decode_reduced(FILE, 4), decode_reduced(damaged, 4, partial=True)
    rows = np.flatnonzero((whole != partial).any(axis=(1, 2)))
    assert rows.max() < 2 * 32 // 4  # two rows of patches a strip
    assert np.array_equal(partial[:16], np.repeat(whole[16:17], 16, axis=0))


class TestPillow:
    @pytest.mark.usefixtures("no_network")
    def test_thumbnail(self) -> None:
        expected = Image.fromarray(PHOTO)
        expected.thumbnail((50, 50))
        image = Image.open(io.BytesIO(FILE))
        image.thumbnail((50, 50))
        assert (image.size, image.mode) == (expected.size, "RGB")
        assert psnr(np.asarray(image), np.asarray(expected)) > 45

    @pytest.mark.parametrize(
        ("size", "scale"),
        [
            ((271, 227), 1),
            ((136, 114), 1),
            ((135, 113), 2),
            ((135, 1), 2),
            ((60, 56), 4),
            ((1, 1), 8),
        ],
    )
    def test_draft_is_not_smaller_than_asked_for(self, size: tuple[int, int], scale: int) -> None:
        image = Image.open(io.BytesIO(FILE))
        drafted = image.draft(None, size)
        if scale == 1:
            assert drafted is None and image.size == (271, 227)
            return
        assert drafted == ("RGB", (0, 0, 271 / scale, 227 / scale))
        assert image.size == (-(-271 // scale), -(-227 // scale))
        assert image.draft(None, (1, 1)) is None
        assert np.array_equal(np.asarray(image), decode_reduced(FILE, scale))

    def test_draft_changes_nothing_after_loading_or_in_patch_mode(self) -> None:
        image = Image.open(io.BytesIO(heqcodec.encode(PHOTO[:64, :64], mode="patch")))
        assert image.draft(None, (8, 8)) is None and image.size == (64, 64)
        image = Image.open(io.BytesIO(FILE))
        image.load()
        assert image.draft("RGB", (8, 8)) is None and image.size == (271, 227)
        assert Image.open(io.BytesIO(FILE)).draft("L", None) is None
