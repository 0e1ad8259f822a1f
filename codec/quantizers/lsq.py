"""Learned step size quantization (LSQ)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .base import WeightQuantizer

SMALLEST_STEP = 1e-8
"""A learned step may cross zero; its magnitude is used, and never less than this."""


class _LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, low: int, high: int) -> Tensor:
        u = x / step
        ctx.save_for_backward(u)
        ctx.low, ctx.high, ctx.shape = low, high, step.shape
        return torch.round(u).clamp_(low, high) * step

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (u,) = ctx.saved_tensors
        inside = (u >= ctx.low) & (u <= ctx.high)
        slope = torch.where(inside, torch.round(u) - u, u.clamp(ctx.low, ctx.high))
        step_grad = (grad * slope).sum_to_size(ctx.shape) / math.sqrt(u.numel() * ctx.high)
        return grad * inside, step_grad, None, None


def learned_step(x: Tensor, step: Tensor, low: int, high: int) -> Tensor:
    """step * clip(round(x / step), low, high) with the gradients of LSQ.

    LSQ (arXiv 1902.08153), u = x / step: dx passes where u, before it is rounded, lies within
    low .. high; dstep = sum g * (low | high | round(u) - u) / sqrt(numel * high), the last where dx
    passes. (The paper leaves out the two ends, the code of arXiv 2306.11987 takes them in, as we
    do. EQ-Net, arXiv 2308.07650, clips before it rounds, where torch decides about the ends.)

    Args:
        x: float tensor of any shape.
        step: > 0, a scalar tensor or one that broadcasts to x.
        low, high: smallest and largest code, high > 0.

    Returns:
        Same shape and dtype as x.
    """
    quantized: Tensor = _LearnedStep.apply(x, step, low, high)
    return quantized


def initial_step(x: Tensor, high: int) -> Tensor:
    """2 mean|x| / sqrt(high) + 1e-10, where LSQ starts: scalar float32 tensor."""
    return 2 * x.detach().float().abs().mean() / math.sqrt(high) + 1e-10


def positive(step: Tensor) -> Tensor:
    """The magnitude of a learned step, at least ``SMALLEST_STEP``; same shape."""
    return step.abs().clamp(min=SMALLEST_STEP)


class LsqQuantizer(WeightQuantizer):
    """Weights on step * {-2^(b-1) .. 2^(b-1) - 1}, whose step is a parameter of the layer.

    The step starts from the weights' mean magnitude, and ``refresh`` repeats that as long as no
    optimizer has moved it: so a layer that is given other weights before it trains fits them.

    Args:
        bits: b, 2 to 16.

    Raises:
        ValueError: bits out of range.
    """

    initial: Tensor

    def __init__(self, bits: int = 4) -> None:
        super().__init__()
        if not 2 <= bits <= 16:
            raise ValueError(f"LSQ takes 2 to 16 bits, but got {bits}.")
        self.low, self.high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        self._levels = tuple(range(self.low, self.high + 1))
        self.step = nn.Parameter(torch.ones(()))
        self.register_buffer("initial", torch.ones(()))

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> step times integers of ``levels``, same shape and dtype."""
        return learned_step(weight, positive(self.step), self.low, self.high)

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Integers of ``levels``, same shape and dtype."""
        return torch.round(weight / positive(self.step)).clamp_(self.low, self.high)

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set the step from the weights, unless training has moved it."""
        untouched = self.step == self.initial
        start = initial_step(weight, self.high).to(self.step.dtype)
        self.step.copy_(torch.where(untouched, start, self.step))
        self.initial.copy_(torch.where(untouched, start, self.initial))

    def delta(self) -> float:
        """The step, in units of the latent weights."""
        return float(positive(self.step.detach()))

    def extra_repr(self) -> str:
        return f"bits={self.bits}"
