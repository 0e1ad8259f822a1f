"""The best decoder: the strong network on a frame and on its mirror image."""

from __future__ import annotations

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.eval.metrics import psnr
from heqcodec.purenet.features import BaseFeatures, Features
from heqcodec.purenet.self_ensemble import SelfEnsemble
from numpy.typing import NDArray
from small_models import photograph


class Lopsided:
    """A network that adds to each column its number, and to each row its share of the rates."""

    radius, hints = 24, 1

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        assert isinstance(features, BaseFeatures)
        base = features.base + np.arange(features.base.shape[2], dtype=np.float32)
        hints = features.hints[0].repeat(32, axis=0).repeat(32, axis=1)
        return (base + 100 * hints * rate_weights[0]).transpose(1, 2, 0)


def test_what_is_lopsided_is_evened_out() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((3, 64, 96), dtype=np.float32)
    hints = rng.integers(0, 2, (1, 2, 3)).astype(np.float32)
    rate_weights = np.array([0.25, 0.75], dtype=np.float32)
    network = SelfEnsemble(Lopsided())
    made = network.frame(BaseFeatures(base, hints), rate_weights)
    wanted = base + 95 / 2 + 25 * hints[0].repeat(32, axis=0).repeat(32, axis=1)
    np.testing.assert_allclose(made, wanted.transpose(1, 2, 0), rtol=1e-6)
    assert network.radius == 24


def test_it_is_nearer_to_a_photograph_than_the_strong_decoder_alone() -> None:
    image = photograph()[:256, 64:320]
    data = heqcodec.encode(image, quality=40)
    strong, best, fast = (
        heqcodec.decode(data, device="cpu", decoder=name) for name in ("strong", "best", "fast")
    )
    assert psnr(image, best) > psnr(image, strong) > psnr(image, fast)


def test_patch_files_have_no_such_decoder() -> None:
    data = heqcodec.encode(photograph()[:32, :32], mode="patch")
    with pytest.raises(
        HeqUnsupportedError, match='has no decoder "best"; choose one of strong, plain, or'
    ):
        heqcodec.decode(data, decoder="best")
