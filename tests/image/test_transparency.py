"""Samples under alpha 0: filled from visible ones, so that they cost little and do not bleed."""

from __future__ import annotations

import heqcodec
import numpy as np
import pytest
from field_files import FIELD, field_data
from heqcodec.image.images import load_image
from heqcodec.image.transparency import MID_GRAY, fill_transparent
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
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


def filled_by_hand(values: list[list[int]], known: list[list[bool]]) -> list[list[int]]:
    """Push-pull in plain integers, one sample at a time; values in 64ths."""
    rows, columns = range(len(values)), range(len(values[0]))
    if all(map(all, known)):
        return values
    small: list[list[int]] = []
    seen: list[list[bool]] = []
    for y in rows[::2]:
        small.append([])
        seen.append([])
        for x in columns[::2]:
            below = [
                values[j][i]
                for j in (y, y + 1)
                for i in (x, x + 1)
                if j in rows and i in columns and known[j][i]
            ]
            small[-1].append((sum(below) + len(below) // 2) // max(len(below), 1))
            seen[-1].append(bool(below))
    small = filled_by_hand(small, seen)

    def between(line: list[int], place: int) -> int:
        own = place // 2
        beside = min(max(own + 2 * (place % 2) - 1, 0), len(line) - 1)
        return (3 * line[own] + line[beside] + 2) >> 2

    across = [[between(column, y) for y in rows] for column in map(list, zip(*small, strict=True))]
    large = [[between([line[y] for line in across], x) for x in columns] for y in rows]
    made = [[values[y][x] if known[y][x] else large[y][x] for x in columns] for y in rows]

    def smoothed(y: int, x: int) -> int:
        near = [(max(y - 1, 0), x), (min(y + 1, rows[-1]), x)]
        near += [(y, max(x - 1, 0)), (y, min(x + 1, columns[-1]))]
        return (sum(made[j][i] for j, i in near) + 2) >> 2

    return [[made[y][x] if known[y][x] else smoothed(y, x) for x in columns] for y in rows]


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_every_sample_is_that_of_plain_integers(share: float) -> None:
    random = np.random.default_rng(8)
    pixels = random.integers(0, 256, (53, 70, 1), dtype=np.uint8)
    alpha = (random.random((53, 70)) < share).astype(np.uint8)
    wide = filled_by_hand((pixels[..., 0].astype(int) * 64).tolist(), (alpha > 0).tolist())
    expected = (np.array(wide) + 32) >> 6
    assert np.array_equal(fill_transparent(pixels, alpha)[..., 0], expected)


@settings(deadline=None, max_examples=most(60))
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
