"""What classifiers are built of: their activations, blocks and the normalization of pixels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from heqcodec.lab.networks.logic_gates import BinaryActivation
from heqcodec.lab.networks.quantized_block import QuantizedBlock, QuantizedConv2d
from heqcodec.quantizers import BitShiftNorm, HalfWaveMsb
from heqcodec.quantizers.hwmsb import TOP_LEVEL
from torch import Tensor, nn

NORM_INITS = {
    "plain": (1.0, 0.0),
    "balanced": (0.37, 0.5),
    "half-wave": (0.5, 0.125),
    "sparse": (1.0, -0.5),
}
"""Gamma and beta at first. "half-wave" puts the thresholds of HWMSB at 0.25, 0.75 and 1.25 standard
deviations, as half-wave Gaussian quantization does (arXiv 1702.00953); "balanced" makes its four
levels equally likely; "sparse" leaves three tenths of a binary map ones."""
TOPS: dict[str, int | None] = {"binary": 1, "hwmsb": TOP_LEVEL, "relu": None}
"""The largest level of an activation's maps, which logic gates may join; None for real numbers."""
NEVER = 2**62


def gated_norm_init(active: str, gate: str) -> str:
    """Where the normalization of a network with gates begins, a key of `NORM_INITS`.

    Binary maps have fewer ones where a gate adds some.
    """
    if active == "binary":
        return "plain" if gate == "none" else "sparse"
    return "half-wave" if active == "hwmsb" else "plain"


def activation(name: str) -> nn.Module:
    """A new activation: "relu", "hwmsb" (2 bits, 0..3), "binary" (0 or 1) or "none".

    Raises:
        KeyError: no such activation.
    """
    kinds = {"relu": nn.ReLU, "hwmsb": HalfWaveMsb, "binary": BinaryActivation, "none": nn.Identity}
    return kinds[name]()


def conv_block(
    inputs: int,
    outputs: int,
    active: str,
    quantizer: nn.Module | None = None,
    pool: bool = False,
    norm_init: str = "plain",
    kernel: int = 3,
    groups: int = 1,
    bit_shift: bool = False,
) -> QuantizedBlock:
    """A block of a classifier.

    Args:
        inputs, outputs, kernel, groups, quantizer: of the convolution, see `QuantizedConv2d`.
        active: see ``activation``.
        pool: whether there is a maximum, of the sums.
        norm_init: a key of `NORM_INITS`.
        bit_shift: whether the normalization can become a bit shift (`BitShiftNorm`).
    """
    conv = QuantizedConv2d(inputs, outputs, kernel, quantizer, groups, match_gradient=True)
    scale, bias = NORM_INITS[norm_init]
    norm: nn.Module
    if bit_shift:
        norm = BitShiftNorm(outputs, scale, bias)
        # Batches of many different images have good statistics of their own.
        norm.bn.settle = NEVER
    else:
        norm = nn.BatchNorm2d(outputs)
        nn.init.constant_(norm.weight, scale)
        nn.init.constant_(norm.bias, bias)
    return QuantizedBlock(conv, norm, activation(active), "sums" if pool else "none")


class PixelNormalization(nn.Module):
    """uint8 pixels -> (pixel - mean) / deviation, channel by channel.

    Args:
        mean, deviation: one number a channel, in units of uint8.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 or float, 0..255 -> float32 of the same shape."""
        return (pixels.float() - self.mean) / self.deviation


def weighted_convolutions(network: nn.Module) -> Iterator[tuple[str, QuantizedConv2d]]:
    """The convolutions of a network with their names, from the pixels on."""
    for name, module in network.named_modules():
        if isinstance(module, QuantizedConv2d):
            yield name, module
