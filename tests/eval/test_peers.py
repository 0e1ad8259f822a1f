"""The networks of peers: densities, normalization, truncation, and CompressAI's names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.eval.peers.bounds import LowerBound, NonNegative
from heqcodec.eval.peers.entropy_bottleneck import EntropyBottleneck, bits, noisy
from heqcodec.eval.peers.factorized import Factorized
from heqcodec.eval.peers.gaussian_conditional import GaussianConditional
from heqcodec.eval.peers.gdn import Gdn, run_sharp_end, synthesis
from heqcodec.eval.peers.load import build, load_peer
from heqcodec.eval.peers.mcucoder import CHANNELS, McuCoder, truncate
from heqcodec.eval.peers.mean_scale import MeanScale
from heqcodec.eval.peers.peer import Coded
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"factorized": {"width": 8, "latents": 12}, "mean-scale": {"width": 8, "latents": 12}}


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spread_density(channels: int = 5, seed: int = 1) -> EntropyBottleneck:
    """A bottleneck whose densities are off-centre and of several widths."""
    torch.manual_seed(seed)
    density = EntropyBottleneck(channels)
    with torch.no_grad():
        for matrix in density.matrices:
            matrix += 0.5 * torch.randn_like(matrix)
        for bias in density.biases:
            bias += torch.randn_like(bias)
        for factor in density.factors:
            factor += torch.randn_like(factor)
    return density


class TestBounds:
    def test_lower_bound_lets_gradients_pass_that_lead_up(self) -> None:
        bound = LowerBound(1.0)
        x = torch.tensor([0.5, 0.5, 2.0], requires_grad=True)
        y = bound(x)
        assert y.tolist() == [1.0, 1.0, 2.0]
        # Descent on -y would raise x[0]; descent on +y would lower x[1] further.
        (y * torch.tensor([-1.0, 1.0, 3.0])).sum().backward()
        assert x.grad is not None and x.grad.tolist() == [-1.0, 0.0, 3.0]

    @given(st.floats(0, 100), st.floats(0, 1))
    def test_stored_values_come_back_unless_below_the_minimum(
        self, value: float, least: float
    ) -> None:
        parameter = NonNegative(minimum=least)
        back = float(parameter(parameter.stored(torch.tensor([value]))))
        assert back == pytest.approx(max(value, least), abs=1e-6, rel=1e-5)


class TestGdn:
    @pytest.mark.parametrize("inverse", [False, True])
    def test_is_the_formula(self, inverse: bool) -> None:
        torch.manual_seed(0)
        layer = Gdn(4, inverse)
        with torch.no_grad():
            layer.gamma.add_(0.3 * torch.rand(4, 4))
            layer.beta.add_(0.3 * torch.rand(4))
        x = torch.randn(2, 4, 3, 5)
        gamma = layer.gamma.detach() ** 2 - 2.0**-36
        beta = layer.beta.detach() ** 2 - 2.0**-36
        norm = torch.sqrt(beta[:, None, None] + torch.einsum("ij,bjhw->bihw", gamma, x**2))
        expected = x * norm if inverse else x / norm
        torch.testing.assert_close(layer(x), expected)

    def test_starts_nearly_as_its_own_inverse(self) -> None:
        x = 0.1 * torch.randn(1, 4, 8, 8, generator=seeded())
        torch.testing.assert_close(Gdn(4, True)(Gdn(4)(x)), x, atol=1e-3, rtol=1e-2)

    def test_the_end_is_float32_under_autocast(self) -> None:
        layers = synthesis(4, 6)
        with torch.autocast("cpu", torch.bfloat16):
            body = layers[:-1](torch.randn(1, 6, 2, 2, generator=seeded()))
            end = run_sharp_end(layers, torch.randn(1, 6, 2, 2, generator=seeded()))
        assert end.dtype == torch.float32
        torch.testing.assert_close(end, layers[-1](body.float()))


class TestEntropyBottleneck:
    @pytest.fixture(autouse=True)
    def without_gradients(self) -> Iterator[None]:
        with torch.no_grad():
            yield

    @pytest.mark.parametrize("shift", [0.0, 0.37])
    def test_likelihoods_of_all_shifted_integers_sum_to_one(self, shift: float) -> None:
        density = spread_density(seed=2)
        values = torch.arange(-3000, 3001).float().expand(5, 1, -1) + shift
        total = density.likelihood(values).double().sum(-1)
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-4, rtol=0)

    def test_cumulative_is_monotone(self) -> None:
        logits = spread_density().logits(torch.linspace(-50, 50, 400).expand(5, 1, -1))
        assert (logits.diff(dim=-1) > 0).all()

    def test_small_tails_keep_their_digits(self) -> None:
        density = EntropyBottleneck(1)
        computed = density.likelihood(torch.tensor([[[-150.0, 150.0]]]))[0, 0]
        edges = density.logits(torch.tensor([[[-150.5, -149.5, 149.5, 150.5]]]).double())[0, 0]
        left = torch.sigmoid(edges[1]) - torch.sigmoid(edges[0])
        right = torch.sigmoid(-edges[2]) - torch.sigmoid(-edges[3])
        # A difference of two numbers near 1 would be a multiple of 6e-8, or 0.
        assert 0 < right < 1e-7
        torch.testing.assert_close(computed.double(), torch.stack([left, right]), rtol=1e-3, atol=0)

    def test_the_value_at_the_median_is_as_likely_as_its_neighbourhood(self) -> None:
        density = spread_density()
        density.settle_quantiles()
        middle = density.likelihood(density.medians)
        beside = density.likelihood(density.medians + 1e-3)
        torch.testing.assert_close(middle, beside, rtol=0.05, atol=0)

    def test_settled_quantiles_hit_their_targets(self) -> None:
        density = spread_density()
        assert float(density.loss()) > 10
        density.settle_quantiles()
        assert float(density.loss()) < 0.01
        below = torch.sigmoid(density.logits(density.quantiles)[:, 0, 1])
        torch.testing.assert_close(below, torch.full((5,), 0.5), atol=1e-4, rtol=0)

    def test_auxiliary_loss_moves_quantiles_alone(self) -> None:
        density = spread_density()
        with torch.enable_grad():
            density.loss().backward()
        moved = {name for name, value in density.named_parameters() if value.grad is not None}
        assert moved == {"quantiles"}

    def test_rounds_around_the_medians(self) -> None:
        density = spread_density()
        density.settle_quantiles()
        latents = 4 * torch.randn(2, 5, 3, 4, generator=seeded())
        values, likelihoods = density(latents)
        offsets = values - density.medians.view(1, 5, 1, 1)
        torch.testing.assert_close(offsets, offsets.round(), atol=1e-4, rtol=0)
        assert (values - latents).abs().max() <= 0.5 + 1e-4
        assert values.shape == likelihoods.shape == latents.shape

    def test_channels_do_not_mix(self) -> None:
        density = spread_density()
        latents = torch.randn(2, 5, 3, 4, generator=seeded())
        _, likelihoods = density(latents)
        alone = density.likelihood(density(latents)[0].transpose(0, 1).reshape(5, 1, -1))
        expected = alone.view(5, 2, 3, 4).transpose(0, 1)
        torch.testing.assert_close(likelihoods, expected)

    def test_noise_is_uniform_and_drawn_by_the_generator(self) -> None:
        values = torch.zeros(100, 100)
        noise = noisy(values, seeded())
        assert noise.abs().max() <= 0.5 and abs(float(noise.mean())) < 0.02
        assert float(noise.var()) == pytest.approx(1 / 12, rel=0.05)
        assert torch.equal(noise, noisy(values, seeded()))
        assert not torch.equal(noise, noisy(values, seeded(4)))


class TestGaussianConditional:
    @settings(deadline=None, max_examples=25)
    @given(st.floats(-20, 20), st.floats(0.01, 30))
    def test_likelihoods_sum_to_one(self, mean: float, scale: float) -> None:
        values = torch.arange(-300, 301).double()
        part = GaussianConditional()
        total = part.likelihood(
            values, torch.full_like(values, scale), torch.full_like(values, mean)
        )
        assert float(total.sum()) == pytest.approx(1, abs=1e-6)

    def test_is_the_integral_of_the_density(self) -> None:
        part = GaussianConditional()
        computed = part.likelihood(torch.tensor([2.0]), torch.tensor([1.5]), torch.tensor([0.4]))
        cumulative = [0.5 * (1 + math.erf((x - 0.4) / 1.5 / 2**0.5)) for x in (1.5, 2.5)]
        assert float(computed) == pytest.approx(cumulative[1] - cumulative[0], rel=1e-5)


class TestNetworks:
    @pytest.mark.parametrize("architecture", [*SMALL, "mcucoder"])
    def test_keep_the_shape(self, architecture: str) -> None:
        network = build(architecture, SMALL.get(architecture, {"width": 8})).eval()
        frames = torch.rand(2, 3, network.reduction, 2 * network.reduction)
        coded = network(frames)
        assert coded.frames.shape == frames.shape
        assert coded.frames.dtype == torch.float32

    def test_bits_are_summed_over_all_latents(self) -> None:
        halves = torch.full((2, 3, 4, 4), 0.5)
        coded = Coded(torch.zeros(2, 3, 16, 16), (halves, halves[:, :1]))
        assert float(coded.bits_per_pixel()) == (3 + 1) * 16 / 256
        assert float(bits(halves)) == halves.numel()

    def test_parameters_fall_into_three_groups(self) -> None:
        network = MeanScale(8, 12)
        groups = [network.transforms(), network.densities(), network.quantiles()]
        numbers = [id(value) for group in groups for value in group]
        assert len(numbers) == len(set(numbers)) == len(list(network.parameters()))
        assert [value.shape for value in network.quantiles()] == [(8, 1, 3)]

    def test_a_rate_sees_its_latents(self) -> None:
        """Every parameter of the transforms gets a gradient from the loss."""
        for network in (Factorized(8, 12), MeanScale(8, 12)):
            coded = network(torch.rand(1, 3, 64, 64), seeded())
            (coded.frames.square().mean() + coded.bits_per_pixel()).backward()
            silent = [name for name, value in network.named_parameters() if value.grad is None]
            assert silent == ["entropy_bottleneck.quantiles"]

    def test_errors_name_what_there_is(self) -> None:
        with pytest.raises(HeqError, match='no peer "vae"; those here are factorized, mean-scale'):
            build("vae", {})
        with pytest.raises(HeqError, match="are not those of mcucoder"):
            build("mcucoder", {"latents": 3})

    @pytest.mark.parametrize("content", [b"", b"no tensors at all", None])
    def test_what_is_no_peer(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "x.safetensors"
        if content is None:
            save_file({"a": torch.zeros(2)}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(HeqError, match=r"x\.safetensors does not hold a trained peer"):
            load_peer(path)


class TestMcuCoder:
    def test_encoder_has_the_published_size(self) -> None:
        assert sum(value.numel() for value in McuCoder(8).encoder.parameters()) == 10_524

    def test_truncation_keeps_the_first_channels(self) -> None:
        latents = torch.ones(3, CHANNELS, 2, 2)
        kept = truncate(latents, torch.tensor([1, 5, 12]))
        assert kept.sum((1, 2, 3)).tolist() == [4, 20, 48]
        assert kept[1, :5].min() == 1 and kept[1, 5:].max() == 0

    def test_training_truncates_each_image_by_the_generator(self) -> None:
        torch.manual_seed(0)
        network = McuCoder(8).eval()
        frames = torch.rand(1, 3, 32, 32).expand(60, -1, -1, -1)
        kept = torch.randint(1, CHANNELS + 1, (60,), generator=seeded())
        assert kept.min() == 1 and kept.max() == CHANNELS
        with torch.no_grad():
            expected = network.decoder(truncate(network.encoder(frames), kept))
            torch.testing.assert_close(network(frames, seeded()).frames, expected)
            whole = network.decoder(network.encoder(frames))
            torch.testing.assert_close(network(frames).frames, whole)
        assert not torch.allclose(whole, expected)


class TestCompressAI:
    """Ours and CompressAI's classes are one and the same function of a state dict."""

    @pytest.fixture(autouse=True)
    def compressai(self) -> None:
        pytest.importorskip("compressai.models", exc_type=ImportError)

    @pytest.mark.parametrize("architecture", list(SMALL))
    @pytest.mark.parametrize("full", [False, True], ids=["small", "full"])
    def test_loads_strictly_and_computes_the_same(self, architecture: str, full: bool) -> None:
        from compressai.models import FactorizedPrior, MeanScaleHyperprior

        torch.manual_seed(1)
        sizes = {"width": 128, "latents": 192} if full else SMALL[architecture]
        ours = build(architecture, sizes).eval()
        ours.settle_quantiles()
        kinds = {"factorized": FactorizedPrior, "mean-scale": MeanScaleHyperprior}
        theirs = kinds[architecture](sizes["width"], sizes["latents"]).eval()
        theirs.load_state_dict(ours.state_dict(), strict=True)
        frames = torch.rand(1, 3, 64, 128)
        with torch.no_grad():
            mine, others = ours(frames), theirs(frames)
        torch.testing.assert_close(mine.frames, others["x_hat"])
        for likelihoods, name in zip(mine.likelihoods, "yz", strict=False):
            torch.testing.assert_close(
                likelihoods, others["likelihoods"][name], atol=1e-6, rtol=1e-4
            )
        torch.testing.assert_close(ours.auxiliary_loss(), theirs.aux_loss())

    @pytest.mark.parametrize("architecture", list(SMALL))
    def test_update_makes_tables_that_code(self, architecture: str) -> None:
        from compressai.models import FactorizedPrior, MeanScaleHyperprior

        torch.manual_seed(2)
        ours = build(architecture, SMALL[architecture]).eval()
        ours.settle_quantiles()
        kinds = {"factorized": FactorizedPrior, "mean-scale": MeanScaleHyperprior}
        theirs = kinds[architecture].from_state_dict(ours.state_dict()).eval()
        assert theirs.update()
        frames = torch.rand(1, 3, 128, 192)
        with torch.no_grad():
            coded = theirs.compress(frames)
            decoded = theirs.decompress(coded["strings"], coded["shape"])["x_hat"]
            mine = ours(frames)
        torch.testing.assert_close(decoded, mine.frames.clamp(0, 1), atol=1e-5, rtol=0)
        real = 8 * sum(len(strings[0]) for strings in coded["strings"]) / (128 * 192)
        computed = float(mine.bits_per_pixel())
        assert np.isclose(real, computed, rtol=0.03, atol=0.02)
