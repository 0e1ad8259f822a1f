"""Quantizers against closed forms: Gaussian quantiles, straight-through windows, folding."""

import csv
import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from heqcodec.quantizers import (
    BinaryQuantizer,
    BitShiftNorm,
    HalfWaveMsb,
    HistogramEqualizedQuantizer,
    binary_sign,
    code_statistics,
    half_wave_msb,
    layer_report,
    level_statistics,
    plot_layer_log,
    quantile_step,
)
from heqcodec.quantizers.bsn import fold_thresholds, power_of_two_exponent
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from torch import nn
from torch.nn.utils import parametrize


@pytest.fixture(scope="module")
def gaussian() -> torch.Tensor:
    """A sample whose order statistics are the Gaussian quantiles themselves; no noise."""
    probability = (torch.arange(200_001, dtype=torch.float64) + 0.5) / 200_001
    return (math.sqrt(2) * torch.erfinv(2 * probability - 1)).float()


@pytest.mark.parametrize(
    ("levels", "rule", "expected"),
    [
        (3, "A", 0.8615),
        (3, "B", 0.8615),
        (3, "C", 0.8615),
        (5, "A", 0.5611),
        (5, "B", 0.5556),
        (5, "C", 0.5339),
    ],
)
def test_step_on_gaussian_weights(gaussian, levels, rule, expected):
    assert float(quantile_step(gaussian, levels, rule)) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("levels", "rule", "occupancy", "entropy"),
    [
        (3, "A", [1 / 3] * 3, math.log2(3)),
        (5, "A", [0.200, 0.190, 0.221, 0.190, 0.200], 2.3196),
        (5, "B", [0.202, 0.188, 0.219, 0.188, 0.202], 2.3196),
        (5, "C", [0.212, 0.183, 0.211, 0.183, 0.212], 2.3185),
    ],
)
def test_occupancy_and_entropy_on_gaussian_weights(gaussian, levels, rule, occupancy, entropy):
    quantizer = HistogramEqualizedQuantizer(levels, rule)
    quantizer.refresh(gaussian)
    statistics = level_statistics(quantizer, gaussian)
    assert statistics["occupancy"] == pytest.approx(occupancy, abs=6e-4)
    assert statistics["entropy"] == pytest.approx(entropy, abs=1e-4)
    assert statistics["entropy_ratio"] == pytest.approx(entropy / math.log2(levels), abs=1e-4)
    assert statistics["delta_sigma"] == pytest.approx(float(quantizer.step), rel=1e-3)
    assert not statistics["collapsed"]


def test_wider_level_sets_follow_the_outer_quantiles(gaussian):
    quantizer = HistogramEqualizedQuantizer(7)
    quantizer.refresh(gaussian)
    assert quantizer.levels == (-3, -2, -1, 0, 1, 2, 3)
    assert quantizer.bits == 3
    assert float(quantizer.step) == pytest.approx(2 * NormalDist().inv_cdf(6 / 7) / 5, rel=1e-3)
    occupancy = level_statistics(quantizer, gaussian)["occupancy"]
    assert occupancy[0] == pytest.approx(1 / 7, abs=1e-3)


