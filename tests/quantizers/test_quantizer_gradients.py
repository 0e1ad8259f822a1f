"""Gradient quantizers of "A Statistical Framework for Low-bitwidth Training"."""

import copy
import math

import pytest
import torch
from heqcodec.quantizers.bifurcation import bifurcated
from heqcodec.quantizers.gradient_quantizers import (
    PerColumnGradient,
    PerSampleGradient,
    PerTensorGradient,
    quantize_gradient,
)
from heqcodec.quantizers.householder import BlockHouseholderGradient, choose_blocks, reflect
from heqcodec.quantizers.randomness import RandomSource, stochastic_round
from slow_cases import quick_first
from torch import nn
from torch.nn import functional as F

KINDS = [PerTensorGradient, PerSampleGradient, PerColumnGradient, BlockHouseholderGradient]


def few_large_rows(seed=0, rows=64, columns=256, large=3, factor=300.0):
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 1e-3
    x[torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:large]] *= factor
    return x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", quick_first([2, 5]))
def test_every_gradient_quantizer_is_unbiased(kind, bits):
    x = few_large_rows(rows=16, columns=32, large=2, factor=4.0)
    quantizer, draws = kind(bits, seed=7), 2000
    samples = torch.stack([quantizer(x) for _ in range(draws)]).double()
    error = samples.mean(0) - x
    standard = samples.std(0) / draws**0.5
    # The second term is for entries so near a value that they are hardly ever drawn elsewhere.
    rare = 10 / draws * float(x.max() - x.min()) / (2**bits - 1)
    assert (error.abs() <= 5 * standard + rare).all()
    assert float(error.square().sum()) == pytest.approx(float(standard.square().sum()), rel=0.3)


def total_variance(quantizer, x, draws=60):
    return sum(float((quantizer(x) - x).double().square().sum()) for _ in range(draws)) / draws


def test_variances_fall_from_tensor_to_sample_to_householder():
    x = few_large_rows()
    # Symmetric extremes: 0 is then half a bin from any value, and the small rows err most.
    row = int(x.abs().amax(1).argmax())
    top = x.abs().max()
    x[row, 0], x[row, 1] = top, -top
    tensor = total_variance(PerTensorGradient(5, seed=1, zero=False), x)
    sample = total_variance(PerSampleGradient(5, seed=1), x)
    householder = total_variance(BlockHouseholderGradient(5, seed=1), x)
    # Computed by another implementation for such rows: 16.8, 0.425 and 0.0235.
    assert tensor == pytest.approx(16.8, rel=0.2)
    assert sample == pytest.approx(0.425, rel=0.15)
    assert householder == pytest.approx(0.0235, rel=0.15)
    # 0 among the values spares the small rows.
    assert sample < total_variance(PerTensorGradient(5, seed=1), x) < tensor / 5
    # D / (4 B^2) times the sum of squared ranges bounds that of PSQ; N D R^2 / (4 B^2) that of PTQ.
    ranges = (x.amax(1) - x.amin(1)).double()
    assert sample <= float(256 / (4 * 31**2) * ranges.square().sum())
    assert tensor <= 64 * 256 * float(2 * top) ** 2 / (4 * 31**2)


def test_the_reflection_is_its_own_inverse_and_spreads_the_large_row():
    x = few_large_rows().double()
    blocks = choose_blocks(x)
    torch.testing.assert_close(reflect(reflect(x, blocks), blocks), x, rtol=0, atol=1e-14)
    assert int(blocks.is_large.sum()) >= 3
    one = torch.zeros(64, 1, dtype=torch.float64)
    row = int((x.amax(1) - x.amin(1)).argmax())
    one[row] = 1
    spread = reflect(one, blocks)
    same = blocks.block == blocks.block[row]
    assert int(same.sum()) == int(blocks.size[row]) > 10
    torch.testing.assert_close(
        spread[same], torch.full((int(same.sum()), 1), float(blocks.size[row]) ** -0.5).double()
    )
    assert (spread[~same] == 0).all()
    # Exactly one large row a block, every row in one.
    assert torch.bincount(blocks.block[blocks.is_large]).max() == 1
    assert set(blocks.block.tolist()) == set(blocks.block[blocks.is_large].tolist())


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("content", ["random", "zeros", "one"])
def test_householder_takes_few_and_empty_rows(rows, content):
    x = torch.zeros(rows, 8)
    if content == "random":
        x = few_large_rows(rows=rows, columns=8, large=1)
    if content == "one":
        x[0, 0] = 5.0
    y = BlockHouseholderGradient(8)(x)
    assert y.isfinite().all()
    assert (y - x).abs().max() <= 0.05 * max(float(x.abs().max()), 1e-6)


def test_per_tensor_keeps_zeros_and_the_number_of_values():
    x = torch.randn(20, 30, generator=torch.Generator().manual_seed(0)) + 0.7
    x[3] = 0
    y = PerTensorGradient(3)(x)
    assert (y[3] == 0).all()
    assert len(y.unique()) <= 8
    assert len(PerSampleGradient(2)(x)[0].unique()) <= 4


