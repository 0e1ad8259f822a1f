"""Histogram-equalized quantizer (HEQ) for ternary, quinary and wider odd level counts."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from .base import GradientWindow, WeightQuantizer, window_gradient

StepRule = Literal["A", "B", "C"]


def quantile_step(weight: Tensor, levels: int, rule: StepRule = "A") -> Tensor:
    """Step size from the n-quantiles q_1 .. q_(n-1) of the weights.

    HEQ (arXiv 2501.04517) derives one step per layer from the layer's n-quantiles; its equation
    was not at hand, so three readings are offered. With t_i = i - n/2:

    * ``"A"``: (q_(n-1) - q_1) / (n-2), the mean gap. The outer levels get exactly 1/n of the
      weights each. Our default.
    * ``"B"``: sum(t_i q_i) / sum(t_i^2), the least-squares fit of the thresholds t_i * step.
    * ``"C"``: mean(q_i / t_i).

    For n = 3 all three agree.

    Args:
        weight: float tensor of any shape.
        levels: n, odd and at least 3.
        rule: see above.

    Returns:
        Scalar tensor on the weights' device, >= 0 for rules A and B on any weights that are
        spread around zero.

    Raises:
        ValueError: an even or too small n, or an unknown rule.
    """
    if levels < 3 or levels % 2 == 0:
        raise ValueError(f"HEQ needs an odd number of levels, 3 or more, but got {levels}.")
    fractions = torch.arange(1, levels, device=weight.device, dtype=torch.float32) / levels
    quantiles = torch.quantile(weight.detach().flatten().float(), fractions)
    centred = torch.arange(1, levels, device=weight.device, dtype=torch.float32) - levels / 2
    if rule == "A":
        return (quantiles[-1] - quantiles[0]) / (levels - 2)
    if rule == "B":
        return (centred * quantiles).sum() / (centred * centred).sum()
    if rule == "C":
        return (quantiles / centred).mean()
    raise ValueError(f'the step rule is "A", "B" or "C", but got {rule!r}.')


class _RoundToLevels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, step: Tensor, half: int, window: GradientWindow
    ) -> Tensor:
        u = weight / step
        ctx.save_for_backward(u)
        ctx.bound, ctx.window = half + 0.5, window
        return torch.round(u).clamp_(-half, half)

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

    Args:
        levels: n, odd and at least 3 (3 ternary, 5 quinary).
        rule: how the step follows from the quantiles, see ``quantile_step``.
        window: what happens to gradients outside, see ``window_gradient``.
    """

    step: Tensor

    def __init__(self, levels: int, rule: StepRule = "A", window: GradientWindow = "clip") -> None:
        super().__init__()
        if levels < 3 or levels % 2 == 0:
            raise ValueError(f"HEQ needs an odd number of levels, 3 or more, but got {levels}.")
        self.top = (levels - 1) // 2
        self.levels = tuple(range(-self.top, self.top + 1))
        self.rule: StepRule = rule
        self.window: GradientWindow = window
        self.register_buffer("step", torch.ones(()))

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> integers in [-(n-1)/2, (n-1)/2], same shape and dtype."""
        return _RoundToLevels.apply(weight, self.step, self.top, self.window)

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set the step from the quantiles of the latent weights.

        A layer whose quantiles coincide (all weights equal) keeps its last step, because a step
        of zero would turn the layer into infinities.
        """
        step = quantile_step(weight, len(self.levels), self.rule)
        self.step.copy_(torch.where(step > 0, step.to(self.step.dtype), self.step))

    def delta(self) -> float:
        """The step, in units of the latent weights."""
        return float(self.step)

    def extra_repr(self) -> str:
        return f"levels={len(self.levels)}, rule={self.rule!r}, window={self.window!r}"
