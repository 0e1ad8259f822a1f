"""Training for so many minutes, the same for every quantizer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import torch
from heqcodec.lab.networks.reduced_encoder import ReducedEncoder
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.schedule import half_cosine
from heqcodec.lab.training.task import LoopSettings, Task
from rich.progress import Progress
from torch import Tensor, nn

REFRESHES = 50
"""How often the quantizers follow their weights in a training, evenly over its time."""
OWN_SHARE = 0.05
"""Learning rate of what quantizers learn themselves (steps), as a share of that of the weights."""
WARMUP = 0.05
CLIP = 1.0
PLACES = 2**20
"""Of the schedule, which goes by the clock: more than there will ever be steps."""


class TimedTask(Protocol):
    """What a network is trained and measured for."""

    name: str
    unit: str
    learning_rate: float

    def build(self) -> nn.Module:
        """A fresh full-precision network."""
        ...

    def encoder(self, network: nn.Module) -> ReducedEncoder:
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


class TimedTraining(Task):
    """A `TimedTask` as the loop trains it: Adam, a warm-up, then a cosine to zero.

    Convolutions round their inputs to bfloat16, which leaves levels and activations as they are.
    Quantizers are refreshed `REFRESHES` times, evenly over the time.

    Args:
        task: what for.
        network: of ``task.build``, quantized or not; changed in place.
        seed: of the batches.
    """

    def __init__(self, task: TimedTask, network: nn.Module, seed: int) -> None:
        self._task, self._network, self._encoder = task, network, task.encoder(network)
        self._device = next(network.parameters()).device.type
        self._progress, self._refreshed = 0.0, 0
        self.networks = {"network": network}
        self.settings = LoopSettings(PLACES, seed, CLIP)
        self.remedy = f"the training of the {task.name} diverged."

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam; what quantizers learn themselves is a group of its own."""
        own = self._encoder.own_parameters()
        known = {id(parameter) for parameter in own}
        others = [p for p in self._network.parameters() if id(p) not in known]
        groups = [{"params": group} for group in (others, own) if group]
        return {"network": torch.optim.Adam(groups, lr=self._task.learning_rate)}

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """By the place in the time that there is."""
        self._progress = step / PLACES
        factor = min(1.0, self._progress / WARMUP) * half_cosine(self._progress)
        shares = (1.0, OWN_SHARE) if self._encoder.own_parameters() else (1.0,)
        return {"network": [self._task.learning_rate * share * factor for share in shares]}

    def prepare(self, step: int) -> None:
        """Put the network into training mode."""
        self._network.train()

    def loss(self, generator: torch.Generator) -> Tensor:
        """Of one random batch."""
        with torch.autocast(self._device, torch.bfloat16):
            return self._task.loss(self._network, generator)

    def after_step(self, step: int) -> bool:
        """Refresh the quantizers when it is time."""
        if self._progress * REFRESHES >= self._refreshed + 1:
            self._refreshed += 1
            self._encoder.refresh()
        return False

    def figures_due(self, step: int) -> bool:
        """Never: `TimedTask.measure` is asked afterwards."""
        return False


def train_for(task: TimedTask, network: nn.Module, seconds: float, seed: int) -> int:
    """Train a network in place, for so long; see `TimedTraining`.

    On a CPU what counts is the time that this process has the processor (of all its threads), so
    that other work on the machine takes nothing from one quantizer that it leaves to another.
    Batches follow from the seed; how many there are follows from the machine.

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
    device = next(network.parameters()).device
    clock = time.process_time if device.type == "cpu" else time.monotonic
    training = TimedTraining(task, network, seed)
    facts, quiet = {"step": 0, "minutes": 0.0}, Progress(disable=True)
    loop = TrainingLoop(training, device, None, facts, quiet, seconds / 60, clock=clock)
    loop.go(None)
    task.encoder(network).refresh()
    return loop.step
