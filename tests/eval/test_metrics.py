"""PSNR and MS-SSIM against closed forms, scikit-image and pytorch-msssim."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval import metrics, similarity
from PIL import Image
from slow_cases import slow

DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[2] / "../shared/data"))


@pytest.fixture(scope="module")
def kodak() -> np.ndarray:
    """A corner of one of the photographs that the suite reports on."""
    file = DATA / "kodak" / "kodim05.png"
    if not file.is_file():
        pytest.skip(f"{file.name} is not there; set HEQCODEC_DATA")
    return np.asarray(Image.open(file))[:256, :256]


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


def test_psnr_luma_of_a_constant_difference_follows_the_weights() -> None:
    a = np.zeros((4, 6, 3), np.uint8)
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        b = a.copy()
        b[:, :, channel] = 40
        expected = 20 * math.log10(255 / (weight * 40))
        assert metrics.psnr_luma(a, b) == pytest.approx(expected)
    assert metrics.psnr_luma(a, a) == math.inf
    # 0.587 G less 0.299 R: colours can differ where luma hardly does.
    a[..., 0], b[..., 1] = 200, 102
    b[..., 2] = 0
    assert metrics.psnr_luma(a, b) > metrics.psnr(a, b) + 40


def test_psnr_luma_agrees_with_scikit_image(photograph: np.ndarray, noisy: np.ndarray) -> None:
    from skimage.color import rgb2yuv
    from skimage.metrics import peak_signal_noise_ratio

    a, b = (rgb2yuv(image.astype(np.float64))[:, :, 0] for image in (photograph, noisy))
    expected = peak_signal_noise_ratio(a, b, data_range=255)
    assert metrics.psnr_luma(photograph, noisy) == pytest.approx(expected, abs=1e-6)
    grey = metrics.psnr_luma(photograph[:, :, 0], noisy[:, :, 0])
    assert grey == metrics.psnr(photograph[:, :, 0], noisy[:, :, 0])


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
    # 16: odd ones are padded with zeros, which are structure.
    a, b = 100.0, 140.0
    c1 = (0.01 * 255) ** 2
    expected = ((2 * a * b + c1) / (a * a + b * b + c1)) ** 0.1333
    flat = [np.full((192, 176, 3), int(v), np.uint8) for v in (a, b)]
    assert metrics.ms_ssim(*flat) == pytest.approx(expected, rel=1e-9)


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


@pytest.mark.parametrize(
    "shape", [(176, 192, 3), slow((512, 511, 3)), (163, 301, 1), (161, 161, 3)]
)
def test_ms_ssim_agrees_with_pytorch_msssim_at_odd_sizes(
    photograph: np.ndarray,
    noisy: np.ndarray,
    shape: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    from pytorch_msssim import ms_ssim
    from pytorch_msssim.ssim import _fspecial_gauss_1d

    pair = [image[: shape[0], : shape[1], : shape[2]] for image in (photograph, noisy)]
    planes = [torch.tensor(image).permute(2, 0, 1)[None].double() for image in pair]
    expected = float(ms_ssim(*planes, data_range=255))
    assert 0.3 < expected < 0.999
    assert metrics.ms_ssim(*pair) == pytest.approx(expected, abs=1e-5)
    rounded = _fspecial_gauss_1d(11, 1.5).double().numpy().reshape(-1)
    monkeypatch.setattr(similarity, "gaussian_window", lambda: rounded)
    assert metrics.ms_ssim(*pair) == pytest.approx(expected, abs=1e-9)


@pytest.mark.data
def test_ms_ssim_agrees_with_pytorch_msssim_on_a_real_image(kodak: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    from pytorch_msssim import ms_ssim

    file = io.BytesIO()
    Image.fromarray(kodak).save(file, "jpeg", quality=20)
    decoded = np.asarray(Image.open(file))
    planes = [torch.tensor(image).permute(2, 0, 1)[None].float() for image in (kodak, decoded)]
    expected = float(ms_ssim(*planes, data_range=255))
    assert 0.9 < expected < 1
    assert metrics.ms_ssim(kodak, decoded) == pytest.approx(expected, abs=1e-5)


@pytest.mark.data
def test_psnr_agrees_with_scikit_image_on_a_real_image(kodak: np.ndarray) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    file = io.BytesIO()
    Image.fromarray(kodak).save(file, "jpeg", quality=20)
    decoded = np.asarray(Image.open(file))
    assert metrics.psnr(kodak, decoded) == pytest.approx(
        peak_signal_noise_ratio(kodak, decoded), abs=1e-9
    )


def test_ms_ssim_refuses_images_too_small_for_five_scales() -> None:
    image = np.zeros((metrics.MS_SSIM_MIN_SIDE - 1, 400, 3), np.uint8)
    with pytest.raises(HeqError, match="at least 161 pixels"):
        metrics.ms_ssim(image, image)
    image = np.zeros((metrics.MS_SSIM_MIN_SIDE, metrics.MS_SSIM_MIN_SIDE), np.uint8)
    assert metrics.ms_ssim(image, image) == 1.0


def test_ms_ssim_db() -> None:
    assert metrics.ms_ssim_db(0.99) == pytest.approx(20.0)
    assert metrics.ms_ssim_db(1.0) == math.inf
    with pytest.raises(HeqError):
        metrics.ms_ssim_db(1.01)


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
    for call in (metrics.psnr, metrics.psnr_luma, metrics.ms_ssim):
        with pytest.raises(HeqError):
            call(image, image)


def test_a_pair_must_have_one_shape() -> None:
    with pytest.raises(HeqError, match="differ in shape"):
        metrics.psnr(np.zeros((40, 41, 3), np.uint8), np.zeros((41, 40, 3), np.uint8))
