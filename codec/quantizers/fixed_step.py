"""Quantizers whose step follows one simple statistic: baselines for histogram equalization."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .base import GradientWindow
from .heq import HistogramEqualizedQuantizer

StatisticRule = Literal["max", "twn"]

TWN_THRESHOLD = 0.7
"""Threshold over the mean magnitude of the weights, Ternary Weight Networks (arXiv 1605.04711)."""


def statistic_step(weight: Tensor, levels: int, rule: StatisticRule) -> Tensor:
    """Step size from a statistic of the weights' magnitudes.

    * ``"max"``: 2 max|w| / n, so that n cells of equal width span the weights.
    * ``"twn"``: 1.4 mean|w|, so that zero ends, half a step from it, at 0.7 mean|w|.

    Args:
        weight: float tensor of any shape.
        levels: n.
        rule: see above.

    Returns:
        Scalar tensor on the weights' device, >= 0.

    Raises:
        ValueError: an unknown rule.
    """
    magnitude = weight.detach().float().abs()
    if rule == "max":
        return 2 * magnitude.max() / levels
    if rule == "twn":
        return 2 * TWN_THRESHOLD * magnitude.mean()
    raise ValueError(f'the rule of a fixed step is "max" or "twn", but got {rule!r}.')


class FixedStepQuantizer(HistogramEqualizedQuantizer):
    """The levels and gradients of HEQ, with a step that does not look at the histogram.

    Without the scale that Ternary Weight Networks put on the layer: as with HEQ, that is left to
    the normalization behind.

    Args:
        levels: n, at least 3.
        statistic: see ``statistic_step``.
        window: see ``heqcodec.quantizers.base.window_gradient``.

    Raises:
        ValueError: fewer than 3 levels.
    """

    def __init__(
        self, levels: int = 3, statistic: StatisticRule = "max", window: GradientWindow = "clip"
    ) -> None:
        super().__init__(levels, window=window)
        self.statistic: StatisticRule = statistic

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set the step from the latent weights; weights that are all zero leave it as it was."""
        step = statistic_step(weight, len(self.levels), self.statistic)
        self.step.copy_(torch.where(step > 0, step.to(self.step.dtype), self.step))

    def extra_repr(self) -> str:
        return f"levels={len(self.levels)}, statistic={self.statistic!r}, window={self.window!r}"
