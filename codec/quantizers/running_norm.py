"""Batch normalization that trains with running statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SETTLED_MOMENTUM = 0.01


class RunningBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` that normalizes by its running statistics in training too, once they settled.

    Patches of one photograph are alike, so a batch of a few places says little about the mean of a
    channel: its statistics move from batch to batch, and with them every threshold behind the
    normalization. (Our choice, because of that.)

    The first ``settle`` updates are ordinary batch normalization with momentum 0.1; later ones
    have momentum 0.01. With ``momentum = None`` (recalibration) it is ordinary throughout.

    Args:
        channels: C.
        settle: updates until the running statistics are used.
        affine: whether there are a gamma and a beta.
    """

    def __init__(self, channels: int, settle: int = 100, affine: bool = True) -> None:
        super().__init__(channels, affine=affine)
        self.settle = settle
        # A mirror of num_batches_tracked: reading a buffer would wait for the device.
        self._updates = 0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if not self.training or self.momentum is None:
            return super().forward(x)
        self._updates += 1
        if self._updates <= self.settle:
            return super().forward(x)
        mean, var = self.running_mean, self.running_var
        assert mean is not None and var is not None
        with torch.no_grad():
            exact = x.detach().float()
            batch_var, batch_mean = torch.var_mean(exact, dim=(0, 2, 3))
            mean.lerp_(batch_mean, SETTLED_MOMENTUM)
            var.lerp_(batch_var, SETTLED_MOMENTUM)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        # Copies: the next pass of the step moves the statistics that this one needs for gradients.
        mean, var = mean.clone(), var.clone()
        return F.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if self.num_batches_tracked is not None:
            self._updates = int(self.num_batches_tracked)


@contextmanager
def plain_statistics(norms: Sequence[nn.BatchNorm2d]) -> Iterator[None]:
    """Forget running statistics; those of the block's batches become plain means over them.

    Momenta are as before after it. The caller sets the layers to train.
    """
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
