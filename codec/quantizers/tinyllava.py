"""Quantized-TinyLLaVA's finite scalar quantizer, for features and for weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import WeightQuantizer
from .straight_through import in_single, replace_through

SIGMAS = 3.0
SPREAD_FLOOR = 1e-4
DISTORTION_WEIGHT = 0.25


def fsq_round(x: Tensor, levels: int) -> Tensor:
    """(round(h x - o) + o) / h with h = (K - 1) / 2 and o = (K - 1) mod 2 / 2, straight through.

    Quantized-TinyLLaVA (arXiv 2511.23402), as in the authors' code; K = 4 gives -1, -1/3, 1/3, 1.
    We keep ties at the ends in range. (Our choice: round(1 * 1.5 - 0.5) is 1, but ties to even
    send -2 and 2 to themselves, and inputs a rounding beyond 1 would leave the levels.)

    Args:
        x: float tensor of any shape, in [-1, 1].
        levels: K, at least 2.

    Returns:
        Same shape and dtype, K values in [-1, 1]; the gradient is that of x.
    """
    return replace_through(x, fsq_index(x, levels) * (2 / (levels - 1)) - 1)


@torch.no_grad()
def fsq_index(x: Tensor, levels: int) -> Tensor:
    """Index 0 .. K - 1 of the level nearest to each x: same shape and dtype as x."""
    half, offset = (levels - 1) / 2, (levels - 1) % 2 / 2
    return (torch.round(x * half - offset) + (offset + half)).clamp(0, levels - 1)


def _require_levels(levels: int) -> None:
    if levels < 2:
        raise ValueError(f"a quantizer needs 2 levels or more, but got {levels}.")


class ScalarQuantizer(nn.Module):
    """Features -> linear -> clipped at 3 sigma, mapped to [-1, 1] -> K levels -> linear.

    The compression module of Quantized-TinyLLaVA (arXiv 2511.23402), as in the authors' code:
    mean and sigma over the whole tensor; the loss is 0.25 mean(1 - cos(x, q.detach())) over the
    vectors.

    Args:
        width: d of the linear layers (d to d), or None for none.
        levels: K, at least 2.

    Raises:
        ValueError: fewer than 2 levels.
    """

    def __init__(self, width: int | None, levels: int = 4) -> None:
        super().__init__()
        _require_levels(levels)
        self.levels = levels
        self.before: nn.Module = nn.Linear(width, width) if width else nn.Identity()
        self.after: nn.Module = nn.Linear(width, width) if width else nn.Identity()

    def normalized(self, x: Tensor) -> Tensor:
        """Float (..., d) -> float in [-1, 1], by the statistics of the whole tensor."""
        x = in_single(self.before(x))
        mean, spread = x.mean(), SIGMAS * x.std() + SPREAD_FLOOR
        return ((x - mean) / spread).clamp(-1, 1)

    def indices(self, x: Tensor) -> Tensor:
        """What is sent: float (..., d) -> int64 (..., d), 0 .. K - 1."""
        return fsq_index(self.normalized(x), self.levels).to(torch.int64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Float (..., d) -> what the receiver has, same shape, and the loss, a scalar tensor."""
        normalized = self.normalized(x)
        quantized = fsq_round(normalized, self.levels)
        alike = F.cosine_similarity(normalized, quantized.detach(), dim=-1)
        return self.after(quantized), DISTORTION_WEIGHT * (1 - alike).mean()


class ScalarWeightQuantizer(WeightQuantizer):
    """Weights clipped at 3 sigma and mapped to K levels in [-1, 1].

    The same quantizer (arXiv 2511.23402) for weights, with mean and sigma from the last
    ``refresh``. (Our choice, as the paper quantizes features only.) The gradient is 1 inside of
    3 sigma and 0 outside. Levels are held as odd or even integers over K - 1 in ``codes``.

    Args:
        levels: K, at least 2.

    Raises:
        ValueError: fewer than 2 levels.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        _require_levels(levels)
        self._levels = tuple(range(1 - levels, levels, 2))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def _normalized(self, weight: Tensor) -> Tensor:
        return ((weight - self.mean) / self.spread).clamp(-1, 1)

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> K values from -1 to 1, same shape and dtype."""
        inside = self._normalized(weight)
        # In units of the latents, so that the gradient is 1 and not 1 / spread.
        code = self.codes(weight) / (len(self.levels) - 1)
        return replace_through(inside * self.spread, code)

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Integers 1 - K, 3 - K .. K - 1: levels times K - 1, same shape and dtype."""
        count = len(self.levels)
        return 2 * fsq_index(self._normalized(weight), count) - (count - 1)

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set mean and 3 sigma from the latent weights."""
        self.mean.copy_(weight.mean())
        self.spread.copy_(SIGMAS * weight.std(correction=0)).clamp_(min=1e-12)

    def delta(self) -> float:
        """Distance of the levels, in units of the latent weights."""
        return 2 * float(self.spread) / (len(self.levels) - 1)

    def extra_repr(self) -> str:
        return f"levels={len(self.levels)}"
