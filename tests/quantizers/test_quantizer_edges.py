"""Edges of the quantizers' formulas: what lies exactly on a limit, and values at 0."""

import math

import numpy as np
import pytest
import torch
from heqcodec.quantizers import BitShiftNorm, RunningBatchNorm2d, level_statistics
from heqcodec.quantizers.binary import BinaryQuantizer
from heqcodec.quantizers.bit_splitting import SPAN, sample_rows, split_bits
from heqcodec.quantizers.bsn import fold_thresholds
from heqcodec.quantizers.codeq import DeadZoneQuantizer
from heqcodec.quantizers.distribution_losses import skewness, skewness_loss
from heqcodec.quantizers.fixed_step import FixedStepQuantizer
from heqcodec.quantizers.gradient_quantizers import PerSampleGradient, PerTensorGradient
from heqcodec.quantizers.hadamard import HadamardQuantizer, hadamard
from heqcodec.quantizers.level_rules import cheapest_levels
from heqcodec.quantizers.prox_connect import ProxConnectQuantizer
from heqcodec.quantizers.randomness import RandomSource
from heqcodec.quantizers.search import GeneticSearch, LayerCost, PrecisionSpace
from heqcodec.quantizers.tinyllava import SPREAD_FLOOR, ScalarQuantizer


class AlwaysZero(RandomSource):
    """The smallest number that can be drawn."""

    def uniform_like(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize(
    ("make", "fewest", "most"),
    [
        (PerSampleGradient, 1, 16),
        (DeadZoneQuantizer, 2, 16),
        (lambda bits: DeadZoneQuantizer(None, bits), 3, 16),
        (lambda levels: ScalarQuantizer(None, levels), 2, None),
    ],
)
def test_the_fewest_and_the_most_are_taken(make, fewest, most):
    make(fewest)
    with pytest.raises(ValueError):
        make(fewest - 1)
    if most is not None:
        make(most)
        with pytest.raises(ValueError):
            make(most + 1)


def test_a_sharpness_of_0_is_refused():
    with pytest.raises(ValueError, match="sharpness"):
        ProxConnectQuantizer("bnn++", beta=0)


def test_a_fixed_step_has_three_levels_by_itself():
    assert FixedStepQuantizer().levels == (-1, 0, 1)


def test_a_row_of_score_0_is_never_kept():
    factors = sample_rows(torch.tensor([0.0, 1.0, 1.0]), 2, AlwaysZero())
    assert factors.tolist() == [0, 1, 1]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_splitting_follows_the_size_of_the_gradient(scale):
    gradient = scale * torch.linspace(-1, 1, 30).reshape(5, 6)
    split = split_bits(gradient, RandomSource(0))
    assert float(split.unit) == pytest.approx(scale / SPAN)
    assert split.high.abs().max() == 7


def test_a_dead_channel_keeps_its_sign():
    thresholds, sign = fold_thresholds(np.zeros(3), np.array([0.5, 0.0, -0.5]), (0.0,), 10)
    assert thresholds.tolist() == [[-10], [-10], [11]] and sign.tolist() == [1, 1, 1]


def test_a_folded_norm_adds_its_epsilon_to_the_variance():
    norm = BitShiftNorm(2).eval()
    norm.bn.running_var.copy_(torch.tensor([0.0, 3 * norm.bn.eps]))
    scale, _ = norm.folded()
    assert scale.tolist() == pytest.approx([norm.bn.eps**-0.5, 0.5 * norm.bn.eps**-0.5])


def test_sigma_is_that_of_the_weights_and_not_an_estimate():
    statistics = level_statistics(BinaryQuantizer(), torch.tensor([1.0, -1.0]))
    assert statistics["sigma"] == 1


def test_no_skewness_is_lost_at_the_target():
    weight = torch.tensor([0.0, 0.0, 0.0, 4.0])
    assert float(skewness_loss([weight], float(skewness(weight)))) == pytest.approx(0, abs=1e-12)
    assert float(skewness_loss([weight], -float(skewness(weight)))) > 1


def test_one_range_for_a_whole_gradient():
    rows = torch.tensor([[0.0, 1.0, 0.5], [10.0, 11.0, 10.5]])
    rounded = PerTensorGradient(1, zero=False)(rows)
    assert set(rounded.flatten().tolist()) <= {0.0, 11.0}


def test_hadamard_blocks_lie_along_the_last_axis():
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(hadamard(x, 8), hadamard(x.reshape(6, 8), 8).reshape(2, 3, 8))
    with pytest.raises(ValueError, match="does not fit"):
        hadamard(torch.randn(8, 3), 8)


def test_weights_are_rotated_along_all_axes_but_the_first():
    quantizer, weight = HadamardQuantizer(8), torch.randn(4, 2, 2, 2)
    quantizer.refresh(weight)
    rotated = hadamard(weight.reshape(4, 8), 8).reshape(weight.shape)
    wanted = (rotated / quantizer.step).round().clamp(-128, 127)
    torch.testing.assert_close(quantizer.codes(weight), wanted)
    line = torch.randn(8)
    wanted = (hadamard(line, 8) / quantizer.step).round().clamp(-128, 127)
    torch.testing.assert_close(quantizer.codes(line), wanted)


@pytest.mark.parametrize(("mean", "sigma"), [(5.0, 0.1), (0.0, 30.0)])
def test_the_distortion_is_that_of_the_nearest_levels(mean, sigma):
    x = mean + sigma * torch.linspace(-1.5, 1.5, 1001)
    found = []

    def largest(values, restored):
        found.append(float((values - restored).abs().max()))
        return 0.0

    cheapest_levels(x, [16], 0.0, largest)
    half_a_step = 3 * float(x.std(correction=0)) / 15
    assert 0.9 * half_a_step < found[0] < 1.01 * half_a_step


def test_a_running_norm_counts_its_batches():
    norm = RunningBatchNorm2d(1, settle=2).train()
    for _ in range(5):
        norm(torch.randn(2, 1, 3, 3))
    assert int(norm.num_batches_tracked) == 5


def test_features_that_hardly_differ_keep_their_order():
    tiny = torch.tensor([-1.0, 1.0]) * SPREAD_FLOOR / 1000
    normalized = ScalarQuantizer(None).normalized(tiny)
    assert normalized[0] < 0 < normalized[1]
    assert math.isclose(float(normalized[1]), 1e-3, rel_tol=0.01)


@pytest.mark.parametrize("population", [12, 13, 14, 15])
def test_half_of_the_children_mutate_rounded_down(population):
    made = []

    class Counted(GeneticSearch):
        def _child(self, parents, by_mutation):
            made.append(by_mutation)
            return super()._child(parents, by_mutation)

    space = PrecisionSpace((LayerCost(1, 1),) * 20, tuple(range(9)), (2,))
    limits = (math.inf, math.inf)
    Counted(sum, space, limits, population=population, generations=1, seed=3).run()
    assert len(made) > population // 2 and sum(made) == len(made) // 2
