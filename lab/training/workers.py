"""Several processes that train one network together: data-parallel, each with crops of its own.

::

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 heqcodec train ... --out run &
    RANK=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 heqcodec train ... --out run

(``torchrun`` sets these variables.) Threads that wait for each other at the end of every layer wait
often, above all on cores that have other work too; processes of one thread each meet once a step.
All start from the same weights and apply the same mean gradient, so their weights stay equal. The
first one writes checkpoints, log and weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor, nn

SEED_STRIDE = 1_000_003
"""Between the seeds of two workers."""


class Workers:
    """The group that this process belongs to; of one process where the environment names none."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        if self.count > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @torch.no_grad()
    def average(
        self, networks: Iterable[nn.Module], minutes: float, stop: bool
    ) -> tuple[float, bool]:
        """Put the mean over all workers into each gradient.

        Args:
            networks: the same in all workers, after their backward pass.
            minutes: of training, by this worker's clock.
            stop: whether this worker wants to stop.

        Returns:
            The first worker's minutes, and whether any worker wants to stop: all go by these.
        """
        if self.count == 1:
            return minutes, stop
        gradients = [p.grad for net in networks for p in net.parameters() if p.grad is not None]
        said = torch.tensor([minutes if self.first else 0.0, float(stop)])
        flat = torch.cat([said, *(grad.flatten() for grad in gradients)])
        torch.distributed.all_reduce(flat)
        parts: list[Tensor] = list(flat[2:].split([grad.numel() for grad in gradients]))
        for gradient, part in zip(gradients, parts, strict=True):
            # In the memory order of the gradient, which may be channels last.
            gradient.copy_(part.view(gradient.shape) / self.count)
        return float(flat[0]), bool(flat[1] > 0)

    def close(self) -> None:
        """Leave the group, when all have come here.

        A process that ends with the group open can be aborted by a thread of it.
        """
        if self.count > 1:
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()
