"""Quantizers on a graphics card: as on the CPU, and never waiting for it."""

import pytest
import torch
from heqcodec.quantizers.gradient_quantizers import (
    PerColumnGradient,
    PerSampleGradient,
    PerTensorGradient,
)
from heqcodec.quantizers.householder import BlockHouseholderGradient, choose_blocks
from heqcodec.quantizers.q2d2 import PairQuantizer
from heqcodec.quantizers.quantized_linear import QuantizedLinear
from heqcodec.quantizers.registry import make_quantizer, quantizer_names
from torch import nn
from torch.nn.utils import parametrize

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")


@pytest.fixture
def no_waiting():
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", quantizer_names())
def test_weights_are_those_of_the_cpu_and_training_does_not_wait(name, no_waiting):
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3, padding=1)
    parametrize.register_parametrization(layer, "weight", make_quantizer(name))
    expected = layer.weight.detach()
    layer, x = layer.cuda(), torch.randn(2, 8, 6, 6, device="cuda")
    different = (layer.weight.detach().cpu() - expected).abs() > 1e-5
    assert different.float().mean() < 0.005
    layer(x).square().mean().backward()
    no_waiting()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = layer(x).float().square().mean()
    loss.backward()


@pytest.mark.parametrize(
    "kind", [PerTensorGradient, PerSampleGradient, PerColumnGradient, BlockHouseholderGradient]
)
def test_gradient_quantizers_do_not_wait(kind, no_waiting):
    x = torch.randn(64, 32, device="cuda")
    x[:3] *= 300
    quantizer = kind(5)
    quantizer(x)
    no_waiting()
    assert quantizer(x).shape == x.shape


def test_blocks_are_those_of_the_cpu():
    torch.manual_seed(0)
    x = torch.randn(64, 32)
    x[:3] *= 300
    for here, there in zip(choose_blocks(x), choose_blocks(x.cuda()), strict=True):
        torch.testing.assert_close(here, there.cpu())


def test_layers_do_not_wait(no_waiting):
    linear, pairs = QuantizedLinear(32, 8).cuda(), PairQuantizer((7, 7, 5, 5)).cuda()
    x = torch.randn(16, 32, device="cuda", requires_grad=True)
    linear(x).square().mean().backward()
    no_waiting()
    loss = linear(x).square().mean() + pairs(x[:, :4]).square().mean()
    loss.backward()
