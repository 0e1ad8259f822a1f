"""What every weight quantizer of the encoder offers to the network and to the training loop."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

GradientWindow = Literal["clip", "inward", "identity"]


def window_gradient(
    grad: Tensor, u: Tensor, bound: float | Tensor, window: GradientWindow
) -> Tensor:
    """Straight-through gradient of a quantizer that saturates at ``|u| = bound``.

    Args:
        grad: gradient with respect to the quantized value, any shape.
        u: latent value that was quantized, same shape, in the units of ``bound``.
        bound: where the forward function saturates.
        window: ``"clip"`` passes the gradient where ``|u| <= bound`` (HEQ, arXiv 2501.04517;
            binary networks). ``"inward"`` passes, in addition, gradients whose descent step brings
            a saturated weight back; our choice for networks trained from scratch, because with
            ``"clip"`` a fifth of Gaussian ternary weights would never move again.
            ``"identity"`` passes everything.

    Returns:
        The gradient with respect to ``u``'s source, same shape as ``grad``.
    """
    if window == "identity":
        return grad
    passes = u.abs() <= bound
    if window == "inward":
        # Descent subtracts the gradient, so the same sign as u means a step towards zero.
        passes = passes | (grad * u > 0)
    return grad * passes


class WeightQuantizer(nn.Module):
    """Maps latent float weights to few values; gradients pass by a surrogate.

    A parametrization in the sense of ``torch.nn.utils.parametrize``: one line,
    ``register_parametrization(layer, "weight", quantizer)``, gives any layer quantized weights,
    and the quantizer follows the layer's weights at that moment (``right_inverse``). Quantizers of
    integers (HEQ, binary) let the convolution see only integers, so that its accumulators are
    integers, and factors such as 2/(n-1) belong to the normalization behind it. Others put
    a scale of their own on ``codes``.

    Attributes:
        levels: the codes that can occur, ascending; integers where there is a choice.
        bits: storage of one weight, in whole bits.
        is_integer: whether a trained layer computes with ``codes`` themselves, integers of a
            symmetric set, so that it can be exported to an integer encoder.
    """

    is_integer = False
    _levels: tuple[float, ...]

    @property
    def levels(self) -> tuple[float, ...]:
        """The values of ``codes``, ascending."""
        return self._levels

    @property
    def bits(self) -> int:
        """Bits that one stored weight takes: ceil(log2(number of levels))."""
        return math.ceil(math.log2(len(self.levels)))

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights of any shape -> what the layer computes with, same shape and dtype."""
        raise NotImplementedError

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Which level each weight takes: values of ``levels``, same shape and dtype.

        The same as ``forward`` for quantizers without a scale of their own.
        """
        quantized: Tensor = self(weight)
        return quantized

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Follow the latent weights' statistics; called by the training loop on its schedule."""

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        """Called by ``parametrize`` for weights that a layer is given: they become the latents.

        The quantizer is refreshed by them, so that a layer is ready as soon as it has one.
        """
        self.refresh(weight)
        return weight

    def delta(self) -> float:
        """Width of a quantization step in units of the latent weights; NaN if there is none."""
        return math.nan
