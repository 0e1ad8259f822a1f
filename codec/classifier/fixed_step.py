"""Quantizers whose step follows a simple statistic: what histogram equalization is held against."""

from __future__ import annotations

from typing import Literal

import torch
from heqcodec.quantizers import GradientWindow, HistogramEqualizedQuantizer
from torch import Tensor

StatisticRule = Literal["max", "twn"]
TWN_THRESHOLD = 0.7
"""Threshold over the mean magnitude, Ternary Weight Networks (arXiv 1605.04711), eq. 6."""


def statistic_step(weight: Tensor, levels: int, rule: StatisticRule) -> Tensor:
    """Step size from a statistic of the weights' magnitudes.

    * ``"max"``: 2 max|w| / n, so that the n levels span the weights evenly (linear quantization).
    * ``"twn"``: 1.4 mean|w|, so that the threshold of zero, half a step, is TWN's 0.7 mean|w|.

    Args:
        weight: float tensor of any shape.
        levels: n, the number of levels.
        rule: see above.

    Returns:
        Scalar tensor on the weights' device, >= 0.
    """
    magnitude = weight.detach().abs()
    if rule == "max":
        return 2 * magnitude.max() / levels
    return 2 * TWN_THRESHOLD * magnitude.mean()


class StatisticQuantizer(HistogramEqualizedQuantizer):
    """The same levels and gradients as HEQ, with another step.

    Args:
        levels: n, odd and at least 3.
        statistic: see ``statistic_step``.
        window: see ``heqcodec.quantizers.base.window_gradient``.
    """

    def __init__(
        self, levels: int, statistic: StatisticRule, window: GradientWindow = "clip"
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
