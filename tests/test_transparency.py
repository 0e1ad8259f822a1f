"""Samples under alpha 0: filled from visible ones, so that they cost little and do not bleed."""

from __future__ import annotations

import heqcodec
import numpy as np
import pytest
from field_files import FIELD, field_data
from heqcodec.images import load_image
from heqcodec.transparency import MID_GRAY, fill_transparent
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

PHOTO = data.astronaut()[:200, 100:330]


def disc(height: int, width: int) -> np.ndarray:
    """Alpha of a disc with a soft edge."""
    y, x = np.mgrid[:height, :width]
    return np.clip(60 * (70 - np.hypot(y - height / 2, x - width / 2)), 0, 255).astype(np.uint8)


def test_a_row_by_hand() -> None:
    """Means 100 and 200 below; interpolated 125 and 175; smoothed with what is beside."""
    row = np.array([[[100], [0], [0], [200]]], np.uint8)
    alpha = np.array([[1, 0, 0, 255]], np.uint8)
    assert fill_transparent(row, alpha)[0, :, 0].tolist() == [100, 131, 169, 200]
    column = fill_transparent(row.swapaxes(0, 1), alpha.T)
    assert column[:, 0, 0].tolist() == [100, 131, 169, 200]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_visible_samples_stay_and_others_lie_between(
    height: int, width: int, channels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    alpha = random.integers(0, 3, (height, width), dtype=np.uint8)
    filled = fill_transparent(pixels, alpha)
    visible = alpha > 0
    assert filled.dtype == np.uint8 and filled.shape == pixels.shape
    assert np.array_equal(filled[visible], pixels[visible])
    if not visible.any():
        assert (filled == MID_GRAY).all()
        return
    for channel in range(channels):
        seen = pixels[..., channel][visible]
        assert seen.min() <= filled[..., channel].min() <= filled[..., channel].max() <= seen.max()
    hidden = pixels.copy()
    hidden[~visible] = 255 - hidden[~visible]
    assert np.array_equal(fill_transparent(hidden, alpha), filled)


def test_a_hole_in_a_slope_is_filled_with_the_slope() -> None:
    slope = np.tile(np.arange(40, 232, 2, dtype=np.uint8)[:, None], (1, 96))[..., None]
    alpha = np.full(slope.shape[:2], 255, np.uint8)
    alpha[30:60, 25:70] = 0
    filled = fill_transparent(slope, alpha).astype(int)
    assert np.abs(filled - slope)[alpha == 0].max() <= 12
    assert np.abs(filled - slope)[alpha == 0].mean() < 3


def test_nothing_is_copied_where_all_is_visible() -> None:
    assert fill_transparent(PHOTO, np.ones(PHOTO.shape[:2], np.uint8)) is PHOTO


@pytest.mark.parametrize("mode", ["rate", "patch"])
def test_hidden_colours_change_no_byte_of_the_file(mode: str) -> None:
    alpha = disc(*PHOTO.shape[:2])
    files = []
    for colour in (None, (255, 0, 255), (0, 0, 0)):
        image = PHOTO.copy()
        if colour:
            image[alpha == 0] = colour
        files.append(heqcodec.encode(np.dstack([image, alpha]), mode=mode))
    assert files[0] == files[1] == files[2]
    assert np.array_equal(heqcodec.decode(files[0])[..., 3], alpha)


def test_a_gray_image_with_hidden_colours_is_gray() -> None:
    alpha = disc(*PHOTO.shape[:2])
    image = np.repeat(PHOTO[..., 1:2], 3, axis=2)
    image[alpha == 0] = (255, 0, 255)
    assert heqcodec.info(heqcodec.encode(np.dstack([image, alpha])))["coded_channels"] == 1


class TestFieldFile:
    pytestmark = field_data

    def test_magenta_neither_costs_nor_bleeds(self) -> None:
        image = load_image(FIELD / "alpha-hidden-magenta.png")
        assert image.alpha is not None
        visible = image.alpha > 0
        assert (image.pixels[~visible] == (255, 0, 255)).all()
        file = heqcodec.encode(image)
        decoded = heqcodec.decode(file)
        error = (decoded[..., :3].astype(int) - image.pixels)[visible]
        # With the magenta coded: 1,500 bytes, 123 levels off at the edge, 31.9 dB.
        assert len(file) < 600
        assert np.abs(error).max() < 25
        assert 10 * np.log10(255**2 / np.mean(error.astype(float) ** 2)) > 42
        assert np.array_equal(decoded[..., 3], image.alpha)
