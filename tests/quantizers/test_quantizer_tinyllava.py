"""Quantized-TinyLLaVA: levels, statistics, loss, and rules for the number of levels."""

import math

import pytest
import torch
from heqcodec.quantizers.level_rules import (
    cheapest_levels,
    effective_levels,
    filled_levels,
    high_rate_levels,
    index_entropy,
    scalar_indices,
)
from heqcodec.quantizers.tinyllava import (
    ScalarQuantizer,
    ScalarWeightQuantizer,
    fsq_index,
    fsq_round,
)


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 8, 16])
def test_levels_are_evenly_spaced_and_nearest(levels):
    x = torch.linspace(-1, 1, 5001)
    y = fsq_round(x, levels)
    expected = torch.linspace(-1, 1, levels)
    torch.testing.assert_close(y.unique(), expected, atol=1e-6, rtol=0)
    assert (y - x).abs().max() <= 1 / (levels - 1) + 1e-6
    assert fsq_index(x, levels).unique().tolist() == list(range(levels))
    assert fsq_round(torch.tensor([-1.5, 1.5]), levels).tolist() == [-1, 1]


def test_four_levels_are_thirds():
    assert fsq_round(torch.tensor([-0.9, -0.1, 0.1, 0.9]), 4).tolist() == pytest.approx(
        [-1, -1 / 3, 1 / 3, 1]
    )


def test_module_sends_indices_and_measures_its_distortion():
    torch.manual_seed(0)
    quantizer = ScalarQuantizer(None, 4)
    x = 5 * torch.randn(7, 30, 16) + 2
    y, loss = quantizer(x)
    normalized = ((x - x.mean()) / (3 * x.std() + 1e-4)).clamp(-1, 1)
    torch.testing.assert_close(y, fsq_round(normalized, 4))
    assert torch.equal(quantizer.indices(x).float() * 2 / 3 - 1, y)
    cosine = (normalized * y).sum(-1) / (normalized.norm(dim=-1) * y.norm(dim=-1))
    assert float(loss) == pytest.approx(0.25 * float((1 - cosine).mean()), rel=1e-4)
    assert quantizer.indices(x).dtype == torch.int64


def test_module_with_linear_layers_trains():
    torch.manual_seed(1)
    quantizer = ScalarQuantizer(8, 8)
    x = torch.randn(64, 8)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        y, loss = quantizer(x)
        total = (y - x).square().mean() + loss
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < losses[0] / 5


def test_weights_are_clipped_at_three_sigma_with_a_gradient_inside():
    torch.manual_seed(2)
    weight = 0.05 * torch.randn(3000) + 0.01
    quantizer = ScalarWeightQuantizer(4)
    quantizer.refresh(weight)
    assert quantizer.delta() == pytest.approx(2 * 3 * float(weight.std()) / 3, rel=1e-3)
    latent = torch.tensor([-0.5, 0.0, 0.1, 0.5], requires_grad=True)
    y = quantizer(latent)
    assert y.tolist() == pytest.approx([-1, -1 / 3, 1 / 3, 1])
    assert quantizer.codes(latent).tolist() == [-3, -1, 1, 3]
    y.sum().backward()
    assert latent.grad.tolist() == pytest.approx([0, 1, 1, 0])


def test_too_few_levels_are_refused():
    for make in (lambda: ScalarQuantizer(4, 1), lambda: ScalarWeightQuantizer(1)):
        with pytest.raises(ValueError, match="2 levels or more"):
            make()


@pytest.fixture(scope="module")
def gauss():
    p = (torch.arange(200_001, dtype=torch.float64) + 0.5) / 200_001
    return (math.sqrt(2) * torch.erfinv(2 * p - 1)).float()


def test_entropy_of_known_histograms():
    assert index_entropy(torch.arange(8), 8) == pytest.approx(3)
    assert index_entropy(torch.zeros(9), 4) == 0
    assert index_entropy(torch.tensor([0, 1, 1, 1]), 2) == pytest.approx(0.811278, abs=1e-6)


@pytest.mark.parametrize(("rate", "levels"), [(1, 2.9), (2, 5.8), (3, 11.6), (4, 23.2)])
def test_high_rate_rule(rate, levels, gauss):
    expected = high_rate_levels(rate)
    assert expected == pytest.approx(1.452 * 2**rate, rel=1e-3)
    assert expected == pytest.approx(levels, abs=0.05)
    if rate >= 3:
        # It tells what a real histogram has.
        count = round(expected)
        entropy = index_entropy(scalar_indices(gauss, count), count)
        assert entropy == pytest.approx(rate, abs=0.15)


def test_filled_levels_keeps_those_that_are_used(gauss):
    candidates = (2, 3, 4, 8, 16)
    uniform = torch.linspace(-1, 1, 10_001)
    # A uniform reaches 1.73 sigma only, so the outer levels of a range of 3 sigma stay empty.
    for x in (gauss, uniform):
        chosen = filled_levels(x, candidates, 0.8)
        for k in candidates:
            ratio = index_entropy(scalar_indices(x, k), k) / math.log2(k)
            assert (ratio >= 0.8) == (k == chosen) or k < chosen
    assert filled_levels(gauss, (4, 8), 0.999) == 4
    assert filled_levels(torch.tensor([-1.0, 1.0]).repeat(50), (2,)) == 2


def test_effective_and_cheapest_levels(gauss):
    entropy = index_entropy(scalar_indices(gauss, 16), 16)
    assert effective_levels(gauss, 16) == 2 ** math.ceil(entropy)
    assert effective_levels(torch.tensor([-1.0, 1.0]).repeat(50), 16) == 2
    candidates = range(2, 33)
    chosen = [cheapest_levels(gauss, candidates, weight) for weight in (1e-6, 1e-3, 0.03, 0.3, 9)]
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[0] == 32
    assert chosen[-1] <= 3
    with pytest.raises(ValueError, match="candidates"):
        filled_levels(gauss, [])
