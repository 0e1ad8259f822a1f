"""Pieces of straight-through estimators that several quantizers share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class _Replace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.factor, None


def round_through(x: Tensor) -> Tensor:
    """Nearest integer, ties to even; the gradient is that of the identity. Any shape."""
    rounded: Tensor = _Round.apply(x)
    return rounded


def replace_through(x: Tensor, value: Tensor) -> Tensor:
    """``value``, exactly, with the gradient of ``x``: x + (value - x).detach() without rounding.

    Args:
        x: float tensor of any shape.
        value: what takes its place, same shape and dtype; gets no gradient.
    """
    replaced: Tensor = _Replace.apply(x, value.detach())
    return replaced


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """``x`` itself, whose gradient is multiplied by ``factor``; any shape."""
    scaled: Tensor = _ScaleGradient.apply(x, factor)
    return scaled


def in_single(x: Tensor) -> Tensor:
    """Half-precision tensors as float32, others as they are: what quantizers compute in."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
