"""Half-wave most-significant-bit activation (HWMSB): two bits, by truncation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

TOP_LEVEL = 3


class _HalfWaveMsb(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.floor(4 * x).clamp_(0, TOP_LEVEL)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return TOP_LEVEL * grad * ((x >= 0) & (x <= 1))


def half_wave_msb(x: Tensor) -> Tensor:
    """y = floor(4 * clip(x, 0, 1 - 2^-k)) in {0, 1, 2, 3}, thresholds 1/4, 1/2, 3/4.

    The activation of the 1 Mb encoder (arXiv 2501.05097), whose outputs {0, 1/3, 2/3, 1} are kept
    as the integers 0..3 so that the next layer's accumulators are integers. The paper's exact
    thresholds were not available. We truncate rather than round, because "most significant bits" of
    a fixed-point number are what truncation keeps: with a power-of-two normalization the whole
    activation is one arithmetic shift and a clamp. (Every k >= 2 gives the same y.)

    The gradient is 3 on 0 <= x <= 1 and 0 elsewhere: the paper's 1 for y / 3.

    Args:
        x: float tensor of any shape.

    Returns:
        Same shape and dtype, values 0, 1, 2, 3.
    """
    return _HalfWaveMsb.apply(x)


class HalfWaveMsb(nn.Module):
    """``half_wave_msb`` as a module."""

    levels = tuple(range(TOP_LEVEL + 1))
    bits = 2

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor -> integers 0..3, same shape and dtype."""
        return half_wave_msb(x)
