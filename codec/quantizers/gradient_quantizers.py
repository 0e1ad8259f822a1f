"""Unbiased quantizers of gradients, per tensor and per sample, and where to put them."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from .randomness import RandomSource, stochastic_round
from .straight_through import in_single

SMALLEST_RANGE = 1e-30
"""Of a row that is constant; anything positive, since its entries are 0 above the minimum."""


class GradientQuantizer(Protocol):
    """Replaces a gradient by few values whose expectation is the gradient."""

    def __call__(self, gradient: Tensor) -> Tensor:
        """Float (N, D), N samples -> same shape and dtype."""


def _require_bits(bits: int) -> int:
    if not 1 <= bits <= 16:
        raise ValueError(f"gradients are quantized to 1 to 16 bits, but got {bits}.")
    return 2**bits - 1


def round_rows(x: Tensor, bins: int, random: RandomSource) -> Tensor:
    """Each row to bins + 1 evenly spaced values from its minimum to its maximum, stochastically.

    Args:
        x: float (N, D).
        bins: B, >= 1.
        random: of the rounding.

    Returns:
        Same shape and dtype; every value between its row's extremes, expectation x.
    """
    low = x.amin(dim=1, keepdim=True)
    width = (x.amax(dim=1, keepdim=True) - low).clamp(min=SMALLEST_RANGE)
    code = stochastic_round((x - low) / width * bins, random).clamp_(0, bins)
    return code / bins * width + low


class PerTensorGradient:
    """PTQ: one range for the whole gradient (arXiv 2010.14298).

    With ``zero`` the range is widened to include 0 and moved so that 0 is one of the values, as in
    the authors' code: gradients that are 0 stay 0. We widen it by the one bin that the move may
    cost. (Our choice: the released code moves a range without widening, and what falls out of it is
    clipped, which is a bias.)

    Args:
        bits: b, 1 to 16; 2^b - 1 bins.
        seed: of the rounding.
        zero: whether 0 is a value; otherwise the range is minimum to maximum, whatever they are.

    Raises:
        ValueError: bits out of range, or a single one and ``zero``: there is no bin to spare.
    """

    def __init__(self, bits: int = 8, seed: int = 0, zero: bool = True) -> None:
        self.bins, self.zero = _require_bits(bits), zero
        if zero and bits < 2:
            raise ValueError("a range that contains 0 as a value takes 2 bits or more.")
        self.random = RandomSource(seed)

    def __call__(self, gradient: Tensor) -> Tensor:
        """Float (N, D) -> same shape and dtype."""
        x = in_single(gradient)
        if not self.zero:
            rounded = round_rows(x.reshape(1, -1), self.bins, self.random)
            return rounded.view_as(x).to(gradient.dtype)
        low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
        width = ((high - low) / (self.bins - 1)).clamp(min=SMALLEST_RANGE)
        zero = torch.ceil(-low / width)
        code = stochastic_round(x / width, self.random)
        code = torch.maximum(torch.minimum(code, self.bins - zero), -zero)
        return (code * width).to(gradient.dtype)


class PerSampleGradient:
    """PSQ: a range for each sample, row by row (arXiv 2010.14298).

    z = min, s = B / (max - min), Q(x) = SR(s (x - z)) / s + z.

    Args:
        bits: b, 1 to 16; 2^b - 1 bins.
        seed: of the rounding.

    Raises:
        ValueError: bits out of range.
    """

    def __init__(self, bits: int = 8, seed: int = 0) -> None:
        self.bins = _require_bits(bits)
        self.random = RandomSource(seed)

    def __call__(self, gradient: Tensor) -> Tensor:
        """Float (N, D) -> same shape and dtype."""
        rounded = round_rows(in_single(gradient), self.bins, self.random)
        return rounded.to(gradient.dtype)


class PerColumnGradient(PerSampleGradient):
    """PSQ of the transposed gradient: a range for each of the D features.

    What the authors' code uses for the gradient of the weights while the one of the activations is
    quantized per sample: the sum over samples leaves columns apart.
    """

    def __call__(self, gradient: Tensor) -> Tensor:
        """Float (N, D) -> same shape and dtype."""
        return super().__call__(gradient.t()).t()


class _QuantizeGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantizer: GradientQuantizer) -> Tensor:
        ctx.quantizer = quantizer
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        rows = grad.reshape(grad.shape[0], -1)
        return ctx.quantizer(rows).reshape(grad.shape), None


def quantize_gradient(x: Tensor, quantizer: GradientQuantizer) -> Tensor:
    """``x`` itself, whose gradient is quantized on its way back.

    Args:
        x: float (N, ...), N samples; the gradient is flattened to (N, D).
        quantizer: see above.

    Returns:
        A view of x.
    """
    same: Tensor = _QuantizeGradient.apply(x, quantizer)
    return same
