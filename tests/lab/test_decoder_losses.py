"""What decoders learn by: squared error, decibels, and a loss for SSIMULACRA2."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from heqcodec.lab.comparison.tune import similarity
from heqcodec.lab.training.ssimulacra2_loss import ssimulacra2_distance, ssimulacra2_loss
from heqcodec.lab.training.tasks import (
    DECIBEL_FLOOR,
    PIXEL_FLOOR,
    correction_loss,
    decibel_loss,
)
from PIL import Image
from small_models import photograph


def crops_off_by(*errors: float) -> torch.Tensor:
    """Crops of mid-grey and these errors, float32 (B, 3, 64, 64)."""
    return 0.5 + torch.tensor(errors)[:, None, None, None].expand(-1, 3, 64, 64)


def test_losses_of_crops_in_closed_form() -> None:
    target, base = crops_off_by(0, 0), crops_off_by(0.2, 0.1)
    frame = crops_off_by(0.1, 0.1)
    weighed = (0.01 / (0.04 + PIXEL_FLOOR) ** 0.5 + 0.01 / (0.01 + PIXEL_FLOOR) ** 0.5) / 2
    assert float(correction_loss(frame, base, target, 0)) == pytest.approx(weighed)
    share = (0.01 + DECIBEL_FLOOR) / (0.04 + DECIBEL_FLOOR)
    assert float(decibel_loss(frame, base, target, 0)) == pytest.approx(math.log(share) / 2)


def test_decibels_of_easy_crops_count_as_those_of_hard_ones() -> None:
    target = crops_off_by(0)

    def gained(plain: float) -> float:
        return float(decibel_loss(crops_off_by(plain / 2), crops_off_by(plain), target, 0))

    assert gained(0.05) == pytest.approx(gained(0.2), rel=0.02)
    assert gained(0.0005) > 0.05 * gained(0.2)  # far above the floor nothing is gained any more


@pytest.mark.parametrize("quality", [10, 30, 70, 95])
def test_the_distance_is_what_ssimulacra2_lacks_to_100(quality: int) -> None:
    pytest.importorskip("ssimulacra2")
    image, data = photograph()[:256, :320], io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(data))
    frame, target = (
        torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255 for pixels in (decoded, image)
    )
    wanted = 100 - similarity(image, decoded)
    assert float(ssimulacra2_distance(frame, target)) == pytest.approx(wanted, abs=0.05)


def test_what_is_equal_has_no_distance_and_a_finite_gradient() -> None:
    frame = torch.from_numpy(photograph()[:192, :192].copy()).permute(2, 0, 1)[None] / 255
    frame.requires_grad_()
    ssimulacra2_distance(frame, frame.detach()).sum().backward()
    assert frame.grad is not None and frame.grad.isfinite().all()


def test_the_loss_prefers_what_is_alike_and_sees_a_shift() -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.from_numpy(photograph()[:192, :192].copy()).permute(2, 0, 1)[None] / 255
    noise = torch.randn(target.shape, generator=generator)
    near, far = target + 0.01 * noise, target + 0.05 * noise

    def loss(frame: torch.Tensor) -> float:
        return float(ssimulacra2_loss(frame, target, (frame - target).square().mean().sqrt()))

    assert loss(target) < loss(near) < loss(far)
    assert loss(target) < loss(target + 0.1)
