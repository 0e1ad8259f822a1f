"""What all trainings follow: a cosine of the learning rate, and a moving average of weights."""

from __future__ import annotations

import math

import torch
from torch import nn


def half_cosine(share: float) -> float:
    """From 1 at the beginning (0) to 0 at the end (1) on half a cosine wave (arXiv 1608.03983)."""
    return 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def cosine(step: int, begin: int, end: int, warmup: int) -> float:
    """From ``begin`` up to 1 over the warm-up, down to 0 at ``end`` on a cosine; 0 elsewhere."""
    if not begin <= step < end:
        return 0.0
    rise = min(1.0, (step - begin + 1) / max(1, warmup))
    return rise * half_cosine((step - begin) / (end - begin))


@torch.no_grad()
def follow(
    ema: nn.Module, network: nn.Module, decay: float, count: int, buffers: bool = False
) -> None:
    """Let an exponential moving average follow the parameters of its network.

    Args:
        ema: changed in place.
        network: of the same form.
        decay: per step, 0 to 1; less at first, since the average begins at the first weights.
        count: steps that the average has followed, this one included.
        buffers: whether they are taken over as they are; otherwise they are left alone.
    """
    decay = min(decay, (1 + count) / (10 + count))
    mine = [parameter.detach() for parameter in ema.parameters()]
    theirs = [parameter.detach() for parameter in network.parameters()]
    torch._foreach_lerp_(mine, theirs, 1 - decay)
    if buffers:
        for own, other in zip(ema.buffers(), network.buffers(), strict=True):
            own.copy_(other)
