"""Sign with a straight-through gradient, for binary weights and for the binary code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .base import GradientWindow, WeightQuantizer, window_gradient


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: GradientWindow) -> Tensor:
        ctx.save_for_backward(x)
        ctx.window = window
        # torch.sign(0) is 0, and a binary layer has no such level.
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return window_gradient(grad, x, 1.0, ctx.window), None


def binary_sign(x: Tensor, window: GradientWindow = "clip") -> Tensor:
    """Sign in {-1, +1} with sign(0) = +1; the gradient passes where |x| <= 1.

    Args:
        x: float tensor of any shape.
        window: see ``window_gradient``.

    Returns:
        Same shape and dtype, values -1 and +1.
    """
    return _Sign.apply(x, window)


class BinaryQuantizer(WeightQuantizer):
    """Weights in {-1, +1}: sign with the clipped straight-through gradient, sign(0) = +1.

    ``refresh`` clamps the latent weights to [-1, 1] (BinaryConnect), so that none wanders off to
    where the clipped gradient would never reach it again.
    """

    is_integer = True
    _levels = (-1, 1)

    def __init__(self, window: GradientWindow = "clip") -> None:
        super().__init__()
        self.window: GradientWindow = window

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> -1 or +1, same shape and dtype."""
        return binary_sign(weight, self.window)

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Clamp the latent weights to [-1, 1], in place."""
        weight.clamp_(-1, 1)