@settings(max_examples=most(50), deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    levels=st.sampled_from([3, 5, 9]),
    rule=st.sampled_from(["A", "B", "C"]),
    seed=st.integers(0, 2**16),
)
def test_levels_are_integers_and_do_not_depend_on_the_scale(scale, levels, rule, seed):
    weight = torch.randn(64, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    quantizer = HistogramEqualizedQuantizer(levels, rule).double()
    quantizer.refresh(weight)
    plain = quantizer(weight)
    assert set(plain.unique().tolist()) <= set(quantizer.levels)
    quantizer.refresh(weight * scale)
    # Steps are computed in float32, so a weight within its rounding of a threshold may differ.
    assert (quantizer(weight * scale) != plain).sum() <= 1


@pytest.mark.parametrize("levels", [1, 2])
def test_small_level_counts_are_refused(levels):
    with pytest.raises(ValueError, match="3 levels or more"):
        HistogramEqualizedQuantizer(levels)


def test_step_moves_only_on_refresh_and_survives_a_constant_layer(gaussian):
    quantizer = HistogramEqualizedQuantizer(5)
    quantizer.refresh(gaussian)
    step = float(quantizer.step)
    quantizer(gaussian * 7)
    assert float(quantizer.step) == step
    quantizer.refresh(torch.full((100,), 0.3))
    assert float(quantizer.step) == step


@pytest.mark.parametrize(
    ("window", "mask_up", "mask_down"),
    [
        ("clip", [0, 1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1, 0]),
        # Descent with a positive gradient moves down: it frees weights beyond the upper bound.
        ("inward", [0, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0]),
        ("identity", [1] * 7, [1] * 7),
    ],
)
def test_heq_gradient_window(window, mask_up, mask_down):
    quantizer = HistogramEqualizedQuantizer(5, window=window)
    quantizer.step.fill_(2.0)
    for sign, mask in ((1.0, mask_up), (-1.0, mask_down)):
        weight = torch.tensor([-5.1, -4.9, -1.0, 0.0, 1.0, 4.9, 5.1], requires_grad=True)
        (sign * 3 * quantizer(weight)).sum().backward()
        assert weight.grad.tolist() == [sign * 3 * m for m in mask]


def test_binary_has_no_zero_and_clips_its_gradient():
    x = torch.tensor([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    y = binary_sign(x)
    assert y.tolist() == [-1, -1, 1, 1, 1, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_binary_refresh_keeps_latent_weights_within_reach():
    weight = torch.tensor([-3.0, 0.2, 5.0])
    quantizer = BinaryQuantizer()
    quantizer.refresh(weight)
    assert weight.tolist() == pytest.approx([-1, 0.2, 1])
    assert quantizer.levels == (-1, 1)
    assert quantizer.bits == 1
    assert math.isnan(level_statistics(quantizer, weight)["delta"])


def test_hwmsb_truncates_at_quarters():
    x = torch.tensor([-9, -0.01, 0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 1, 9.0])
    assert half_wave_msb(x).tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert HalfWaveMsb.levels == (0, 1, 2, 3)


def test_hwmsb_gradient_is_three_on_the_unit_interval():
    x = torch.tensor([-0.01, 0, 0.5, 1, 1.01], requires_grad=True)
    half_wave_msb(x).sum().backward()
    assert x.grad.tolist() == [0, 3, 3, 3, 0]


@settings(max_examples=most(100), deadline=None)
@given(total=st.integers(-5000, 5000), shift=st.integers(0, 14))
def test_hwmsb_behind_a_power_of_two_is_a_shift(total, shift):
    y = half_wave_msb(torch.tensor(float(total)) * 2.0**-shift)
    expected = total >> (shift - 2) if shift >= 2 else total << (2 - shift)
    assert int(y) == min(max(expected, 0), 3)


def test_bsn_power_of_two_comes_from_the_upper_decile():
    scales = torch.arange(1, 12, dtype=torch.float64) / 11 * torch.tensor([1, -1] * 5 + [1])
    # The 0.9-quantile of 1/11 .. 11/11 is 10/11, whose nearest power of two is 1.
    assert power_of_two_exponent(scales) == 0
    assert power_of_two_exponent(scales / 64) == 6
    assert power_of_two_exponent(scales * 8) == -3
    # sqrt(2) is where the nearest exponent changes.
    assert power_of_two_exponent(torch.full((4,), 2**-0.49)) == 0
    assert power_of_two_exponent(torch.full((4,), 2**-0.51)) == 1
    assert power_of_two_exponent(torch.full((4,), 2**-0.49), steps=8) == 4
    with pytest.raises(ValueError, match="needs a positive one"):
        power_of_two_exponent(torch.zeros(4))


def test_bsn_switch_replaces_the_normalization_and_survives_a_state_dict():
    torch.manual_seed(0)
    norm = BitShiftNorm(8, scale=0.5, bias=0.3)
    for _ in range(200):
        norm(torch.randn(16, 8, 4, 4) * 100 + 40)
    with torch.no_grad():
        norm.bn.weight[3] *= -1
    norm.eval()
    scale, bias = norm.folded()
    x = torch.randn(2, 8, 4, 4) * 100
    by_hand = torch.from_numpy(scale).view(1, -1, 1, 1) * x + torch.from_numpy(bias).view(
        1, -1, 1, 1
    )
    torch.testing.assert_close(norm(x), by_hand.float())
    signs = norm.switch_to_bsn()
    assert signs.tolist() == [1, 1, 1, -1, 1, 1, 1, 1]
    # |gamma / sigma| is about 0.5 / 100, and 2^-8 is the nearest power of two.
    assert norm.shift == 8
    assert torch.equal(norm(x), x / 256)
    copy = BitShiftNorm(8)
    copy.load_state_dict(norm.state_dict())
    assert copy.is_bsn
    assert torch.equal(copy(x), x / 256)
    with pytest.raises(RuntimeError, match="already"):
        norm.switch_to_bsn()


@settings(max_examples=most(200), deadline=None)
@given(
    scale=st.one_of(st.just(0.0), st.floats(-0.1, 0.1), st.sampled_from([0.25, -0.25, 1 / 8])),
    bias=st.one_of(st.floats(-3, 3), st.sampled_from([0.0, 0.25, 0.5])),
)
def test_folded_thresholds_equal_the_affine_comparison_for_every_integer(scale, bias):
    cuts, bound = (0.25, 0.5, 0.75), 200
    thresholds, sign = fold_thresholds(np.array([scale]), np.array([bias]), cuts, bound)
    total = np.arange(-bound, bound + 1)
    folded = int(sign[0]) * total[:, None] >= thresholds[0][None, :]
    value = scale * total + bias
    # The sum in floating point may round across a cut that it equals within an ulp.
    clear = np.abs(value[:, None] - np.array(cuts)) > 1e-12
    affine = value[:, None] >= np.array(cuts)
    assert (folded == affine)[clear].all()
    assert (np.diff(thresholds[0]) >= 0).all()
    assert thresholds.min() >= -bound
    assert thresholds.max() <= bound + 1


@pytest.mark.slow
def test_report_finds_collapse_and_feeds_the_plot(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    healthy, collapsed = HistogramEqualizedQuantizer(3), HistogramEqualizedQuantizer(5)
    parametrize.register_parametrization(model[0], "weight", healthy)
    parametrize.register_parametrization(model[2], "weight", collapsed)
    healthy.refresh(model[0].parametrizations.weight.original)
    collapsed.step.fill_(100.0)
    rows = layer_report(model, 5) + layer_report(model, 6)
    assert [row["layer"] for row in rows] == ["0", "2", "0", "2"]
    assert [row["collapsed"] for row in rows] == [False, True, False, True]
    assert rows[1]["zeros"] == 1.0
    assert rows[1]["entropy"] == 0.0
    log = tmp_path / "layers.csv"
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    plot_layer_log(log, tmp_path / "layers.png")
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    log.write_text(",".join(rows[0]) + "\n")
    with pytest.raises(ValueError, match="no rows"):
        plot_layer_log(log, tmp_path / "none.png")


def test_code_statistics_of_known_codes():
    half = torch.ones(4, 2, 1, 1)
    half[:2, 0] = -1
    assert code_statistics(half) == pytest.approx({"entropy": 0.5, "stuck": 0.5})


def test_bit_shift_norm_fades_from_batch_normalization_to_the_shift():
    torch.manual_seed(5)
    norm = BitShiftNorm(8, scale=0.5, bias=0.3)
    sums = torch.randint(-400, 400, (64, 8, 4, 4)).float() + 60
    with torch.no_grad():
        norm.bn.weight.mul_(torch.linspace(0.5, 2, 8))
        for _ in range(40):
            norm(sums)
    norm.eval()
    expected = norm(sums)
    scale, bias = norm.folded()
    norm.switch_to_bsn(fade=1.0)
    assert norm.is_bsn and not norm.is_shift
    torch.testing.assert_close(norm(sums), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(norm.folded()[0], scale, rtol=1e-6)
    np.testing.assert_allclose(norm.folded()[1], bias, rtol=1e-6)
    norm.set_fade(0.5)
    half_scale, half_bias = norm.folded()
    np.testing.assert_allclose(half_scale, np.sqrt(scale * 2.0**-norm.shift), rtol=1e-5)
    np.testing.assert_allclose(half_bias, bias / 2, rtol=1e-6)
    restored = BitShiftNorm(8)
    restored.load_state_dict(norm.state_dict())
    assert torch.equal(restored(sums), norm(sums))
    norm.set_fade(0.0)
    assert norm.is_shift
    assert torch.equal(norm(sums), sums * 2.0**-norm.shift)


def test_the_switch_takes_the_quantile_that_it_is_given():
    """Scales of 2^0 .. 2^-10: the quantile i / 10 is 2^(i - 10) exactly."""

    def norm():
        made = BitShiftNorm(11)
        made.bn.running_var.fill_(1 - made.bn.eps)
        with torch.no_grad():
            made.bn.weight.copy_(2.0 ** -torch.arange(11.0) * torch.tensor([1, -1] * 5 + [1]))
        return made

    for tenth in range(11):
        made = norm()
        made.switch_to_bsn(tenth / 10)
        assert made.shift == 10 - tenth
    made = norm()
    made.switch_to_bsn()
    assert made.shift == 1  # the paper's 0.9
