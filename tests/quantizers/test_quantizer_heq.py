"""Histogram equalization: even numbers of levels, medians, other histograms, fixed steps."""

import math
from statistics import NormalDist

import pytest
import torch
from heqcodec.quantizers import HistogramEqualizedQuantizer, level_statistics, quantile_step
from heqcodec.quantizers.fixed_step import FixedStepQuantizer, statistic_step

FRACTIONS = (torch.arange(200_001, dtype=torch.float64) + 0.5) / 200_001


@pytest.fixture(scope="module")
def gauss():
    return (math.sqrt(2) * torch.erfinv(2 * FRACTIONS - 1)).float()


@pytest.fixture(scope="module")
def laplace():
    """Of unit variance."""
    centred = FRACTIONS - 0.5
    return (-centred.sign() * torch.log1p(-2 * centred.abs()) / math.sqrt(2)).float()


@pytest.mark.parametrize(
    ("levels", "rule", "step", "occupancy", "entropy"),
    [
        (3, "A", 0.5734, [1 / 3] * 3, math.log2(3)),
        (5, "A", 0.4319, [0.200, 0.168, 0.263, 0.168, 0.200], 2.3012),
        (5, "B", 0.4203, None, 2.3024),
    ],
)
def test_laplace_weights(laplace, levels, rule, step, occupancy, entropy):
    quantizer = HistogramEqualizedQuantizer(levels, rule)
    quantizer.refresh(laplace)
    statistics = level_statistics(quantizer, laplace)
    assert quantizer.delta() == pytest.approx(step, abs=2e-4)
    assert statistics["entropy"] == pytest.approx(entropy, abs=2e-4)
    if occupancy:
        assert statistics["occupancy"] == pytest.approx(occupancy, abs=6e-4)


def test_no_step_has_more_entropy_than_the_known_optimum(gauss):
    quantizer = HistogramEqualizedQuantizer(5)
    entropies = {}
    for step in torch.arange(0.52, 0.60, 0.002):
        quantizer.step.fill_(step)
        entropies[float(step)] = level_statistics(quantizer, gauss)["entropy"]
    assert max(entropies, key=entropies.__getitem__) == pytest.approx(0.5566, abs=4e-3)
    assert max(entropies.values()) == pytest.approx(2.3196, abs=1e-4)


@pytest.mark.parametrize("levels", [4, 6, 8, 16])
@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_even_levels_are_odd_integers_with_outer_bins_of_an_nth(gauss, levels, rule):
    quantizer = HistogramEqualizedQuantizer(levels, rule)
    quantizer.refresh(gauss)
    assert quantizer.levels == tuple(range(1 - levels, levels, 2))
    assert quantizer.bits == math.ceil(math.log2(levels))
    statistics = level_statistics(quantizer, gauss)
    assert statistics["entropy_ratio"] > 0.96
    assert statistics["zeros"] == 0
    outer = NormalDist().inv_cdf(1 - 1 / levels)
    if rule == "A":
        assert quantizer.delta() == pytest.approx(2 * outer / (levels - 2), rel=1e-3)
        assert statistics["occupancy"][0] == pytest.approx(1 / levels, abs=1e-3)
        assert statistics["occupancy"][-1] == pytest.approx(1 / levels, abs=1e-3)
    if levels == 4:
        assert quantizer.delta() == pytest.approx(outer, rel=1e-3)


def test_thresholds_and_gradients_of_even_levels():
    quantizer = HistogramEqualizedQuantizer(4)
    quantizer.step.fill_(0.5)
    w = torch.tensor([-1.1, -0.9, -0.51, -0.49, -0.01, 0.01, 0.49, 0.51, 1.1], requires_grad=True)
    y = quantizer(w)
    assert y.tolist() == [-3, -3, -3, -1, -1, 1, 1, 3, 3]
    y.sum().backward()
    assert w.grad.tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_zero_median_equalizes_weights_that_are_off_centre(gauss, levels):
    shifted = gauss + 0.8
    plain = HistogramEqualizedQuantizer(levels)
    centred = HistogramEqualizedQuantizer(levels, zero_median=True)
    for quantizer in (plain, centred):
        quantizer.refresh(shifted)
    assert float(centred.median) == pytest.approx(0.8, abs=1e-4)
    ratio = level_statistics(centred, shifted)["entropy_ratio"]
    assert ratio > 0.99 or levels == 4
    assert level_statistics(plain, shifted)["entropy_ratio"] < ratio - 0.02
    assert "median" not in plain.state_dict()


def test_step_of_even_levels_ignores_the_middle_quantile():
    assert float(quantile_step(torch.linspace(-1, 1, 1001), 4, "C")) == pytest.approx(0.5)


@pytest.mark.parametrize("levels", [3, 4, 8])
def test_maximum_step_spans_the_weights(levels):
    weight = torch.linspace(-2, 2, 20_001)
    quantizer = FixedStepQuantizer(levels)
    quantizer.refresh(weight)
    assert quantizer.delta() == pytest.approx(4 / levels)
    occupancy = level_statistics(quantizer, weight)["occupancy"]
    assert occupancy == pytest.approx([1 / levels] * levels, abs=1e-3)


def test_ternary_weight_networks_threshold(gauss):
    quantizer = FixedStepQuantizer(3, "twn")
    quantizer.refresh(gauss)
    threshold = 0.7 * math.sqrt(2 / math.pi)
    assert quantizer.delta() / 2 == pytest.approx(threshold, rel=1e-3)
    zeros = NormalDist().cdf(threshold) * 2 - 1
    assert level_statistics(quantizer, gauss)["zeros"] == pytest.approx(zeros, abs=1e-3)
    quantizer.refresh(torch.zeros(9))
    assert quantizer.delta() / 2 == pytest.approx(threshold, rel=1e-3)
    with pytest.raises(ValueError, match="rule of a fixed step"):
        statistic_step(gauss, 3, "median")
