"""PSNR, MS-SSIM and blockiness against closed forms and against scikit-image."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np
import pytest
from heqcodec.errors import HeqError
from heqcodec.eval import metrics
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture(scope="module")
def noisy(photograph: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0.0, 12.0, photograph.shape)
    return np.clip(np.rint(photograph + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("step", [1, 2, 17, 255])
def test_psnr_of_a_constant_difference_is_20_log_255_over_it(step: int) -> None:
    a = np.zeros((5, 9, 3), np.uint8)
    assert metrics.psnr(a, a + np.uint8(step)) == pytest.approx(20 * math.log10(255 / step))


def test_psnr_averages_the_squared_error_over_channels() -> None:
    a = np.zeros((4, 4, 3), np.uint8)
    b = a.copy()
    b[:, :, 1] = 30
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(255**2 / (30**2 / 3)))


def test_psnr_is_symmetric_and_does_not_wrap_around() -> None:
    low, high = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert metrics.psnr(low, high) == metrics.psnr(high, low) == 0.0
    assert metrics.psnr(high, high) == math.inf


def test_psnr_agrees_with_scikit_image(photograph: np.ndarray, noisy: np.ndarray) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    expected = peak_signal_noise_ratio(photograph, noisy)
    assert metrics.psnr(photograph, noisy) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_is_one_for_equal_images_and_falls_with_noise(
    photograph: np.ndarray, noisy: np.ndarray
) -> None:
    stronger = np.clip(2 * noisy.astype(int) - photograph, 0, 255).astype(np.uint8)
    values = [metrics.ms_ssim(photograph, other) for other in (photograph, noisy, stronger)]
    assert values[0] == 1.0
    assert 1.0 > values[1] > values[2] > 0.0


def test_ms_ssim_of_flat_images_is_the_luminance_term() -> None:
    # Contrast and structure of two flat images are exactly 1 at each scale, so what is left is
    # the luminance term at the coarsest scale with its exponent 0.1333. Sides are multiples of
    # 16: pytorch-msssim pads odd ones with zeros, which are structure. Its window is float32
    # and sums to 1 within 1e-6, hence the tolerance.
    a, b = 100.0, 140.0
    c1 = (0.01 * 255) ** 2
    expected = ((2 * a * b + c1) / (a * a + b * b + c1)) ** 0.1333
    flat = [np.full((192, 176, 3), int(v), np.uint8) for v in (a, b)]
    assert metrics.ms_ssim(*flat) == pytest.approx(expected, rel=1e-5)


def test_ms_ssim_agrees_with_one_built_on_scikit_image(
    photograph: np.ndarray, noisy: np.ndarray
) -> None:
    """Wang's product of scales, its SSIM maps from scikit-image, on the grey photographs."""
    from skimage.metrics import structural_similarity

    def maps(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        options: dict[str, Any] = {
            "data_range": 255, "gaussian_weights": True, "sigma": 1.5,
            "use_sample_covariance": False, "full": True,
        }  # fmt: skip
        _, ssim = structural_similarity(a, b, **options)
        # A huge K1 makes the luminance term 1 and leaves contrast times structure.
        _, contrast = structural_similarity(a, b, K1=1e6, **options)
        return float(ssim[5:-5, 5:-5].mean()), float(contrast[5:-5, 5:-5].mean())

    a, b = (image[:, :, 1].astype(np.float64) for image in (photograph, noisy))
    expected = 1.0
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        ssim, contrast = maps(a, b)
        expected *= (ssim if scale == len(weights) - 1 else contrast) ** weight
        a, b = (x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3)) for x in (a, b))
    value = metrics.ms_ssim(photograph[:, :, 1], noisy[:, :, 1])
    assert value == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_refuses_images_too_small_for_five_scales() -> None:
    image = np.zeros((metrics.MS_SSIM_MIN_SIDE - 1, 400, 3), np.uint8)
    with pytest.raises(HeqError, match="at least 161 pixels"):
        metrics.ms_ssim(image, image)
    image = np.zeros((metrics.MS_SSIM_MIN_SIDE, metrics.MS_SSIM_MIN_SIDE), np.uint8)
    assert metrics.ms_ssim(image, image) == 1.0


def test_ms_ssim_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_msssim(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pytorch_msssim":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_msssim)
    image = np.zeros((200, 200, 3), np.uint8)
    with pytest.raises(HeqError, match="pytorch-msssim"):
        metrics.ms_ssim(image, image)


def test_ms_ssim_db() -> None:
    assert metrics.ms_ssim_db(0.99) == pytest.approx(20.0)
    assert metrics.ms_ssim_db(1.0) == math.inf
    with pytest.raises(HeqError):
        metrics.ms_ssim_db(1.01)


@settings(deadline=None, max_examples=30)
@given(
    width=st.integers(33, 80),
    patch=st.sampled_from([8, 16, 32]),
    slope=st.integers(1, 3),
)
def test_a_ramp_steps_alike_on_borders_and_elsewhere(width: int, patch: int, slope: int) -> None:
    row = (slope * np.arange(width)).astype(np.uint8)
    assert metrics.border_step_ratio(row[None, :], patch) == 1.0
    assert metrics.border_step_ratio(row[:, None], patch) == 1.0


@settings(deadline=None, max_examples=30)
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
    assert metrics.border_step_ratio(image, patch) == pytest.approx(expected, rel=1e-12)


def test_border_step_ratio_of_a_ramp_with_a_known_jump() -> None:
    # 64 pixels, steps of 1, the one border step (31 to 32) is 5.
    row = np.arange(64) + 4 * (np.arange(64) >= 32)
    image = row.astype(np.uint8)
    assert metrics.border_step_ratio(image[None, :]) == 5.0
    assert metrics.border_step_ratio(image[:, None]) == 5.0
    assert metrics.border_step_ratio(image[None, :], patch=16) == pytest.approx((1 + 5 + 1) / 3)


def test_border_step_ratio_of_flat_and_blocky_images() -> None:
    assert metrics.border_step_ratio(np.full((64, 64, 3), 7, np.uint8)) == 1.0
    blocks = np.kron(np.array([[0, 50], [50, 0]]), np.ones((32, 32))).astype(np.uint8)
    assert metrics.border_step_ratio(blocks) == math.inf
    with pytest.raises(HeqError, match="within one patch"):
        metrics.border_step_ratio(blocks[:32, :32])


def test_relative_ratio_sees_a_grid_and_ignores_noise(
    photograph: np.ndarray, noisy: np.ndarray
) -> None:
    assert metrics.relative_border_step_ratio(photograph, photograph) == 1.0
    assert metrics.relative_border_step_ratio(photograph, noisy) == pytest.approx(1.0, abs=0.05)
    checks = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((32, 32), int))[:, :, None]
    gridded = np.clip(photograph + 16 * checks, 0, 255).astype(np.uint8)
    assert metrics.relative_border_step_ratio(photograph, gridded) > 1.5


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((40, 40, 3), np.float32),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40,), np.uint8),
        np.zeros((0, 40, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    for call in (metrics.psnr, metrics.ms_ssim, metrics.relative_border_step_ratio):
        with pytest.raises(HeqError):
            call(image, image)


def test_a_pair_must_have_one_shape() -> None:
    with pytest.raises(HeqError, match="differ in shape"):
        metrics.psnr(np.zeros((40, 41, 3), np.uint8), np.zeros((41, 40, 3), np.uint8))
