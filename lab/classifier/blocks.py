"""What the networks are built of: quantized convolution, normalization, pooling, activation.

x ---> conv, weights q(w) ---> 2x2 maximum (or none) ---> normalization ---> activation ---> y
               ^
latent w ---> quantizer
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from heqcodec.lab.networks.logic_gates import BinaryActivation
from heqcodec.quantizers import BitShiftNorm, HalfWaveMsb
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

NORM_INITS = {
    "plain": (1.0, 0.0),
    "balanced": (0.37, 0.5),
    "half-wave": (0.5, 0.125),
    "sparse": (1.0, -0.5),
}
"""Gamma and beta at first. "half-wave" puts the thresholds of HWMSB at 0.25, 0.75 and 1.25 standard
deviations, as half-wave Gaussian quantization does (arXiv 1702.00953); "balanced" makes its four
levels equally likely; "sparse" leaves three tenths of a binary map ones."""
NEVER = 2**62


class _ScaledGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (factor,) = ctx.saved_tensors
        return grad * factor, None


def matched_gradient(levels: Tensor, latent: Tensor) -> Tensor:
    """The levels as they are, with gradients of the size that the latent weights expect.

    A straight-through gradient reaches the latent weights as if levels were of their size, but
    levels are integers, 20 and more times larger, and what is normalized behind them makes their
    gradients as much smaller. Times |levels| / |latent|, the derivative of w / step, a step of
    gradient descent turns the weights by the same angle as in full precision, so that learning
    rates and weight decay carry over. (Our choice, because recipes are shared by all precisions;
    Adam and Muon would not need it.)

    Args:
        levels: quantized weights, any shape.
        latent: the weights behind them, same shape.

    Returns:
        ``levels``, same shape and dtype.
    """
    with torch.no_grad():
        factor = levels.norm() / latent.norm().clamp_min(1e-12)
    return _ScaledGradient.apply(levels, factor)


class WeightedConv2d(nn.Module):
    """Convolution of stride 1 without bias, zero-padded, by quantized weights or latent ones.

    Groups are computed as one convolution by block-diagonal weights: few, wide groups are quicker
    so than by the grouped kernels of most libraries.

    Args:
        inputs, outputs: channels.
        kernel: side of the square kernel, odd.
        quantizer: parametrization of the weights, or None for full precision.
        groups: a divisor of both numbers of channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        quantizer: nn.Module | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.groups, self.padding = groups, kernel // 2
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if quantizer is not None:
            parametrize.register_parametrization(self, "weight", quantizer)
            self.refresh()

    @property
    def quantizer(self) -> nn.Module | None:
        """The quantizer of the weights, or None."""
        if not parametrize.is_parametrized(self, "weight"):
            return None
        return self._chain[0]

    @property
    def _chain(self) -> parametrize.ParametrizationList:
        lists = cast(nn.ModuleDict, self.parametrizations)
        return cast(parametrize.ParametrizationList, lists["weight"])

    @property
    def latent(self) -> nn.Parameter:
        """The float weights (outputs, inputs / groups, kernel, kernel) behind the levels."""
        if self.quantizer is None:
            return self.weight
        return cast(nn.Parameter, self._chain.original)

    def refresh(self) -> None:
        """Let the quantizer follow the latent weights; nothing without one."""
        if self.quantizer is not None:
            cast(Any, self.quantizer).refresh(self.latent.data)

    @torch.no_grad()
    def remove_median(self) -> None:
        """Shift the latent weights so that their median is 0 (arXiv 2501.04517, suggested)."""
        self.latent.sub_(self.latent.median())

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        weight: Tensor = self.weight
        if self.quantizer is not None and self.training:
            weight = matched_gradient(weight, self.latent)
        if self.groups > 1:
            weight = block_diagonal(weight, self.groups)
        return F.conv2d(x, weight, padding=self.padding)


def block_diagonal(weight: Tensor, groups: int) -> Tensor:
    """Weights (O, I / groups, k, k) of a grouped convolution -> (O, I, k, k) of a plain one."""
    parts = weight.chunk(groups)
    width = weight.shape[1]
    return torch.cat(
        [
            F.pad(part, (0, 0, 0, 0, index * width, (groups - 1 - index) * width))
            for index, part in enumerate(parts)
        ]
    )


def activation(name: str) -> nn.Module:
    """A new activation: "relu", "hwmsb" (2 bits, 0..3), "binary" (0 or 1) or "none".

    Raises:
        KeyError: no such activation.
    """
    kinds = {"relu": nn.ReLU, "hwmsb": HalfWaveMsb, "binary": BinaryActivation, "none": nn.Identity}
    return kinds[name]()


class ConvBlock(nn.Module):
    """Convolution, 2x2 maximum (or none), normalization, activation; in this order.

    The maximum comes before the normalization, as in LQ-Nets' VGG-Small: a quarter of the work,
    and the gradient goes to the true maximum and not to the first of equal levels.

    Args:
        conv: the convolution.
        outputs: its channels.
        active: see ``activation``.
        pool: whether there is a maximum.
        norm_init: a key of `NORM_INITS`.
        bit_shift: whether the normalization can become a bit shift (`BitShiftNorm`).
    """

    def __init__(
        self,
        conv: WeightedConv2d,
        outputs: int,
        active: str,
        pool: bool = False,
        norm_init: str = "plain",
        bit_shift: bool = False,
    ) -> None:
        super().__init__()
        self.conv, self.pool = conv, pool
        scale, bias = NORM_INITS[norm_init]
        if bit_shift:
            self.norm: nn.Module = BitShiftNorm(outputs, scale, bias)
            # Batches of many different images have good statistics of their own.
            cast(BitShiftNorm, self.norm).bn.settle = NEVER
        else:
            self.norm = nn.BatchNorm2d(outputs)
            nn.init.constant_(self.norm.weight, scale)
            nn.init.constant_(self.norm.bias, bias)
        self.activation = activation(active)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W), or half the height and width with pooling."""
        x = self.conv(x)
        if self.pool:
            x = F.max_pool2d(x, 2)
        return cast(Tensor, self.activation(self.norm(x)))


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


def weighted_convolutions(network: nn.Module) -> Iterator[tuple[str, WeightedConv2d]]:
    """The convolutions of a network with their names, from the pixels on."""
    for name, module in network.named_modules():
        if isinstance(module, WeightedConv2d):
            yield name, module
