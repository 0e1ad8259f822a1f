"""Lower thresholds in calm patches: `tune` of the quantizer, in numpy and in C."""

from __future__ import annotations

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.image.patches import split_patches
from heqcodec.models.registry import load_rate_encoder
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.quantizer import choose_transform_sizes
from heqcodec.nqe_r.relief import LIMITS, NO_RELIEF, OFFSET, Relief, relief_at
from small_models import photograph

TUNES = ("psnr", "ssim", "texture")


def test_closed_form() -> None:
    costs = np.array([0, 10, 36, 40, 47, 48, 83, 84, 5000], dtype=np.int32)
    # Limits of 100, 50 and 25 for the costs plus 16.
    assert Relief(100, 0).of_costs(costs).tolist() == [3, 2, 1, 1, 1, 1, 1, 0, 0]
    assert Relief(100, 2).of_costs(costs).tolist() == [12, 8, 4, 4, 4, 4, 4, 0, 0]
    assert not NO_RELIEF.of_costs(costs).any()


def test_by_step_and_tune() -> None:
    assert relief_at(300, "psnr") == NO_RELIEF
    assert [relief_at(127 + 128 * octave, "ssim") for octave in range(8)] == [
        Relief(limit, 1) for limit in LIMITS
    ]
    assert relief_at(128, "texture") == Relief(LIMITS[1], 2)
    with pytest.raises(ValueError, match="tune is psnr, ssim or texture, not film"):
        relief_at(0, "film")  # type: ignore[arg-type]


def pixels() -> np.ndarray:
    """Patches of a photograph, calm and busy."""
    return split_patches(photograph()[:192, :256])


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("step", [150, 500, 800])
@pytest.mark.parametrize("planes", [1, 3])
def test_c_is_numpy(tune: str, step: int, planes: int) -> None:
    if native_extension() is None:
        pytest.skip("heqcodec was installed without its C extension")
    encoder = load_rate_encoder("nqe-r")
    assert isinstance(encoder, RateNqe)
    given = encoder.coefficients(pixels()[..., :planes])
    compiled = encoder.levels(given, step, tune)  # type: ignore[arg-type]
    wide = encoder.levels(given.astype(np.int64), step, tune)  # type: ignore[arg-type]
    for one, other in zip(compiled, wide, strict=True):
        np.testing.assert_array_equal(one, other)


def test_calm_patches_keep_more_levels_and_others_the_same() -> None:
    encoder = load_rate_encoder("nqe-r")
    assert isinstance(encoder, RateNqe)
    given = encoder.coefficients(pixels())
    step = 500
    psnr, ssim, texture = (
        (encoder.levels(given, step, tune)[0] != 0).sum(axis=(1, 2))  # type: ignore[arg-type]
        for tune in TUNES
    )
    _, costs = choose_transform_sizes(given, encoder.integer_steps(step))
    calm = costs + OFFSET < LIMITS[step // 128]
    assert 5 < calm.sum() < len(calm) - 5
    np.testing.assert_array_equal(ssim[~calm], psnr[~calm])
    assert (psnr <= ssim).all() and (ssim <= texture).all()
    assert psnr[calm].sum() * 1.1 < ssim[calm].sum() < texture[calm].sum()


def test_files_of_each_tune_are_read_alike_and_patch_mode_has_none() -> None:
    image = photograph()[:64, :96]
    sizes = [len(heqcodec.encode(image, quality=40, tune=tune)) for tune in TUNES]  # type: ignore[arg-type]
    assert sizes[1] < sizes[2]
    file = heqcodec.encode(image, quality=40, tune="texture")
    assert heqcodec.unpack(heqcodec.pack(file)) == file
    with pytest.raises(HeqError, match=r"tune='ssim' belongs to the variable-rate mode"):
        heqcodec.encode(image, mode="patch", tune="ssim")
    with pytest.raises(HeqError, match="The tune 'film' is not known; choose one of"):
        heqcodec.encode(image, tune="film")  # type: ignore[arg-type]
