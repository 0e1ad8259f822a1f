"""What a training is of: networks, optimizers, losses and figures, for `TrainingLoop`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LoopSettings:
    """What the loop itself needs to know.

    steps: of the optimizers, in the whole schedule.
    seed: of the batches.
    clip: gradient norm limit, for each network alone; infinity for none.
    ema: decay per step of the exponential moving average of the weights; None for no average.
    ema_buffers: whether the average takes over buffers, such as statistics and quantizer steps.
    """

    steps: int
    seed: int
    clip: float = math.inf
    ema: float | None = None
    ema_buffers: bool = False


class Task(ABC):
    """One kind of training; the loop does the rest.

    Attributes:
        networks: what is trained, by names for checkpoints.
        settings: of the loop.
        remedy: what to do about a loss that is no number any more, for the error.
    """

    networks: dict[str, nn.Module]
    settings: LoopSettings
    remedy: str = (
        "lower learning_rate or clip in the recipe, and begin again or go on from the last "
        "checkpoint with --resume."
    )

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """New optimizers, by names for checkpoints."""

    @abstractmethod
    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Of each optimizer in a step, a number a group of parameters; 0 where nothing learns.

        Args:
            step: the place in the schedule, which a clock may move ahead of the steps done.
        """

    @abstractmethod
    def loss(self, generator: torch.Generator) -> Tensor:
        """The loss of a batch drawn with ``generator``, a scalar."""

    def prepare(self, step: int) -> None:
        """Make what steps need and the rest does not; called once, before the first step."""
        return None

    def after_step(self, step: int) -> bool:
        """Bookkeeping after a step; true if the optimizers and the EMA must start anew."""
        return False

    def figures_due(self, step: int) -> bool | None:
        """Whether a row of the log is due after a step; None to go by the clock and the end."""
        return None

    def log_key(self, step: int) -> tuple[str, int]:
        """The column that numbers the rows of the log, and its number after a step."""
        return "step", step

    def log_row(
        self, networks: dict[str, nn.Module], step: int, minutes: float, loss: float
    ) -> tuple[dict[str, Any], str]:
        """A row of the log, and a line to show.

        Must change nothing: when figures are taken must not decide what is learned.

        Args:
            networks: to measure, by name; the EMA where there is one.
            step, minutes: of training so far.
            loss: mean since the row before.
        """
        return {"step": step, "minutes": round(minutes, 2), "loss": loss}, ""

    def after_log(self, row: dict[str, Any]) -> None:
        """Called with each row once it is written."""
        return None

    def rows(self, step: int) -> list[dict[str, Any]]:
        """Rows for the log of the quantized layers; empty where there are none."""
        return []

    def facts(self) -> dict[str, Any]:
        """What checkpoints store of the task in addition to its networks, as JSON values."""
        return {}

    def resume(self, facts: dict[str, Any]) -> None:
        """Take back what `facts` gave; the networks are those of the checkpoint already."""
        return None
