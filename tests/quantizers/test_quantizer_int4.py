"""4-bit training: Hadamard quantizer, bit splitting, leverage score sampling."""

import copy
import math

import pytest
import torch
from heqcodec.quantizers.bit_splitting import keep_probabilities, sample_rows, split_bits
from heqcodec.quantizers.hadamard import HadamardQuantizer, hadamard, largest_block
from heqcodec.quantizers.lsq import LsqQuantizer, initial_step, learned_step
from heqcodec.quantizers.quantized_linear import QuantizedLinear, best_block
from heqcodec.quantizers.randomness import RandomSource
from torch.nn import functional as F


def hadamard_matrix(size):
    if size == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    half = hadamard_matrix(size // 2)
    return torch.cat([torch.cat([half, half], 1), torch.cat([half, -half], 1)]) / math.sqrt(2)


@pytest.mark.parametrize("block", [1, 2, 8, 32])
def test_transform_is_the_matrix_and_cancels_in_a_product(block):
    torch.manual_seed(0)
    x, w = torch.randn(7, 96, dtype=torch.float64), torch.randn(5, 96, dtype=torch.float64)
    matrix = torch.block_diag(*[hadamard_matrix(block)] * (96 // block))
    torch.testing.assert_close(hadamard(x, block), x @ matrix)
    torch.testing.assert_close(hadamard(hadamard(x, block), block), x)
    torch.testing.assert_close(hadamard(x, block) @ hadamard(w, block).t(), x @ w.t())


def test_blocks():
    assert [largest_block(n) for n in (1, 27, 96, 1152, 24)] == [1, 1, 32, 32, 8]
    assert largest_block(1 << 20, 1000) == 512
    for block in (0, 3, 64):
        with pytest.raises(ValueError, match="does not fit"):
            hadamard(torch.zeros(2, 96), block)
    with pytest.raises(ValueError, match="power of two"):
        HadamardQuantizer(block=12)


# x / step, and d(quantized) / d(step) by the formula of the paper, worked out by hand for codes of
# -4 .. 3: -4 below them, 3 above, round(x / step) - x / step between.
SLOPES = {
    -10.0: -4.0,
    -4.4: -4.0,
    -4.0: 0.0,
    -3.9: -0.1,
    -1.65: -0.35,
    -0.1: 0.1,
    0.2: -0.2,
    0.8: 0.2,
    2.7: 0.3,
    3.0: 0.0,
    3.3: 3.0,
    3.6: 3.0,
    15.0: 3.0,
}


def test_learned_step_has_the_gradients_of_lsq():
    ratios = torch.tensor(list(SLOPES), dtype=torch.float64)
    for ratio, slope in SLOPES.items():
        x = torch.tensor([2 * ratio], dtype=torch.float64, requires_grad=True)
        step = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        y = learned_step(x, step, -4, 3)
        assert y.item() == 2 * min(max(round(ratio), -4), 3)
        (5 * y).sum().backward()
        assert float(x.grad) == (5 if -4 <= ratio <= 3 else 0), ratio
        assert float(step.grad) == pytest.approx(5 * slope / math.sqrt(3)), ratio
    x, step = (2 * ratios).requires_grad_(), torch.tensor(2.0, dtype=torch.float64).requires_grad_()
    learned_step(x, step, -4, 3).sum().backward()
    assert float(step.grad) == pytest.approx(sum(SLOPES.values()) / math.sqrt(3 * len(SLOPES)))


def test_learned_step_has_the_gradients_of_the_released_code_of_4_bit_training():
    """indicate_small, _big and _middle of Train_Transformers_with_INT4, on values of all kinds."""
    torch.manual_seed(3)
    x = torch.randn(40, 25, dtype=torch.float64)
    grad = torch.randn_like(x)
    for bits in (2, 3, 4):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        latent = x.clone().requires_grad_()
        step = torch.tensor(1.1 / high, dtype=torch.float64, requires_grad=True)
        (learned_step(latent, step, low, high) * grad).sum().backward()
        u = (x / step).detach()
        small, big = (u < low).double(), (u > high).double()
        middle = 1 - small - big
        half_bins = middle.bool() != ((u.round() >= low) & (u.round() <= high))
        assert 0.02 < float(half_bins.double().mean()) < 0.2
        slope = small * low + big * high + middle * (u.round() - u)
        expected = (slope * grad).sum() / math.sqrt(x.numel() * high)
        torch.testing.assert_close(step.grad, expected)
        torch.testing.assert_close(latent.grad, middle * grad)


def test_lsq_starts_from_the_mean_magnitude_and_stays_where_training_moves_it():
    torch.manual_seed(1)
    weight = torch.randn(64, 32)
    quantizer = LsqQuantizer(3)
    quantizer.refresh(weight)
    expected = 2 * float(weight.abs().mean()) / math.sqrt(3)
    assert quantizer.delta() == pytest.approx(expected, rel=1e-6)
    quantizer.refresh(2 * weight)
    assert quantizer.delta() == pytest.approx(2 * expected, rel=1e-6)
    with torch.no_grad():
        quantizer.step.mul_(1.5)
    copied = copy.deepcopy(quantizer)
    for trained in (quantizer, copied):
        trained.refresh(weight)
        assert trained.delta() == pytest.approx(3 * expected, rel=1e-6)


def test_a_rotated_outlier_costs_less():
    torch.manual_seed(2)
    weight = 0.05 * torch.randn(8, 64)
    weight[:, 5] = 3.0
    errors = []
    for quantizer in (LsqQuantizer(4), HadamardQuantizer(4, block=64)):
        quantizer.refresh(weight)
        errors.append(float((quantizer(weight) - weight).detach().norm()))
    assert errors[1] < errors[0] / 2


def test_split_parts_fit_four_bits_and_their_sum_is_unbiased():
    torch.manual_seed(3)
    gradient, draws, random = torch.randn(16, 12), 3000, RandomSource(5)
    gradient[0, 0] = -4.5
    samples = []
    for _ in range(draws):
        split = split_bits(gradient, random)
        assert split.high.abs().max() <= 7 and split.low.abs().max() <= 7
        assert torch.equal(split.high, split.high.round())
        samples.append((14 * split.high + split.low) * split.unit)
    stacked = torch.stack(samples).double()
    torch.testing.assert_close(split.stacked()[:16] + split.stacked()[16:], samples[-1])
    standard = stacked.std(0) / draws**0.5
    unit = float(split.unit)
    assert ((stacked.mean(0) - gradient).abs() <= 5 * standard + unit * 10 / draws).all()
    assert ((stacked - gradient).abs() <= unit * (1 + 1e-5)).all()
    # The extreme entry, 105 units, does not saturate.
    assert stacked[:, 0, 0].tolist() == pytest.approx([-4.5] * draws)


def redistribute(scores, budget):
    """The paper's loop."""
    p = scores.double() * budget / scores.sum()
    certain = torch.zeros_like(p, dtype=torch.bool)
    while (p > 1 + 1e-12).any():
        certain |= p >= 1
        rest = scores.double() * ~certain
        p = torch.where(certain, 1.0, rest * (budget - certain.sum()) / rest.sum())
    return p


@pytest.mark.parametrize("seed", range(6))
def test_probabilities_are_what_redistribution_ends_with(seed):
    torch.manual_seed(seed)
    scores = torch.rand(40) ** (1 + 3 * seed)
    for budget in (1, 7, 20, 39):
        p = keep_probabilities(scores, budget)
        torch.testing.assert_close(p.double(), redistribute(scores, budget), rtol=1e-4, atol=1e-6)
        assert float(p.sum()) == pytest.approx(budget, rel=1e-4)


def test_probabilities_at_the_edges():
    assert keep_probabilities(torch.zeros(4), 2).tolist() == [0, 0, 0, 0]
    assert keep_probabilities(torch.tensor([5.0, 0, 1, 0]), 3).tolist() == [1, 0, 1, 0]
    assert keep_probabilities(torch.ones(4), 4).tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="cannot be kept"):
        keep_probabilities(torch.ones(4), 5)


def test_sampled_rows_are_unbiased():
    torch.manual_seed(4)
    scores, random, draws = torch.rand(30) + 0.01, RandomSource(9), 4000
    factors = torch.stack([sample_rows(scores, 10, random) for _ in range(draws)]).double()
    standard = factors.std(0) / draws**0.5
    assert ((factors.mean(0) - 1).abs() <= 5 * standard).all()
    assert float((factors > 0).double().sum(1).mean()) == pytest.approx(10, abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("sample", [False, True])
def test_gradients_of_a_quantized_layer_are_unbiased(sample):
    torch.manual_seed(5)
    layer, draws = QuantizedLinear(16, 6, sample=sample, seed=3), 1500
    x, target = torch.randn(10, 16), torch.randn(10, 6)
    layer(x)

    # What straight-through estimation alone gives: exact products of the quantized factors.
    rotated = hadamard(x, 16).requires_grad_()
    weight = hadamard(layer.weight.detach(), 16).requires_grad_()
    product = F.linear(
        learned_step(rotated, layer.input_step.detach(), -8, 7),
        learned_step(weight, layer.weight_step.detach(), -8, 7),
    )
    torch.testing.assert_close(layer(x), product + layer.bias)
    (product * target).sum().backward()
    expected = (hadamard(rotated.grad, 16), hadamard(weight.grad, 16))

    samples: tuple[list, list] = ([], [])
    for _ in range(draws):
        layer.zero_grad()
        free = x.clone().requires_grad_()
        (layer(free) * target).sum().backward()
        samples[0].append(free.grad)
        samples[1].append(layer.weight.grad.clone())
    for drawn, exact in zip(samples, expected, strict=True):
        stacked = torch.stack(drawn).double()
        standard = stacked.std(0) / draws**0.5
        assert ((stacked.mean(0) - exact).abs() <= 5 * standard + 1e-4).all()
    assert layer.input_step.grad.isfinite() and layer.weight_step.grad.isfinite()
    torch.testing.assert_close(layer.bias.grad, target.sum(0))


def test_quantized_layer_learns_and_takes_any_leading_shape():
    torch.manual_seed(6)
    layer = QuantizedLinear(24, 4)
    assert layer.block == 8
    x = torch.randn(5, 12, 24)
    truth = torch.randn(4, 24) / 5
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        loss = (layer(x) - F.linear(x, truth)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < sum(losses[:10]) / 10
    restored = QuantizedLinear(24, 4).eval()
    restored.load_state_dict(layer.state_dict())
    assert torch.equal(restored(x), layer(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(restored(x), layer(x))


def test_best_block_rotates_outliers_away():
    torch.manual_seed(7)
    x, weight = torch.randn(32, 64), torch.randn(8, 64)
    spiky = x.clone()
    spiky[:, ::16] *= 40
    assert best_block(spiky, weight) > 1
    layer = QuantizedLinear(64, 8)
    layer.set_block(best_block(spiky, layer.weight))
    assert layer(spiky).isfinite().all()
    rotated = hadamard(layer.weight, layer.block)
    assert float(layer.weight_step.detach()) == pytest.approx(float(initial_step(rotated, 7)))
    searching = QuantizedLinear(64, 8, block="best").train()
    found = best_block(spiky, searching.weight)
    searching(spiky)
    assert searching.block == found > 1


def identity_layer(size, sample=True):
    """Not rotated, with weights of 1 on the diagonal and steps of 1."""
    layer = QuantizedLinear(size, size, bias=False, block=1, sample=sample, seed=11)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(size))
        layer(torch.ones(1, size))
        layer.weight_step.fill_(1)
        layer.input_step.fill_(1)
    return layer


def test_inputs_and_weights_take_the_sixteen_integers_from_minus_8():
    layer = identity_layer(4)
    x = torch.tensor([[-100.0, -8.6, -8.4, -7.6], [6.4, 7.4, 7.6, 100.0]])
    assert layer(x).tolist() == [[-8, -8, -8, -8], [6, 7, 7, 7]]
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([-100.0, -7.6, 7.4, 100.0])))
    assert layer(torch.ones(1, 4)).tolist() == [[-8, -8, 7, 7]]


def test_first_steps_are_two_mean_magnitudes_over_root_7():
    torch.manual_seed(6)
    layer, x = QuantizedLinear(32, 8), torch.randn(20, 32)
    layer(x)
    for step, rotated in ((layer.input_step, x), (layer.weight_step, layer.weight)):
        mean = float(hadamard(rotated.detach(), 32).abs().mean())
        assert float(step.detach()) == pytest.approx(2 * mean / math.sqrt(7), rel=1e-5)


@pytest.mark.slow
def test_rows_are_kept_by_the_lengths_of_gradient_and_input():
    """Leverage |g| for the input's gradient, |g| |x| for the weight's; signs have no say."""
    layer = identity_layer(6)
    lengths = torch.tensor([1.0, -2, 3, -4, 5, 7])
    # Multiples of max / 105, so that nothing is rounded: 14 high + low, on the diagonal alone.
    high, low = torch.tensor([7.0, -3, 1, -1, 0, 2]), torch.tensor([7.0, 1, -2, -6, 5, -4])
    target = torch.diag(14 * high + low)
    draws = 1200
    counts = torch.zeros(2, 6, dtype=torch.float64)
    for _ in range(draws):
        layer.zero_grad()
        x = torch.diag(lengths).requires_grad_()
        (layer(x) * target).sum().backward()
        counts[0] += x.grad.diagonal() != 0
        counts[1] += layer.weight.grad.diagonal() != 0
    norms = torch.cat([14 * high, low]).abs().double()
    for scores, count in zip((norms, norms * lengths.abs().repeat(2)), counts, strict=True):
        p = redistribute(scores, 6).view(2, 6)
        expected = 1 - (1 - p[0]) * (1 - p[1])
        deviation = (expected * (1 - expected) / draws).sqrt()
        assert ((count / draws - expected).abs() <= 5 * deviation + 1e-9).all()


def test_lsq_takes_2_to_16_bits_and_4_by_itself():
    assert LsqQuantizer().levels == tuple(range(-8, 8))
    assert LsqQuantizer(2).levels == (-2, -1, 0, 1)
    assert LsqQuantizer(16).bits == 16
    for bits in (1, 17):
        with pytest.raises(ValueError, match="2 to 16 bits"):
            LsqQuantizer(bits)
