"""The guard: decoded patches keep to what their file can describe."""

from __future__ import annotations

import heqcodec
import numpy as np
import pytest
from heqcodec.base.constants import PATCH
from heqcodec.eval.metrics import psnr
from heqcodec.image.patches import split_patches
from heqcodec.models.manifest import encoder_tensors
from heqcodec.nqe_r.bounds import LevelBounds, exact_coefficients
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.purenet import guard
from heqcodec.purenet.dequantizer import Dequantizer, default_places
from heqcodec.purenet.features import Features
from heqcodec.purenet.guard import guarded, spread
from heqcodec.purenet.rate_decoder import PurenetRateDecoder
from numpy.typing import NDArray
from slow_cases import quick_first
from small_models import photograph


@pytest.fixture(scope="module")
def encoder() -> RateNqe:
    return RateNqe(encoder_tensors("nqe-r"))


@pytest.fixture(scope="module")
def patch_encoder() -> TransformNqe:
    return TransformNqe(encoder_tensors("nqe-t"))


def samples_of(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.moveaxis(patches, -1, 1).astype(np.float32)


def saturated() -> NDArray[np.uint8]:
    """Stripes, a checkerboard and blocks of colours at the corners of the cube."""
    y, x = np.mgrid[:128, :384]
    corners = np.array([[255, 0, 0], [0, 255, 0], [255, 255, 0], [0, 0, 255]], dtype=np.uint8)
    index = np.where(x < 128, x // 8 % 2, np.where(x < 256, 2 + (x // 3 + y // 3) % 2, 0))
    blocks = np.random.default_rng(3).integers(0, 4, (8, 8)).repeat(16, 0).repeat(16, 1)
    index[:, 256:] = blocks
    return corners[index]


class TestIntervals:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_every_patch_keeps_to_its_own_levels(self, encoder: RateNqe, channels: int) -> None:
        patches = split_patches(photograph()[:256, :256, :channels])
        given = encoder.coefficients(patches)
        for step in (250, 425, 553, 681, 830):
            levels, transform_sizes = encoder.levels(given, step)
            assert 0 < transform_sizes.sum() < len(transform_sizes)
            sums = LevelBounds(encoder, levels, transform_sizes, step).violations(
                samples_of(patches)
            )
            # What the integer transform rounds is all that is left.
            assert sums.max() < 0.01
            others = LevelBounds(encoder, levels[::-1].copy(), transform_sizes[::-1].copy(), step)
            assert np.median(others.violations(samples_of(patches))) > 3

    def test_transform_is_the_encoders(self, encoder: RateNqe) -> None:
        patches = split_patches(photograph()[64:192, 64:192])
        exact = encoder.coefficients(patches)
        for size in (0, 1):
            found = exact_coefficients(encoder, samples_of(patches), size)
            assert np.abs(found - exact[:, size]).max() < 6
            assert np.abs(found - exact[:, size]).mean() < 1.5

    def test_distance_is_that_to_the_nearer_end(self, encoder: RateNqe) -> None:
        patches = split_patches(photograph()[:64, :96])
        step = 553
        levels, transform_sizes = encoder.levels(encoder.coefficients(patches), step)
        samples = samples_of(patches)
        ends = {0: (-23 / 16, 23 / 16), 1: (8 / 16, 25 / 16)}
        for patch, size in enumerate(transform_sizes):
            steps = encoder.integer_steps(step)[size].astype(float)
            exact = exact_coefficients(encoder, samples[patch : patch + 1], int(size))[0]
            for wanted in (0, 1, 2, 5):
                changed = levels[patch : patch + 1].copy()
                changed[0, 1, 40] = wanted
                low, high = ends.get(wanted, (wanted - 7 / 16, wanted + 9 / 16))
                place = exact[1, 40] / steps[1]
                before, after = (
                    LevelBounds(encoder, some, transform_sizes[patch : patch + 1], step).violations(
                        samples[patch : patch + 1]
                    )[0]
                    for some in (levels[patch : patch + 1], changed)
                )
                distance = max(low - place, place - high, 0)
                assert after - before == pytest.approx(distance**2, abs=1e-3)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_every_patch_keeps_to_its_own_code(
        self, patch_encoder: TransformNqe, channels: int
    ) -> None:
        patches = split_patches(photograph()[:192, :256, :channels])
        reader = TransformCodeReader(patch_encoder)
        for bits in patch_encoder.rates:
            known = reader.coefficients(patch_encoder.encode_patches(patches, bits), channels)
            bounds = reader.bounds(known, channels)
            assert bounds.violations(samples_of(patches)).max() < 0.05
            assert np.median(bounds.violations(samples_of(patches[::-1]))) > 3


class Grey:
    """A network that says grey, whatever it is given."""

    radius, hints = 0, 1

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((*features[0].shape[1:], 3), 0.5, dtype=np.float32)


class TestPatches:
    def test_a_network_that_errs_is_the_plain_inverse(self, encoder: RateNqe) -> None:
        image = photograph()[:128, :160]
        levels, transform_sizes = encoder.levels(encoder.coefficients(split_patches(image)), 500)
        grid = levels.reshape(4, 5, 3, 1024), transform_sizes.reshape(4, 5), np.full(4, 500)
        plain, erring = (
            PurenetRateDecoder(encoder, Dequantizer(encoder, default_places()), network)
            for network in (None, Grey())
        )
        # A patch of the sky is grey.
        refused = np.abs(erring.decode_frame(*grid).astype(int) - plain.decode_frame(*grid)) <= 1
        assert refused.mean() > 0.9
        valid = np.ones((4, 5), dtype=bool)
        valid[1, 2] = False
        lost = erring.decode_frame(*grid, valid)
        assert (lost[32:64, 64:96] == 128).all()

    def test_weights_fade_over_the_neighbours(self) -> None:
        doubt = np.zeros((3, 4), dtype=np.float32)
        doubt[1, 1] = 0.5
        weight = spread(doubt)
        assert (weight[32:64, 32:64] == 0.5).all()
        row = weight[40, 64:96]
        np.testing.assert_allclose(row[:8], 0.5 * (1 - (np.arange(8) + 0.5) / 8))
        assert not row[8:].any() and not weight[72:].any() and not weight[:24].any()
        np.testing.assert_array_equal(weight[:, 24:72], weight[:, 24:72][:, ::-1])
        assert weight[64, 64] == pytest.approx(0.5 * (1 - 0.5 / 8) ** 2)

    def test_blend_follows_the_sum(self) -> None:
        class Sums:
            trusted, refused = 1.0, 3.0

            def violations(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
                assert samples.shape == (3, 1, PATCH, PATCH) and samples.max() <= 255
                return np.array([1.0, 2.0, 1e6], dtype=np.float32)

        frame = np.full((32, 96, 1), 1.5, dtype=np.float32)
        plain = np.zeros_like(frame)
        known = np.ones((1, 3), dtype=bool)
        made = guarded(frame, plain, Sums(), known)
        assert made[0, 0, 0] == 1.5 and made[0, 40, 0] == 0.75 and made[0, 80, 0] == 0
        known[0, 2] = False
        made = guarded(frame, plain, Sums(), known)
        assert made[0, 60, 0] == 0.75 and (made[:, 64:] == 1.5).all()


class TestImages:
    @pytest.mark.parametrize("quality", quick_first([70, 40]))
    def test_saturated_pictures_are_no_worse_than_the_plain_inverse(self, quality: int) -> None:
        data = heqcodec.encode(saturated(), quality=quality)
        plain = psnr(saturated(), heqcodec.decode(data, decoder="plain"))
        for decoder in ("strong", "fast", "best"):
            assert psnr(saturated(), heqcodec.decode(data, decoder=decoder)) > plain - 0.1

    @pytest.mark.slow
    @pytest.mark.parametrize(("bpp", "loss"), [(0.125, 1.1), (0.5, 0.1)])
    def test_patch_mode_too(self, bpp: float, loss: float) -> None:
        data = heqcodec.encode(saturated(), bpp=bpp, model="nqe-t")
        plain = psnr(saturated(), heqcodec.decode(data, decoder="plain"))
        assert psnr(saturated(), heqcodec.decode(data)) > plain - loss

    def test_photographs_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = photograph()[:256, :256]
        data = heqcodec.encode(image, quality=45)
        with_guard = psnr(image, heqcodec.decode(data))
        monkeypatch.setattr(guard, "guarded", lambda frame, *_: frame)
        assert abs(with_guard - psnr(image, heqcodec.decode(data))) < 0.01

    def test_a_region_is_a_cut_of_the_whole(self) -> None:
        image = np.concatenate([photograph()[:256, :256], np.tile(saturated(), (2, 1, 1))], axis=1)
        data = heqcodec.encode(image, quality=60)
        whole = heqcodec.decode(data)
        for region in ((200, 30, 120, 70), (256, 100, 64, 64)):
            x, y, wide, high = region
            cut = heqcodec.decode(data, region=region)
            apart = np.abs(cut.astype(int) - whole[y : y + high, x : x + wide])
            assert apart.max() <= 1 and (apart > 0).mean() < 1e-3

    def test_backends_agree(self) -> None:
        image = np.concatenate([photograph()[:128, :128], saturated()], axis=1)
        data = heqcodec.encode(image, quality=50)
        by_onnx, by_torch = (heqcodec.decode(data, backend=name) for name in ("onnx", "torch"))
        assert np.abs(by_onnx.astype(int) - by_torch).max() <= 1
