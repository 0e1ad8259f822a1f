"""The quantized convolution block of encoder, classifiers and comparisons.

x ---> conv, weights q(w) ---> [2x2 maximum] ---> normalization ---> [2x2 maximum] ---> activation
               ^
latent w ---> quantizer
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

import torch
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.bifurcation import bifurcated
from heqcodec.quantizers.gradient_quantizers import GradientQuantizer, quantize_gradient
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

Pool = Literal["none", "sums", "normalized"]
"""Where a 2x2 maximum is taken, if anywhere. Of the sums it is a quarter of the normalization's
work, as in LQ-Nets' VGG-Small. Before the activation in both cases: the values are the same, since
the activation is monotone, but the gradient goes to the true maximum and not to the first of equal
levels."""


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


class ConvGradients(NamedTuple):
    """How the gradient of a convolution's output is quantized (arXiv 2010.14298).

    activation: on its way to the input; and to the weights too, without ``weight``.
    weight: on its way to the weights, by gradient bifurcation.
    """

    activation: GradientQuantizer
    weight: GradientQuantizer | None = None


class QuantizedConv2d(nn.Conv2d):
    """Convolution of stride 1 without bias, zero-padded, by quantized weights or latent ones.

    Args:
        inputs, outputs: channels.
        kernel: side of the square kernel, odd.
        quantizer: parametrization of the weights, or None for full precision.
        groups: a divisor of both numbers of channels.
        match_gradient: see `matched_gradient`.

    Attributes:
        gradients: quantizers of the gradient, used in training mode; None for full precision.
    """

    gradients: ConvGradients | None = None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        quantizer: nn.Module | None = None,
        groups: int = 1,
        match_gradient: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.match_gradient = match_gradient
        if quantizer is not None:
            self.quantize(quantizer)
            self.refresh()

    def reset_parameters(self) -> None:
        """Normal weights of the deviation that keeps a ReLU's variance (arXiv 1502.01852)."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def quantize(self, quantizer: nn.Module) -> None:
        """Give full-precision weights a quantizer, which follows them from now on."""
        parametrize.register_parametrization(self, "weight", quantizer)

    @property
    def _chain(self) -> parametrize.ParametrizationList | None:
        if not parametrize.is_parametrized(self, "weight"):
            return None
        lists = cast(nn.ModuleDict, self.parametrizations)
        return cast(parametrize.ParametrizationList, lists["weight"])

    @property
    def quantizer(self) -> WeightQuantizer | None:
        """The quantizer of the weights, None for full precision."""
        return None if self._chain is None else cast(WeightQuantizer, self._chain[0])

    @property
    def latent(self) -> nn.Parameter:
        """The float weights (outputs, inputs / groups, kernel, kernel) behind the levels."""
        weight = self.weight if self._chain is None else self._chain.original
        return cast(nn.Parameter, weight)

    def refresh(self) -> None:
        """Let the quantizer follow the latent weights; nothing without one."""
        if self.quantizer is not None:
            self.quantizer.refresh(self.latent.data)

    @torch.no_grad()
    def remove_median(self) -> None:
        """Shift the latent weights so that their median is 0 (arXiv 2501.04517, suggested)."""
        self.latent.sub_(self.latent.median())

    def forward(self, x: Tensor, floating: bool = False) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W); with ``floating`` by the latent weights."""
        weight: Tensor = self.latent if floating else self.weight
        if self.match_gradient and self.training and self.quantizer is not None:
            weight = matched_gradient(weight, self.latent)
        if self.gradients is None or not self.training:
            return self._product(x, weight)
        activation, of_weight = self.gradients
        if of_weight is None:
            return quantize_gradient(self._product(x, weight), activation)
        return bifurcated(self._product, x, (weight,), activation, of_weight)

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        groups = self.groups
        if groups > 1 and x.is_cuda:
            # Few, wide groups: quicker so than by the grouped kernels of a graphics card. On a CPU
            # they take half the time of the plain convolution.
            weight, groups = block_diagonal(weight, groups), 1
        return F.conv2d(x, weight, None, 1, self.padding, 1, groups)


class QuantizedBlock(nn.Module):
    """Convolution, normalization, activation, and a 2x2 maximum where there is one.

    Args:
        conv: the convolution.
        norm: of its outputs.
        activation: of any module.
        pool: see `Pool`.
    """

    def __init__(
        self, conv: QuantizedConv2d, norm: nn.Module, activation: nn.Module, pool: Pool = "none"
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.activation, self.pool = conv, norm, activation, pool

    @property
    def latent(self) -> nn.Parameter:
        """The float weights behind the levels."""
        return self.conv.latent

    @property
    def quantizer(self) -> WeightQuantizer | None:
        """The quantizer of the weights, None for full precision."""
        return self.conv.quantizer

    def normalized(self, x: Tensor, floating: bool = False) -> Tensor:
        """What the activation sees: normalized sums, after the maximum.

        Args:
            x: (N, in, H, W).
            floating: by the latent weights.

        Returns:
            (N, out, H, W), or half the height and width behind a maximum.
        """
        z = self.conv(x, floating)
        if self.pool == "sums":
            z = F.max_pool2d(z, 2)
        z = self.norm(z)
        return F.max_pool2d(z, 2) if self.pool == "normalized" else cast(Tensor, z)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W), or half the height and width behind a maximum."""
        return cast(Tensor, self.activation(self.normalized(x)))
