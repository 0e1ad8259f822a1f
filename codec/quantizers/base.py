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
    """Maps latent float weights to integer levels; gradients pass straight through.

    A parametrization in the sense of ``torch.nn.utils.parametrize``: the convolution sees only
    integers, so that its accumulators are integers, and factors such as 2/(n-1) belong to the
    normalization behind it.

    Attributes:
        levels: the integers that can occur, ascending.
        bits: storage of one weight, in bits.
    """

    levels: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits that one stored weight takes: ceil(log2(number of levels))."""
        return math.ceil(math.log2(len(self.levels)))

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights of any shape -> integer levels, same shape and dtype."""
        raise NotImplementedError

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Follow the latent weights' statistics; called by the training loop on its schedule."""

    def delta(self) -> float:
        """Width of a quantization step in units of the latent weights; NaN if there is none."""
        return math.nan
