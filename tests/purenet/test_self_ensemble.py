"""The best decoders: the mean of the strong network on flips and turns of a frame."""

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
    """A network that adds to each sample its column, 7 times its row and its row's first rate."""

    radius, hints = 24, 1

    def __init__(self) -> None:
        self.runs = 0

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        assert isinstance(features, BaseFeatures)
        self.runs += 1
        height, width = features.base.shape[1:]
        by_row = np.broadcast_to(rate_weights[:, 0], (height // 32,)).repeat(32)
        hints = features.hints[0].repeat(32, axis=0).repeat(32, axis=1)
        added = np.arange(width) + 7 * np.arange(height)[:, None] + 1000 * hints * by_row[:, None]
        frame: NDArray[np.float32] = (features.base + added).transpose(1, 2, 0).astype(np.float32)
        return frame


@pytest.mark.parametrize("rows_differ", [False, True])
@pytest.mark.parametrize("views", [2, 4, 8])
def test_what_is_lopsided_is_evened_out(views: int, rows_differ: bool) -> None:
    rng = np.random.default_rng(0)
    height, width = 64, 96
    base = rng.random((3, height, width), dtype=np.float32)
    hints = rng.integers(0, 2, (1, 2, 3)).astype(np.float32)
    rate_weights = np.array([[0.25, 0.75], [0.5, 0.5]][: 1 + rows_differ], dtype=np.float32)
    inner = Lopsided()
    network = SelfEnsemble(inner, views)
    made = network.frame(BaseFeatures(base, hints), rate_weights)
    # Columns and rows give their means. A transposed view weighs a row 1 and a column 7.
    upright, transposed = (width - 1 + 7 * (height - 1)) / 2, (height - 1 + 7 * (width - 1)) / 2
    half_transposed = views > 2 and not rows_differ
    mean = (upright + transposed) / 2 if half_transposed else upright
    rates = np.broadcast_to(rate_weights[:, :1], (2, 1)) * hints[0]
    wanted = base + mean + 1000 * rates.repeat(32, axis=0).repeat(32, axis=1)
    np.testing.assert_allclose(made, wanted.transpose(1, 2, 0), rtol=1e-6)
    assert inner.runs == (min(views, 4) if rows_differ else views)
    assert network.radius == 24


@pytest.mark.slow
def test_it_is_nearer_to_a_photograph_than_the_strong_decoder_alone() -> None:
    image = photograph()[:256, 64:320]
    data = heqcodec.encode(image, quality=40)
    reached = [
        psnr(image, heqcodec.decode(data, device="cpu", decoder=name))
        for name in ("fast", "strong", "best-2", "best", "best-8")
    ]
    assert reached == sorted(reached)


def test_patch_files_have_no_such_decoder() -> None:
    data = heqcodec.encode(photograph()[:32, :32], mode="patch")
    with pytest.raises(
        HeqUnsupportedError, match='has no decoder "best"; choose one of strong, plain, or'
    ):
        heqcodec.decode(data, decoder="best")
