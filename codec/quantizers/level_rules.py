"""How many levels a quantizer should have, by entropy: four rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from .tinyllava import SIGMAS, fsq_index

GAUSSIAN_ENTROPY = 0.5 * math.log2(2 * math.pi * math.e)
"""Differential entropy of a Gaussian of sigma 1, in bits."""


def index_entropy(indices: Tensor, levels: int) -> float:
    """Entropy of level indices, in bits each.

    Args:
        indices: integer tensor of any shape, 0 .. levels - 1.
        levels: K.

    Returns:
        0 to log2 K.
    """
    counts = torch.bincount(indices.flatten().to(torch.int64), minlength=levels).double()
    p = counts / counts.sum()
    return float(-torch.xlogy(p, p).sum() / math.log(2))


def scalar_indices(x: Tensor, levels: int) -> Tensor:
    """Indices of the quantizer that clips at 3 sigma: float -> int64 0 .. K - 1, same shape."""
    x = x.float()
    normalized = (x - x.mean()) / (SIGMAS * x.std(correction=0)).clamp(min=1e-12)
    return fsq_index(normalized, levels).to(torch.int64)


def high_rate_levels(rate: float, entropy: float = GAUSSIAN_ENTROPY, span: float = 6.0) -> float:
    """Levels for a rate after entropy coding: K = span 2^(R - h).

    High-rate theory, H(Q) = h(x) - log2(span / K). The rule of arXiv 2511.23402, which chooses bit
    widths "from entropy coding theory", was not available; this and the other rules here are our
    choices.

    Args:
        rate: R, bits a value.
        entropy: h, differential entropy of the values in bits, in the units of ``span``.
        span: width of the quantizer's range; 6 sigma by default, with sigma 1.

    Returns:
        K, not rounded; 1.452 * 2^R for a Gaussian clipped at 3 sigma.
    """
    return span * 2 ** (rate - entropy)


def filled_levels(x: Tensor, candidates: Iterable[int], fill: float = 0.95) -> int:
    """Largest K whose indices still fill their bits: H(K) >= fill * log2 K.

    For codes of fixed length, where levels that hardly occur do not pay for themselves.

    Args:
        x: calibration values, float, any shape.
        candidates: K to choose from, each >= 2.
        fill: 0 to 1.

    Returns:
        The largest candidate that passes; the smallest of all if none does.

    Raises:
        ValueError: no candidates.
    """
    ordered = _ordered(candidates)
    passing = [k for k in ordered if index_entropy(scalar_indices(x, k), k) >= fill * math.log2(k)]
    return passing[-1] if passing else ordered[0]


def effective_levels(x: Tensor, levels: int) -> int:
    """2^H of the observed indices, rounded up to a power of two, which packs.

    Args:
        x: calibration values, float, any shape.
        levels: K that they are quantized with at first.

    Returns:
        At least 2.
    """
    entropy = index_entropy(scalar_indices(x, levels), levels)
    return int(2 ** max(1, math.ceil(entropy - 1e-9)))


def cheapest_levels(
    x: Tensor,
    candidates: Iterable[int],
    rate_weight: float,
    distortion: Callable[[Tensor, Tensor], float] | None = None,
) -> int:
    """K that minimises D(K) + lambda H(K), for codes that are entropy coded.

    Args:
        x: calibration values, float, any shape.
        candidates: K to choose from, each >= 2.
        rate_weight: lambda, distortion a bit.
        distortion: of (x, x'); mean squared error by default.

    Returns:
        The best candidate, the smaller of equal ones.

    Raises:
        ValueError: no candidates.
    """
    x = x.float()
    measure = distortion or (lambda a, b: float((a - b).square().mean()))
    mean, spread = x.mean(), SIGMAS * x.std(correction=0)

    def cost(levels: int) -> float:
        indices = scalar_indices(x, levels)
        restored = (indices.float() * (2 / (levels - 1)) - 1) * spread + mean
        return measure(x, restored) + rate_weight * index_entropy(indices, levels)

    return min(_ordered(candidates), key=cost)


def _ordered(candidates: Iterable[int]) -> list[int]:
    ordered = sorted(set(candidates))
    if not ordered or ordered[0] < 2:
        raise ValueError(f"candidates are numbers of levels, 2 or more, but got {ordered}.")
    return ordered