def test_stochastic_rounding_is_seeded_and_unbiased():
    x = torch.tensor([-1.75, -0.5, 0.0, 0.25, 3.0]).expand(40_000, 5)
    a, b = (stochastic_round(x, RandomSource(4)) for _ in range(2))
    assert torch.equal(a, b)
    torch.testing.assert_close(a.mean(0), x[0], rtol=0, atol=0.0125)
    assert set(a[:, 3].tolist()) == {0.0, 1.0}
    source = RandomSource(4)
    source.uniform_like(x)
    assert torch.equal(stochastic_round(x, copy.deepcopy(source)), a)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3, padding=1), nn.Linear(6, 5)])
def test_bifurcation_has_the_value_of_one_layer_and_two_gradients(layer):
    torch.manual_seed(0)
    x = torch.randn(4, 3, 6, 6) if isinstance(layer, nn.Conv2d) else torch.randn(4, 6)
    seen = {}

    def spy(name, factor):
        def quantizer(gradient):
            seen[name] = gradient.clone()
            return factor * gradient

        return quantizer

    plain, x1 = copy.deepcopy(layer), x.clone().requires_grad_()
    target = torch.randn_like(plain(x1))
    (plain(x1) * target).sum().backward()
    product = layer._conv_forward if isinstance(layer, nn.Conv2d) else F.linear
    parameters, x2 = (layer.weight, layer.bias), x.clone().requires_grad_()
    y = bifurcated(product, x2, parameters, spy("input", 2), spy("weight", 3))
    assert torch.equal(y, plain(x))
    (y * target).sum().backward()
    torch.testing.assert_close(x2.grad, 2 * x1.grad)
    torch.testing.assert_close(layer.weight.grad, 3 * plain.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.bias.grad, 3 * plain.bias.grad)
    assert torch.equal(seen["input"], target.flatten(1))


def test_quantize_gradient_leaves_values_alone():
    x = torch.randn(8, 3, 2, requires_grad=True)
    y = quantize_gradient(x, PerSampleGradient(1))
    assert torch.equal(y, x)
    (y * torch.randn(8, 3, 2)).sum().backward()
    assert all(len(row.unique()) <= 2 for row in x.grad.flatten(1))


def test_bits_out_of_range_are_refused():
    for kind in KINDS:
        with pytest.raises(ValueError, match="1 to 16 bits"):
            kind(0)
    with pytest.raises(ValueError, match="2 bits or more"):
        PerTensorGradient(1)


def rows_of_ranges(*ranges):
    """Float64 rows that span the given ranges."""
    half = torch.tensor(ranges, dtype=torch.float64) / 2
    return torch.stack([half, -half, 0 * half], dim=1)


def test_factors_of_a_block_are_cube_roots_of_its_ranges():
    """s1 = (l1 / sqrt k)^(-1/3), s2 = (l2 q / (k - 1))^(-1/3), q the reflection's largest entry."""
    for count in (2, 3, 4, 9):
        blocks = choose_blocks(rows_of_ranges(1e4, 0.5, *[0.25] * (count - 2)))
        assert blocks.is_large.tolist() == [True] + [False] * (count - 1)
        v = torch.full((count, 1), count**-0.5, dtype=torch.float64)
        v[0] -= 1
        reflection = torch.eye(count, dtype=torch.float64) - 2 * v @ v.t() / v.square().sum()
        largest = float(reflection.abs().max())
        first = (1e4 / math.sqrt(count)) ** (-1 / 3)
        second = (0.5 * largest / (count - 1)) ** (-1 / 3)
        expected = torch.tensor([first] + [second] * (count - 1), dtype=torch.float64)
        torch.testing.assert_close(blocks.scale, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("ranges", "large"),
    [
        # (N - G) m_G / sum_{i <= G} m_i of G = 2 is 4 / (1 + m_1) here: 1.01, then 0.99.
        ((2.96, 1, 0.1, 0.1, 0.1, 0.1), 2),
        ((3.04, 1, 0.1, 0.1, 0.1, 0.1), 1),
        # Of G = 3 it is 4 / (1 + 2 m_1): 1.02, then 0.98.
        ((1, 1.46, 1.46, 0.1, 0.1, 0.1, 0.1), 3),
        ((1, 1.54, 1.54, 0.1, 0.1, 0.1, 0.1), 2),
        # Equal rows: (N - G) / G > 1.
        ((1,) * 9, 4),
        ((1,) * 4, 1),
        ((1,), 1),
        ((1, 1), 1),
    ],
)
def test_as_many_rows_are_large_as_can_share_the_others(ranges, large):
    blocks = choose_blocks(rows_of_ranges(*ranges))
    assert int(blocks.is_large.sum()) == large
    order = sorted(range(len(ranges)), key=lambda row: -ranges[row])
    assert blocks.is_large[order[:large]].all()


def test_small_rows_are_shared_out_in_proportion_to_the_large_ones():
    # 12 small rows for 4 : 2 : the sizes are 8 and 4, next in rank together.
    small = [0.3 - 0.01 * rank for rank in range(12)]
    blocks = choose_blocks(rows_of_ranges(4.0, 2.0, *small))
    assert blocks.block.tolist() == [0, 1] + [0] * 8 + [1] * 4
    assert blocks.size.tolist() == [9, 5] + [9] * 8 + [5] * 4
