"""Logic gates between feature maps of few levels, with straight-through gradients.

The gates of ORNet and MUXORNet (arXiv 2501.04517): an OR in place of a residual addition, and a
multiplexer whose select signal comes from a thresholded global average pooling (TGAP). The paper
has them between binary maps. A map of levels 0 .. T is T binary maps, "level at least k" (a
thermometer code), and gates work on each of these: so the OR of two levels is their maximum.
(Our choice, because the OR of their binary digits would make 3 of 1 and 2; and a maximum passes
through the 2x2 maximum of a pooling, before or behind which a gate is then the same.)

    x1 --+-----------------------> OR ---> 1 \
         |                         ^          MUX ---> y
         +--> mean over H, W       |        0 /  ^
         |      >= theta: TGAP ----|-------------+
         +-------------------------|------> 0
    x2 (skip) ---------------------+
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

GATE_WIDTH = 1.0
"""Width of the box through which gates pass gradients to their thresholds."""
SPARSITY_THRESHOLD = 0.5
Opens = Literal["dense", "sparse"]
"""Which channels a multiplexer gives the OR: those of a dense main path, or of a sparse one."""
OPENS = get_args(Opens)


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
    def forward(ctx: Any, x1: Tensor, x2: Tensor, top: int) -> Tensor:
        ctx.save_for_backward(torch.minimum(x1, x2))
        ctx.top = top
        return torch.maximum(x1, x2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        (both,) = ctx.saved_tensors
        passed = grad * (1 - both / ctx.top)
        return passed, passed, None


def or_gate(x1: Tensor, x2: Tensor, top: int = 1) -> Tensor:
    """y = x1 OR x2, which for binary maps is H(x1 + x2), arXiv 2501.04517.

    The gradient to each input is 1 where |x1 + x2| <= 1 and 0 elsewhere: where both inputs are 1,
    neither alone decides. Of levels each binary map has this gradient, and the level has their
    mean: 1 - min(x1, x2) / top.

    Args:
        x1, x2: float tensors of one shape, values 0 .. ``top``.
        top: T, the largest level.

    Returns:
        Same shape and dtype, values 0 .. ``top``.
    """
    return _Or.apply(x1, x2, top)


def thresholded_pool(
    x: Tensor, threshold: Tensor | float = SPARSITY_THRESHOLD, top: int = 1
) -> Tensor:
    """TGAP: t_c = H(mean over height and width of x_c / top - threshold), arXiv 2501.04517.

    The gradient passes a box of width 1 around the threshold and is spread evenly over the map.
    The comparison is exact where x holds integers, so that `opening_sums` repeats it.

    Args:
        x: (N, C, H, W), values 0 .. ``top``.
        threshold: a number, or a tensor that broadcasts to (1, C, 1, 1). The paper's was not at
            hand; 1/2, the majority of a map, is our default because it is a shift and a compare
            in hardware.
        top: T, the largest level.

    Returns:
        (N, C, 1, 1), values 0 and 1.
    """
    full = x.shape[2] * x.shape[3] * top
    sums = x.float().sum(dim=(2, 3), keepdim=True).double()
    wanted = threshold.double() if isinstance(threshold, Tensor) else threshold
    return heaviside((sums - full * wanted) / full, GATE_WIDTH).to(x.dtype)


@torch.no_grad()
def opening_sums(threshold: Tensor, positions: int, top: int = 1) -> Tensor:
    """The least sums of integers over a map for which `thresholded_pool` gives 1.

    Args:
        threshold: float, any shape.
        positions: H W.
        top: T, the largest level.

    Returns:
        int32, same shape, 0 (always open) .. ``positions * top + 1`` (never).
    """
    full = positions * top
    least = torch.floor(full * threshold.double()) + 1
    return least.clamp_(0, full + 1).to(torch.int32)


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
    """A skip connection of maps of few levels: OR in place of the sum.

    Args:
        top: the largest level; 1 for binary maps.
    """

    def __init__(self, top: int = 1) -> None:
        super().__init__()
        self.top = top

    def forward(self, main: Tensor, skip: Tensor) -> Tensor:
        """Two maps (N, C, H, W) of 0 .. ``top`` -> their OR, same shape and dtype."""
        return or_gate(main, skip, self.top)


class MuxOrSkip(nn.Module):
    """A skip connection that a multiplexer opens channel by channel.

    Channels whose main path is dense (TGAP 1) take the OR with the skip, sparse ones the main path
    alone; or the other way round, which fills sparse channels (compared in docs/CLASSIFY.md).
    (Which way the paper has it was not at hand, nor which input feeds TGAP; the main path is our
    choice, because then the skip's map need not be kept until its mean is known.)

    The threshold is learned, one a channel; a device compares the sum over the map with an
    integer, see `opening_sums`.

    Args:
        channels: C.
        top: the largest level; 1 for binary maps.
        threshold: at first, of all channels. Where it lies far above the share of ones, nearly all
            gates are closed, and learning hardly moves it (measured, docs/CLASSIFY.md).
        opens: see `Opens`.
    """

    def __init__(
        self,
        channels: int,
        top: int = 1,
        threshold: float = SPARSITY_THRESHOLD,
        opens: Opens = "dense",
    ) -> None:
        super().__init__()
        self.top, self.opens = top, opens
        self.threshold = nn.Parameter(torch.full((1, channels, 1, 1), threshold))

    def forward(self, main: Tensor, skip: Tensor) -> Tensor:
        """Two maps (N, C, H, W) of 0 .. ``top`` -> one more, same shape and dtype."""
        dense = thresholded_pool(main, self.threshold, self.top)
        joined = or_gate(main, skip, self.top)
        if self.opens == "sparse":
            return mux_gate(dense, main, joined)
        return mux_gate(dense, joined, main)

    def opening_sums(self, positions: int) -> Tensor:
        """The sums of a map of so many positions from which each channel is dense: int32 (C,)."""
        return opening_sums(self.threshold, positions, self.top).flatten()


class MaximumSkip(nn.Module):
    """The OR of real maps: each is a thermometer code of endlessly many levels.

    The gradient goes to the larger input.
    """

    def forward(self, main: Tensor, skip: Tensor) -> Tensor:
        """Two maps (N, C, H, W) -> their maximum, same shape and dtype."""
        return torch.maximum(main, skip)


class SumSkip(nn.Module):
    """The sum of a residual network (arXiv 1512.03385), which levels end at the largest one.

    Args:
        top: the largest level; None for real maps. Where the sum is larger, it gets no gradient.
    """

    def __init__(self, top: int | None) -> None:
        super().__init__()
        self.top = top

    def forward(self, main: Tensor, skip: Tensor) -> Tensor:
        """Two maps (N, C, H, W) -> their sum, of 0 .. ``top`` where there is one, same shape."""
        total = main + skip
        # Not clamp: at the largest level itself its gradient depends on the version of torch.
        return total if self.top is None else total - torch.relu(total - self.top)


def make_skip(
    kind: str,
    channels: int,
    top: int | None = 1,
    threshold: float = SPARSITY_THRESHOLD,
    opens: Opens = "dense",
) -> nn.Module | None:
    """The module of a skip.

    Args:
        kind: "none", "or", "mux" or "add".
        channels: of both maps.
        top: the largest level; 1 for binary maps, None for real ones, whose OR is the maximum.
        threshold, opens: of "mux", see `MuxOrSkip`.

    Returns:
        (main, skip) -> map of their shape, or None without a skip.

    Raises:
        ValueError: another kind, or "mux" of real maps, whose density has no scale.
    """
    if kind not in ("none", "or", "mux", "add"):
        raise ValueError(f'skips are "none", "or", "mux" or "add", not {kind!r}')
    if kind == "none":
        return None
    if kind == "add":
        return SumSkip(top)
    if top is None:
        if kind == "mux":
            raise ValueError('"mux" needs maps of levels, such as those of "binary" or "hwmsb"')
        return MaximumSkip()
    return OrSkip(top) if kind == "or" else MuxOrSkip(channels, top, threshold, opens)
