"""Every weight quantizer of the registry on one convolution."""

import copy
import math

import pytest
import torch
from heqcodec.quantizers import BinaryQuantizer, level_statistics
from heqcodec.quantizers.registry import REGISTRY, make_quantizer, quantizer_names
from torch import nn
from torch.nn.utils import parametrize

OPTIONS = [(name, {}) for name in quantizer_names()] + [
    ("heq", {"levels": 4}),
    ("heq", {"levels": 8, "zero_median": True}),
    ("uniform", {"levels": 16}),
    ("eqnet", {"bits": 2, "granularity": "channel", "symmetric": False}),
    ("eqnet", {"bits": 3, "granularity": "tensor", "symmetric": False}),
    ("eqnet", {"bits": 8, "granularity": "channel"}),
    ("codeq", {"bits": None}),
    ("codeq", {"bits": 2}),
    ("q2d2", {"shape": "rectangular", "levels": (3, 4)}),
    ("q2d2", {"shape": "hexagonal", "levels": 4}),
    ("tinyllava", {"levels": 3}),
    ("lsq", {"bits": 2}),
    ("int4-hadamard", {"bits": 3, "block": 8}),
]


@pytest.fixture
def layer():
    torch.manual_seed(3)
    return nn.Conv2d(8, 16, 3, padding=1)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_one_line_swaps_the_quantizer_of_a_convolution(layer, name, options):
    parametrize.register_parametrization(layer, "weight", make_quantizer(name, **options))
    quantizer = layer.parametrizations.weight[0]
    latent = layer.parametrizations.weight.original
    quantizer.refresh(latent.data)
    x = torch.randn(2, 8, 6, 6)
    layer(x).square().mean().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    assert latent.grad.abs().sum() > 0
    weight = layer.weight.detach()
    assert weight.shape == latent.shape
    assert weight.dtype == torch.float32

    codes = quantizer.codes(latent.detach())
    assert set(codes.unique().tolist()) <= set(quantizer.levels)
    assert list(quantizer.levels) == sorted(quantizer.levels)
    assert len(codes.unique()) > 1
    layer.eval()
    weight = layer.weight.detach()
    if name == "int4-hadamard":
        weight = quantizer._rotated(weight)
    # What the layer computes with is a function of the code, channel by channel at most.
    for channel, channel_codes in zip(weight, codes, strict=True):
        for code in channel_codes.unique():
            values = channel[channel_codes == code]
            assert float(values.max() - values.min()) < 1e-5

    statistics = level_statistics(quantizer, latent.detach())
    assert sum(statistics["occupancy"]) == pytest.approx(1)
    assert 0 < statistics["entropy_ratio"] <= 1 + 1e-9
    assert math.isnan(quantizer.delta()) or quantizer.delta() > 0


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_state_and_copies_give_the_same_weights(layer, name, options):
    other = copy.deepcopy(layer)
    parametrize.register_parametrization(layer, "weight", make_quantizer(name, **options))
    with torch.no_grad():
        other.weight.mul_(3)
    parametrize.register_parametrization(other, "weight", make_quantizer(name, **options))
    other.load_state_dict(layer.state_dict())
    for copied in (other, copy.deepcopy(layer)):
        assert torch.equal(copied.weight, layer.weight)


@pytest.mark.parametrize("name", quantizer_names())
def test_registry_line_tells_the_bits(name):
    entry = REGISTRY[name]
    assert entry.make().bits == entry.bits
    assert entry.source


@pytest.mark.parametrize("name", quantizer_names())
def test_quantizers_follow_the_scale_of_new_weights_before_training(name, layer):
    parametrize.register_parametrization(layer, "weight", make_quantizer(name))
    plain = layer.parametrizations.weight[0].codes(layer.parametrizations.weight.original.detach())
    layer.weight = 5 * layer.parametrizations.weight.original.detach()
    scaled = layer.parametrizations.weight[0].codes(layer.parametrizations.weight.original.detach())
    assert (plain != scaled).float().mean() < 0.01


@pytest.mark.parametrize("name", quantizer_names())
def test_quantizers_are_exact_under_autocast(name, layer):
    parametrize.register_parametrization(layer, "weight", make_quantizer(name))
    expected = layer.weight.detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.weight, expected)
        layer(torch.randn(2, 8, 6, 6)).float().square().mean().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_unknown_names_and_options_are_refused():
    assert isinstance(make_quantizer("binary"), BinaryQuantizer)
    with pytest.raises(ValueError, match="those known are binary"):
        make_quantizer("heq2000")
    with pytest.raises(TypeError):
        make_quantizer("heq3", colour="red")
    with pytest.raises(ValueError, match="2 to 16 bits"):
        make_quantizer("lsq", bits=1)
