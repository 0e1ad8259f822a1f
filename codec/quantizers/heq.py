"""Histogram-equalized quantizer (HEQ) for ternary, quinary and other level counts."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from .base import GradientWindow, WeightQuantizer, window_gradient

StepRule = Literal["A", "B", "C"]


def quantile_step(weight: Tensor, levels: int, rule: StepRule = "A") -> Tensor:
    """Step size from the n-quantiles q_1 .. q_(n-1) of the weights.

    HEQ (arXiv 2501.04517) derives one step per layer from the layer's n-quantiles; its equation
    was not available, so three readings are offered. With t_i = i - n/2:

    * ``"A"``: (q_(n-1) - q_1) / (n-2), the mean gap. The outer levels get exactly 1/n of the
      weights each. Our default.
    * ``"B"``: sum(t_i q_i) / sum(t_i^2), the least-squares fit of the thresholds t_i * step.
    * ``"C"``: mean(q_i / t_i), over t_i other than 0.

    For n = 3 all three agree. Thresholds are at t_i * step for even n too.

    Args:
        weight: float tensor of any shape.
        levels: n, at least 3.
        rule: see above.

    Returns:
        Scalar tensor on the weights' device, >= 0 for rules A and B on any weights that are
        spread around zero.

    Raises:
        ValueError: a too small n, or an unknown rule.
    """
    _require_levels(levels)
    fractions = torch.arange(1, levels, device=weight.device, dtype=torch.float32) / levels
    quantiles = torch.quantile(weight.detach().flatten().float(), fractions)
    centred = torch.arange(1, levels, device=weight.device, dtype=torch.float32) - levels / 2
    if rule == "A":
        return (quantiles[-1] - quantiles[0]) / (levels - 2)
    if rule == "B":
        return (centred * quantiles).sum() / (centred * centred).sum()
    if rule == "C":
        return torch.cat([quantiles[t] / centred[t] for t in _sides(levels)]).mean()
    raise ValueError(f'the step rule is "A", "B" or "C", but got {rule!r}.')


def _require_levels(levels: int) -> None:
    if levels < 3:
        raise ValueError(f"HEQ needs 3 levels or more (2 are BinaryQuantizer's), but got {levels}.")


def _sides(levels: int) -> tuple[slice, slice]:
    """The quantiles below and above zero: for an even n the middle one has no say in the step."""
    below = (levels - 1) // 2
    return slice(0, below), slice(levels - 1 - below, None)


class _RoundToLevels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, step: Tensor, levels: int, window: GradientWindow
    ) -> Tensor:
        u = weight / step
        ctx.save_for_backward(u)
        ctx.bound, ctx.window = levels / 2, window
        half = levels // 2
        if levels % 2:
            return torch.round(u).clamp_(-half, half)
        return torch.floor(u).clamp_(-half, half - 1).mul_(2).add_(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (u,) = ctx.saved_tensors
        return window_gradient(grad, u, ctx.bound, ctx.window), None, None, None


class HistogramEqualizedQuantizer(WeightQuantizer):
    """g(w) = clip(round(w / step), -(n-1)/2, (n-1)/2), with nearly equiprobable levels.

    HEQ (arXiv 2501.04517), and the weight quantizer of the 1 Mb encoder (arXiv 2501.05097), without
    its factor 2/(n-1). The step is a buffer: it moves only in ``refresh``, which the paper calls
    once an epoch, and gets no gradient. The gradient is straight-through inside
    ``|w / step| <= n/2`` (where rounding has not saturated).

    For even n, which the paper only mentions, the levels are the odd integers -(n-1) .. n-1, twice
    the half-integers that the same formula gives with floor(w / step) + 1/2 in place of the
    rounding. (Our choice, because accumulators stay integers then.)

    Args:
        levels: n, at least 3 (3 ternary, 5 quinary).
        rule: how the step follows from the quantiles, see ``quantile_step``.
        window: what happens to gradients outside, see ``window_gradient``.
        zero_median: subtract the median that the weights had at the last refresh. The paper
            suggests a median forced to zero, untested; the latents themselves stay as they are.

    Raises:
        ValueError: fewer than 3 levels.
    """

    is_integer = True
    step: Tensor
    median: Tensor | None

    def __init__(
        self,
        levels: int = 3,
        rule: StepRule = "A",
        window: GradientWindow = "clip",
        zero_median: bool = False,
    ) -> None:
        super().__init__()
        _require_levels(levels)
        self.top = levels // 2 if levels % 2 else levels - 1
        self._levels = tuple(range(-self.top, self.top + 1, 1 if levels % 2 else 2))
        self.rule: StepRule = rule
        self.window: GradientWindow = window
        self.register_buffer("step", torch.ones(()))
        self.register_buffer("median", torch.zeros(()) if zero_median else None)

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> integers of ``levels``, same shape and dtype."""
        if self.median is not None:
            weight = weight - self.median
        quantized: Tensor = _RoundToLevels.apply(weight, self.step, len(self.levels), self.window)
        return quantized

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set the step, and the median if required, from the quantiles of the latent weights.

        A layer whose quantiles coincide (all weights equal) keeps its last step, because a step
        of zero would turn the layer into infinities.
        """
        if self.median is not None:
            self.median.copy_(torch.quantile(weight.flatten().float(), 0.5))
        step = quantile_step(weight, len(self.levels), self.rule)
        self.step.copy_(torch.where(step > 0, step.to(self.step.dtype), self.step))

    def delta(self) -> float:
        """The step, in units of the latent weights."""
        return float(self.step)

    def extra_repr(self) -> str:
        centred = ", zero_median=True" if self.median is not None else ""
        return f"levels={len(self.levels)}, rule={self.rule!r}, window={self.window!r}{centred}"
