"""Logic gates between binary feature maps, with straight-through gradients.

The gates of ORNet and MUXORNet (arXiv 2501.04517): an OR in place of a residual addition, and a
multiplexer whose select signal comes from a thresholded global average pooling (TGAP).

    x1 --+-----------------------> OR ---> 1 \
         |                         ^          MUX ---> y
         +--> mean over H, W       |        0 /  ^
         |      >= theta: TGAP ----|-------------+
         +-------------------------|------> 0
    x2 (skip) ---------------------+
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

GATE_WIDTH = 1.0
"""Width of the box through which gates pass gradients to their thresholds."""
SPARSITY_THRESHOLD = 0.5


class _Heaviside(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.width = width
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= ctx.width / 2) / ctx.width, None


def heaviside(x: Tensor, width: float = 2.0) -> Tensor:
    """H(x) = 1 where x > 0, else 0; so H(0) = 0, as the OR gate needs.

    The gradient is 1 / width on |x| <= width / 2 and 0 elsewhere: a box of area 1. The default
    width of 2 is that of sign's usual clipped gradient, which passes where |x| <= 1 (our choice,
    because the paper's text was not at hand).

    Args:
        x: float tensor of any shape.
        width: of the box, above 0.

    Returns:
        Same shape and dtype, values 0 and 1.
    """
    return _Heaviside.apply(x, width)


class _Or(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x1: Tensor, x2: Tensor) -> Tensor:
        total = x1 + x2
        ctx.save_for_backward(total)
        return (total > 0).to(total.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (total,) = ctx.saved_tensors
        passed = grad * (total.abs() <= 1)
        return passed, passed


def or_gate(x1: Tensor, x2: Tensor) -> Tensor:
    """y = x1 OR x2 = H(x1 + x2), arXiv 2501.04517.

    The gradient to each input is 1 where |x1 + x2| <= 1 and 0 elsewhere: where both inputs are 1,
    neither alone decides.

    Args:
        x1, x2: float tensors of one shape, values 0 and 1.

    Returns:
        Same shape and dtype, values 0 and 1.
    """
    return _Or.apply(x1, x2)


def thresholded_pool(x: Tensor, threshold: Tensor | float = SPARSITY_THRESHOLD) -> Tensor:
    """TGAP: t_c = H(mean over height and width of x_c - threshold), arXiv 2501.04517.

    The gradient passes a box of width 1 around the threshold and is spread evenly over the map.

    Args:
        x: (N, C, H, W), values 0 and 1.
        threshold: a number, or a tensor that broadcasts to (1, C, 1, 1). The paper's was not at
            hand; 1/2, the majority of a map, is our default because it is a shift and a compare
            in hardware.

    Returns:
        (N, C, 1, 1), values 0 and 1.
    """
    return heaviside(x.float().mean(dim=(2, 3), keepdim=True) - threshold, GATE_WIDTH).to(x.dtype)


def mux_gate(select: Tensor, one: Tensor, zero: Tensor) -> Tensor:
    """y = select * one + (1 - select) * zero, with the product rule's gradients.

    Args:
        select: values 0 and 1, of a shape that broadcasts to that of the others.
        one, zero: float tensors of one shape: what 1 and what 0 choose.

    Returns:
        Same shape and dtype as ``one``.
    """
    return zero + select * (one - zero)


class BinaryActivation(nn.Module):
    """``heaviside`` as a module."""

    levels = (0, 1)
    bits = 1

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor -> 0 or 1, same shape and dtype."""
        return heaviside(x)


class OrSkip(nn.Module):
    """A skip connection of binary maps: OR in place of the sum."""

    def forward(self, main: Tensor, skip: Tensor) -> Tensor:
        """Two binary maps (N, C, H, W) -> their OR, same shape and dtype."""
        return or_gate(main, skip)


class MuxOrSkip(nn.Module):
    """A skip connection that a multiplexer opens channel by channel.

    Channels whose main path is dense (TGAP 1) take the OR with the skip, sparse ones the main path
    alone. (Which input feeds TGAP was not at hand; the main path is our choice, because then the
    skip's map need not be kept until its mean is known.)

    The threshold is learned, one a channel, from `SPARSITY_THRESHOLD` on; a device compares the
    count of ones with an integer.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.full((1, channels, 1, 1), SPARSITY_THRESHOLD))

    def forward(self, main: Tensor, skip: Tensor) -> Tensor:
        """Two binary maps (N, C, H, W) -> a binary map, same shape and dtype."""
        select = thresholded_pool(main, self.threshold)
        return mux_gate(select, or_gate(main, skip), main)
