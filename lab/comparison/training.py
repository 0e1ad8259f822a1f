"""Training for so many minutes, the same for every quantizer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.networks.reduced import ReducedNqe
from heqcodec.lab.training.allocator import keep_freed_memory
from heqcodec.lab.training.schedule import half_cosine
from torch import Tensor, nn

REFRESHES = 50
"""How often the quantizers follow their weights in a training, evenly over its time."""
OWN_SHARE = 0.05
"""Learning rate of what quantizers learn themselves (steps), as a share of that of the weights."""
WARMUP = 0.05
CLIP = 1.0


class TimedTask(Protocol):
    """What a network is trained and measured for."""

    name: str
    unit: str
    learning_rate: float

    def build(self) -> nn.Module:
        """A fresh full-precision network."""
        ...

    def encoder(self, network: nn.Module) -> ReducedNqe:
        """Its part that gets quantized."""
        ...

    def loss(self, network: nn.Module, generator: torch.Generator) -> Tensor:
        """Of one random batch."""
        ...

    def calibrate(self, network: nn.Module) -> None:
        """Measure the statistics of normalization anew; leaves the encoder in evaluation mode."""
        ...

    def measure(self, network: nn.Module) -> float:
        """The figure on what was not trained on; higher is better."""
        ...


def _clock(network: nn.Module) -> Callable[[], float]:
    """Seconds that count: of this process on a CPU, which others may share; else by the wall."""
    on_cpu = next(network.parameters()).device.type == "cpu"
    return time.process_time if on_cpu else time.monotonic


def train_for(task: TimedTask, network: nn.Module, seconds: float, seed: int) -> int:
    """Train a network in place, for so long.

    On a CPU what counts is the time that this process has the processor (of all its threads), so
    that other work on the machine takes nothing from one quantizer that it leaves to another.

    Convolutions round their inputs to bfloat16, which leaves levels and activations as they are.
    Adam with a warm-up over 5 % of the time, then a cosine to zero; quantizers are refreshed 50
    times. Batches follow from the seed; how many there are follows from the machine.

    Args:
        task: what for.
        network: of ``task.build``, quantized or not.
        seconds: of training, > 0.
        seed: of the batches.

    Returns:
        Number of steps.

    Raises:
        HeqError: the loss is not finite.
    """
    keep_freed_memory()
    device = next(network.parameters()).device.type
    encoder = task.encoder(network)
    own = encoder.own_parameters()
    known = {id(parameter) for parameter in own}
    others = [p for p in network.parameters() if id(p) not in known]
    groups = [{"params": others, "share": 1.0}]
    if own:
        groups.append({"params": own, "share": OWN_SHARE})
    optimizer = torch.optim.Adam(groups, lr=task.learning_rate)
    generator = torch.Generator().manual_seed(seed)
    network.train()
    clock = _clock(network)
    begun, step, refreshed = clock(), 0, 0
    while (progress := (clock() - begun) / seconds) < 1 or step == 0:
        factor = min(1.0, progress / WARMUP) * half_cosine(progress)
        for group in optimizer.param_groups:
            group["lr"] = task.learning_rate * group["share"] * factor
        with torch.autocast(device, torch.bfloat16):
            loss = task.loss(network, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        step += 1
        if progress * REFRESHES >= refreshed + 1:
            refreshed += 1
            if not math.isfinite(float(loss.detach())):
                raise HeqError(f"the training of the {task.name} diverged after {step} steps.")
            encoder.refresh()
    encoder.refresh()
    return step
