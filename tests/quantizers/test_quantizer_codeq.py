"""CoDeQ: dead zone, levels, gradients, learned bits."""

import pytest
import torch
from heqcodec.quantizers.codeq import DeadZoneQuantizer, bit_parameters, dead_zone_parameters
from torch import nn
from torch.nn.utils import parametrize


def quantizer_of(weight, dead_zone=0.4, **options):
    quantizer = DeadZoneQuantizer(**options)
    quantizer.refresh(weight)
    with torch.no_grad():
        quantizer.dead_zone_logit.fill_(dead_zone)
    return quantizer


@pytest.mark.parametrize("dead_zone", [0.05, 0.4, -0.4, 3.0])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_zero_exactly_below_half_the_dead_zone(dead_zone, bits):
    weight = torch.linspace(-1, 1, 4001)
    quantizer = quantizer_of(weight, dead_zone, bits=bits)
    half = float(quantizer.dead_zone().detach()) / 2
    m = float(quantizer.magnitude)
    assert m == pytest.approx(0.99, abs=1e-3)
    assert half == pytest.approx(m * (1 - abs(torch.tensor(dead_zone).tanh().item())), rel=1e-5)
    zero = quantizer(weight) == 0
    clear = (weight.abs() - half).abs() > 1e-5
    assert torch.equal(zero[clear], (weight.abs() < half)[clear])


def test_levels_begin_behind_the_dead_zone_and_end_at_the_magnitude():
    weight = torch.linspace(-1, 1, 4001)
    quantizer = quantizer_of(weight, bits=3)
    values = quantizer(weight).detach().unique()
    half, step = float(quantizer.dead_zone().detach()) / 2, quantizer.delta()
    assert quantizer.levels == (-3, -2, -1, 0, 1, 2, 3)
    assert len(values) == 7
    expected = [half + step / 2 + step * i for i in range(3)]
    assert values[4:].tolist() == pytest.approx(expected, rel=1e-5)
    assert float(values[-1]) == pytest.approx(float(quantizer.magnitude), rel=1e-5)
    # A dead zone as wide as a step is the usual mid-tread quantizer.
    top = 3
    width = 2 * float(quantizer.magnitude) / (2 * top)
    share = torch.tensor(1 - width / (2 * float(quantizer.magnitude)))
    usual = quantizer_of(weight, float(torch.atanh(share)), bits=3)
    assert usual.delta() == pytest.approx(float(usual.dead_zone()), rel=1e-4)


def test_gradients_are_those_of_the_straight_through_estimator():
    torch.manual_seed(0)
    weight = torch.randn(500)
    quantizer = quantizer_of(weight, bits=4)
    latent, g = weight.clone().requires_grad_(), torch.randn(500)
    (quantizer(latent) * g).sum().backward()
    torch.testing.assert_close(latent.grad, g)

    q, s = quantizer.codes(weight), quantizer.delta()
    d, m, top = float(quantizer.dead_zone()), float(quantizer.magnitude), 7
    r = weight.sign() * torch.relu(weight.abs() - (d / 2 - s / 2)) / s
    by_step = q - r - (q.sign() - weight.sign()) / 2
    by_width = (q.sign() - weight.sign()) / 2 - by_step / (2 * top - 1)
    tanh = torch.tensor(0.4).tanh()
    expected = float((g * by_width).sum()) * -2 * m * float(1 - tanh**2)
    assert float(quantizer.dead_zone_logit.grad) == pytest.approx(expected, rel=1e-3)


def test_start_is_nearly_without_a_dead_zone():
    quantizer = DeadZoneQuantizer(bits=None)
    assert quantizer.bits == 8
    assert float(quantizer.dead_zone()) == pytest.approx(0.0099, abs=1e-4)


@pytest.mark.parametrize(("logit", "bits"), [(3.0, 8), (0.0, 2), (0.55, 5), (-0.55, 5), (0.1, 3)])
def test_bits_follow_their_parameter(logit, bits):
    weight = torch.linspace(-1, 1, 2001)
    quantizer = quantizer_of(weight, 3.0, bits=None)
    with torch.no_grad():
        quantizer.bit_logit.fill_(logit)
    assert quantizer.bits == bits
    assert len(quantizer(weight).detach().unique()) == len(quantizer.levels) == 2**bits - 1
    quantizer(weight).square().sum().backward()
    assert quantizer.bit_logit.grad.isfinite()


def test_decay_of_the_parameters_prunes_and_takes_bits():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 5))
    for layer, bits in zip(model, (None, 4), strict=True):
        parametrize.register_parametrization(layer, "weight", DeadZoneQuantizer(bits))
    groups = dead_zone_parameters(model), bit_parameters(model)
    assert [len(group) for group in groups] == [2, 1]
    optimizer = torch.optim.AdamW(
        [{"params": groups[0], "weight_decay": 5.0}, {"params": groups[1], "weight_decay": 5.0}],
        lr=1e-2,
    )
    before = float((model[0].weight == 0).float().mean())
    for _ in range(60):
        optimizer.zero_grad()
        (0 * model(torch.randn(4, 20))).sum().backward()
        optimizer.step()
    assert float((model[0].weight == 0).float().mean()) > before + 0.3
    assert model[0].parametrizations.weight[0].bits < 6


def test_bits_out_of_range_are_refused():
    for options in ({"bits": 1}, {"bits": None, "max_bits": 2}):
        with pytest.raises(ValueError, match="bits"):
            DeadZoneQuantizer(**options)
