"""A gradient as two 4-bit integers, and the choice of the rows that matter."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .randomness import RandomSource, stochastic_round

BASE = 14
TOP = 7
SPAN = BASE * TOP + TOP


class SplitGradient(NamedTuple):
    """G, about (14 high + low) * unit.

    Attributes:
        high, low: integers -7 .. 7 as floats, (N, D) each.
        unit: scalar tensor, > 0.
    """

    high: Tensor
    low: Tensor
    unit: Tensor

    def stacked(self) -> Tensor:
        """High rows over low rows, in units of G: (2 N, D)."""
        return torch.cat([BASE * self.high, self.low]) * self.unit


def split_bits(gradient: Tensor, random: RandomSource) -> SplitGradient:
    """Bit splitting: the high part rounded to nearest, the low part stochastically.

    Source: arXiv 2306.11987. The unit is max|G| / 105, so that 14 * 7 + 7 = 105 is the largest
    entry and neither part saturates, and the sum is unbiased. (Our choice: the released code takes
    255 / (2 max) or 14^2 / (2 max) for the inverse unit, and clips the largest entries.)

    Args:
        gradient: float (N, D).
        random: of the low part's rounding.

    Returns:
        The two parts and their unit; the expectation of their sum is G.
    """
    unit = gradient.abs().amax().clamp(min=1e-30) / SPAN
    scaled = gradient / unit
    high = torch.round(scaled / BASE).clamp_(-TOP, TOP)
    low = stochastic_round(scaled - BASE * high, random).clamp_(-TOP, TOP)
    return SplitGradient(high, low, unit)


def keep_probabilities(scores: Tensor, budget: int) -> Tensor:
    """Probability of each row to be kept, in proportion to its score, ``budget`` rows on average.

    Leverage score sampling (arXiv 2306.11987): p_i = c_i budget / sum c; what exceeds 1 is clipped
    and the remaining budget shared out over the rest in proportion, until none exceeds 1. That
    fixed point is computed at once, from the sorted scores.

    Args:
        scores: c, float (M,), >= 0.
        budget: expected number of rows, 1 to M.

    Returns:
        Float (M,) in [0, 1]; 0 where the score is 0. The sum is the budget, or the number of
        positive scores if that is less.

    Raises:
        ValueError: budget out of range.
    """
    count = scores.numel()
    if not 1 <= budget <= count:
        raise ValueError(f"{budget} of {count} rows cannot be kept.")
    ordered = scores.sort(descending=True).values
    # If the m largest are certain, the others share budget - m in proportion to their scores.
    tail = ordered.flip(0).cumsum(0).flip(0)
    certain = torch.arange(count, device=scores.device, dtype=scores.dtype)
    left = budget - certain
    fits = ordered * left <= tail
    # fits[budget - 1] holds always, so there is a first one, and its share is at least 1.
    first = torch.argmax(fits.to(torch.int8), dim=0, keepdim=True)
    # gather, since an index that is a tensor would make the host wait for its value.
    smallest = torch.finfo(scores.dtype).tiny
    factor = left.gather(0, first) / tail.gather(0, first).clamp(min=smallest)
    proportional = (scores * factor).clamp(max=1)
    return torch.where(scores > 0, proportional, 0.0)


def sample_rows(scores: Tensor, budget: int, random: RandomSource) -> Tensor:
    """Factors of the rows: 1 / p where kept, 0 where not; their expectation is 1.

    Where a score is 0 the factor is 0 always: the row must not matter then.

    Args:
        scores: float (M,), >= 0.
        budget: expected number of rows kept.
        random: of the draws.

    Returns:
        Float (M,).
    """
    p = keep_probabilities(scores, budget)
    kept = random.uniform_like(p) < p
    return torch.where(kept, 1 / p.clamp(min=torch.finfo(p.dtype).tiny), 0.0)
