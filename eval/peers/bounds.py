"""Parameters and values kept above a bound without losing the gradient that leads away from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _LowerBoundFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: Tensor) -> Tensor:
        ctx.save_for_backward(x, bound)
        return torch.max(x, bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, bound = ctx.saved_tensors
        (gradient,) = gradients
        return ((x >= bound) | (gradient < 0)) * gradient, None


class LowerBound(nn.Module):
    """``max(x, bound)``, but a gradient that would raise ``x`` passes also below the bound.

    Ballé, Minnen, Singh, Hwang and Johnston 2018, as CompressAI has it.
    """

    bound: Tensor

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.register_buffer("bound", torch.tensor([bound]))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        bounded: Tensor = _LowerBoundFunction.apply(x, self.bound)
        return bounded


class NonNegative(nn.Module):
    """A parameter stored as a square root, so that what it stands for stays at or above a minimum.

    ``value = max(stored, bound)^2 - pedestal``; the pedestal keeps the gradient at 0 alive (Ballé
    2018, "Efficient nonlinear transforms for lossy image compression").
    """

    pedestal: Tensor

    def __init__(self, minimum: float = 0.0, offset: float = 2.0**-18) -> None:
        super().__init__()
        self.register_buffer("pedestal", torch.tensor([offset**2]))
        self.lower_bound = LowerBound((minimum + offset**2) ** 0.5)

    def stored(self, value: Tensor) -> Tensor:
        """What to store for a value."""
        return torch.sqrt(torch.max(value + self.pedestal, self.pedestal))

    def forward(self, stored: Tensor) -> Tensor:
        """The value of what is stored."""
        root: Tensor = self.lower_bound(stored)
        return root**2 - self.pedestal
