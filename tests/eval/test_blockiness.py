"""Blockiness against closed forms and loops over all pairs of neighbours."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval import blockiness, metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from PIL import Image

IMAGES = st.tuples(
    st.integers(1, 40), st.integers(9, 70), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1)
)


def squared_steps(levels: np.ndarray, block: int) -> tuple[list[float], list[float]]:
    """Squared steps of all neighbours, pair by pair: those across borders, and the others."""
    height, width = levels.shape
    border: list[float] = []
    inside: list[float] = []
    for y in range(height):
        for x in range(width):
            for v, u in ((y, x + 1), (y + 1, x)):
                if v < height and u < width:
                    same = (y // block, x // block) == (v // block, u // block)
                    (inside if same else border).append((levels[v, u] - levels[y, x]) ** 2)
    return border, inside


@settings(deadline=None, max_examples=most(40))
@given(IMAGES, st.sampled_from([2, 8, 32]), st.integers(0, 60))
def test_bef_is_the_formula_of_the_paper_pair_by_pair(
    image: tuple[int, int, int, int], block: int, jump: int
) -> None:
    height, width, channels, seed = image
    pixels = np.random.default_rng(seed).integers(0, 100, (height, width, channels), np.uint8)
    tiles = (np.arange(height)[:, None] // block + np.arange(width) // block) % 2
    pixels = (pixels + jump * tiles[:, :, None]).astype(np.uint8)
    weights = [0.299, 0.587, 0.114] if channels == 3 else [1.0]
    border, inside = squared_steps(pixels.astype(float) @ weights, block)
    expected = 0.0
    if border and np.mean(border) > np.mean(inside):
        side = min(height, width)
        eta = math.log2(block) / math.log2(side) if side > block else 1.0
        expected = eta * (np.mean(border) - np.mean(inside))
    assert blockiness.blocking_effect_factor(pixels, block) == pytest.approx(expected, rel=1e-9)


def test_bef_of_flat_blocks_with_known_steps() -> None:
    # Flat blocks of 8, each border steps by 10: D_B = 100, D_B^C = 0, eta = 3 / 6.
    checks = np.indices((8, 8)).sum(0) % 2
    image = np.kron(10 * checks, np.ones((8, 8), int)).astype(np.uint8)
    assert blockiness.blocking_effect_factor(image, 8) == pytest.approx(50.0)
    # On the grid of 32 the border steps are among many others, and as large as these at most.
    assert blockiness.blocking_effect_factor(image, 32) == pytest.approx(
        5 / 6 * (100 - 100 * (2 * 7 * 64 - 2 * 64) / (2 * 63 * 64 - 2 * 64))
    )


def test_bef_is_nothing_without_borders_and_where_borders_step_less() -> None:
    assert blockiness.blocking_effect_factor(np.full((64, 64, 3), 9, np.uint8), 8) == 0.0
    stripes = np.tile(np.array([0, 200], np.uint8), (8, 4))
    assert blockiness.blocking_effect_factor(stripes, 8) == 0.0
    # Steps of 2 inside blocks of 8, none across their borders.
    row = np.concatenate([2 * (np.arange(8) + 7 * k) for k in range(4)]).astype(np.uint8)
    assert blockiness.blocking_effect_factor(np.tile(row, (8, 1)), 8) == 0.0


def test_psnr_b_adds_the_bef_to_the_squared_error() -> None:
    original = np.full((64, 64), 100, np.uint8)
    checks = np.indices((8, 8)).sum(0) % 2
    decoded = (original + np.kron(10 * checks, np.ones((8, 8), int))).astype(np.uint8)
    # Half of the pixels differ by 10, MSE 50; BEF 50 as above.
    assert blockiness.psnr_b(original, decoded, 8) == pytest.approx(10 * math.log10(255**2 / 100))
    assert blockiness.psnr_b(original, original, 8) == math.inf
    assert blockiness.psnr_b(decoded, decoded, 8) == pytest.approx(10 * math.log10(255**2 / 50))


def test_psnr_b_is_psnr_for_noise_and_falls_with_the_blocks_of_jpeg(
    photograph: np.ndarray, noisy: np.ndarray
) -> None:
    luma = metrics.psnr_luma(photograph, noisy)
    # Neither the photograph nor noise knows the grid; sampling alone leaves some BEF.
    assert luma - 0.5 < blockiness.psnr_b(photograph, noisy, 8) <= luma
    factors = []
    for quality in (5, 10, 30, 80):
        file = io.BytesIO()
        Image.fromarray(photograph).save(file, "jpeg", quality=quality)
        decoded = np.asarray(Image.open(file))
        luma = metrics.psnr_luma(photograph, decoded)
        assert blockiness.psnr_b(photograph, decoded, 8) < luma - 1
        factors.append(blockiness.blocking_effect_factor(decoded, 8))
    assert factors == sorted(factors, reverse=True)
    assert factors[0] > 5 * factors[-1]


def test_psnr_b_agrees_with_one_built_on_scikit_image(photograph: np.ndarray) -> None:
    """Luma by scikit-image, steps by its view of an image as blocks."""
    from skimage.color import rgb2yuv
    from skimage.util import view_as_blocks

    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "jpeg", quality=10)
    decoded = np.asarray(Image.open(file))
    a, b = (rgb2yuv(image.astype(np.float64))[:, :, 0] for image in (photograph, decoded))
    blocks = view_as_blocks(b, (8, 8))
    across = np.concatenate([
        np.square(blocks[:, 1:, :, 0] - blocks[:, :-1, :, -1]).ravel(),
        np.square(blocks[1:, :, 0, :] - blocks[:-1, :, -1, :]).ravel(),
    ])  # fmt: skip
    inside = np.concatenate([
        np.square(np.diff(blocks, axis=2)).ravel(), np.square(np.diff(blocks, axis=3)).ravel()
    ])  # fmt: skip
    bef = 3 / 9 * (across.mean() - inside.mean())
    expected = 10 * math.log10(255**2 / (np.square(a - b).mean() + bef))
    assert blockiness.psnr_b(photograph, decoded, 8) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=most(30))
@given(
    width=st.integers(33, 80),
    patch=st.sampled_from([8, 16, 32]),
    slope=st.integers(1, 3),
)
def test_a_ramp_steps_alike_on_borders_and_elsewhere(width: int, patch: int, slope: int) -> None:
    row = (slope * np.arange(width)).astype(np.uint8)
    assert blockiness.border_step_ratio(row[None, :], patch) == 1.0
    assert blockiness.border_step_ratio(row[:, None], patch) == 1.0


@settings(deadline=None, max_examples=most(30))
@given(st.integers(1, 70), st.integers(33, 70), st.sampled_from([8, 32]), st.integers(0, 2**32 - 1))
def test_border_step_ratio_agrees_with_a_loop_over_pairs(
    height: int, width: int, patch: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    plain = image.astype(int)
    border: list[np.ndarray] = []
    inside: list[np.ndarray] = []
    for y in range(height):
        for x in range(width):
            for v, u in ((y, x + 1), (y + 1, x)):
                if v < height and u < width:
                    same = (y // patch, x // patch) == (v // patch, u // patch)
                    (inside if same else border).append(abs(plain[v, u] - plain[y, x]))
    expected = np.mean(border) / np.mean(inside)
    assert blockiness.border_step_ratio(image, patch) == pytest.approx(expected, rel=1e-12)


def test_border_step_ratio_of_a_ramp_with_a_known_jump() -> None:
    # 64 pixels, steps of 1, the one border step (31 to 32) is 5.
    row = np.arange(64) + 4 * (np.arange(64) >= 32)
    image = row.astype(np.uint8)
    assert blockiness.border_step_ratio(image[None, :]) == 5.0
    assert blockiness.border_step_ratio(image[:, None]) == 5.0
    assert blockiness.border_step_ratio(image[None, :], patch=16) == pytest.approx((1 + 5 + 1) / 3)


def test_border_step_ratio_of_flat_and_blocky_images() -> None:
    assert blockiness.border_step_ratio(np.full((64, 64, 3), 7, np.uint8)) == 1.0
    blocks = np.kron(np.array([[0, 50], [50, 0]]), np.ones((32, 32))).astype(np.uint8)
    assert blockiness.border_step_ratio(blocks) == math.inf
    with pytest.raises(HeqError, match="within one patch"):
        blockiness.border_step_ratio(blocks[:32, :32])


def test_relative_ratio_sees_a_grid_and_ignores_noise(
    photograph: np.ndarray, noisy: np.ndarray
) -> None:
    assert blockiness.relative_border_step_ratio(photograph, photograph) == 1.0
    assert blockiness.relative_border_step_ratio(photograph, noisy) == pytest.approx(1.0, abs=0.05)
    checks = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((32, 32), int))[:, :, None]
    gridded = np.clip(photograph + 16 * checks, 0, 255).astype(np.uint8)
    assert blockiness.relative_border_step_ratio(photograph, gridded) > 1.5
