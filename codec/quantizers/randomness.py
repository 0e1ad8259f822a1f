"""Seeded random numbers on whatever device they are needed, and stochastic rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RandomSource:
    """A seeded generator for each device, made when a tensor there first needs it.

    Copies and pickles start again from the seed.

    Args:
        seed: of every device's generator.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def uniform_like(self, x: Tensor) -> Tensor:
        """Uniform on [0, 1): same shape and device as ``x``, float32 or float64 if x is."""
        if x.device not in self._generators:
            self._generators[x.device] = torch.Generator(x.device).manual_seed(self.seed)
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        return torch.rand(
            x.shape, generator=self._generators[x.device], device=x.device, dtype=dtype
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.seed, self._generators = state["seed"], {}


def stochastic_round(x: Tensor, random: RandomSource) -> Tensor:
    """An integer next to x, whose expectation is x: floor(x + uniform).

    Source: arXiv 2010.14298, whose code has the same as round(x + U(-1/2, 1/2)).

    Args:
        x: float tensor of any shape.
        random: where the uniform numbers come from.

    Returns:
        Same shape and dtype.
    """
    return torch.floor(x + random.uniform_like(x))
