"""The training loop: schedule, EMA, checkpoints, log. A task says what is learned."""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from rich.progress import Progress, TaskID
from torch import Tensor, nn

from .allocator import keep_freed_memory
from .checkpoint import load_checkpoint, save_checkpoint
from .log_rows import append_rows
from .muon import Muon
from .recipe import Recipe
from .schedule import follow
from .tasks import Task
from .workers import SEED_STRIDE, Workers

CHECKPOINT_SECONDS = 300.0
FIGURES_SECONDS = 480.0
FIGURES_IMAGES = 6
LOSS_EVERY = 10
"""Reading the loss waits for the device, so not every step."""


class TrainingLoop:
    """A run in progress; everything that a checkpoint holds.

    Given the same recipe, data and machine, the weights after a step are the same however often
    the run was interrupted before: batches follow from the generator's state, which is kept, and
    figures change nothing.

    Args:
        recipe: of the run.
        task: what it learns.
        device: where.
        out_dir: for checkpoints and logs.
        facts: "step" and "minutes" so far, and whatever else checkpoints should remember.
        progress: where to show it.
        finish_in: minutes after which the schedule has ended, if the recipe's steps took longer.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        device: torch.device,
        out_dir: Path,
        facts: dict[str, Any],
        progress: Progress,
        finish_in: float | None = None,
    ) -> None:
        self.recipe, self.task, self.out_dir = recipe, task, out_dir
        self._finish_in = finish_in
        self.step, self.minutes = int(facts["step"]), float(facts["minutes"])
        self.workers = Workers()
        self._clock, self._stopped = self.minutes, False
        self._averaged_from = int(facts.get("averaged_from", 0))
        self._facts, self._progress = facts, progress
        for network in task.networks.values():
            network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = {name: copy.deepcopy(net) for name, net in task.networks.items()}
        self.generator = torch.Generator().manual_seed(
            recipe.seed + SEED_STRIDE * self.workers.rank
        )
        self.optimizers = self._new_optimizers()
        self._healthy: Tensor | None = None
        self._over = False
        self._signals: list[int] = []
        self._figures_at = -1

    def _new_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {name: self._optimizer(net) for name, net in self.task.networks.items()}

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        if self.recipe.optimizer == "muon":
            return Muon(network.parameters(), lr=self.recipe.learning_rate)
        return torch.optim.Adam(
            network.parameters(), lr=self.recipe.learning_rate, betas=(0.9, 0.99)
        )

    def load(self) -> None:
        """Put the checkpoint's state back; see `load_checkpoint`."""
        load_checkpoint(self.out_dir, self.task.networks, self.ema, self.optimizers, self.generator)
        if not self.workers.first:
            # The checkpoint has the first worker's state.
            self.generator.manual_seed(
                self.recipe.seed + SEED_STRIDE * self.workers.rank + self.step
            )

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            HeqError: the weights are no numbers any more; the last checkpoint stays.
        """
        self._check_health()
        if not self.workers.first:
            return
        reported = {
            "step": self.step,
            "minutes": self.minutes,
            "averaged_from": self._averaged_from,
        }
        facts = {**self._facts, **reported}
        save_checkpoint(
            self.out_dir, self.task.networks, self.ema, self.optimizers, self.generator, facts
        )

    def go(self, minutes: float | None) -> None:
        """Train until the schedule ends, the minutes are over, or somebody asks to stop.

        After SIGTERM it returns, with a checkpoint written. After the first SIGINT (Ctrl-C) it
        writes one and raises ``KeyboardInterrupt``; the second SIGINT does not wait for the step.

        Raises:
            HeqError: the loss diverged.
        """
        limit = math.inf if minutes is None else 60 * minutes
        if self._place() >= self.recipe.steps or limit <= 0:
            return
        keep_freed_memory()
        self.task.prepare(self.step)
        bar = self._progress.add_task(
            "training", total=self.recipe.steps, completed=self.step, text=""
        )
        with self._asked_to_stop():
            losses = self._steps(limit, bar)
            if self._signals:
                self._progress.console.print(f"stopped at step {self.step}; writing a checkpoint")
            self.save()
        if signal.SIGINT in self._signals:
            raise KeyboardInterrupt
        if self._figures_at != self.step:
            self._figures(losses)

    def _steps(self, limit: float, bar: TaskID) -> list[float]:
        """Steps until it is time to stop; returns the losses that no row of the log holds yet."""
        begun = saved = shown = time.monotonic()
        before = self.minutes
        losses: list[float] = []
        while self._place() < self.recipe.steps and not self._stopped:
            self._over = time.monotonic() - begun >= limit
            loss = self._one_step()
            if self.minutes == before:
                # What the first step compiles is no part of the schedule.
                begun = saved = shown = time.monotonic()
            if self.step % LOSS_EVERY == 0:
                self._check_health()
                losses.append(float(loss))
                self._progress.update(bar, completed=self.step, text=f"loss {losses[-1]:.5f}")
            now = time.monotonic()
            self.minutes = before + (now - begun) / 60
            if self.workers.count == 1:
                self._clock = self.minutes
                self._stopped = bool(self._signals) or now - begun >= limit
            if now - shown >= FIGURES_SECONDS and self._place() < self.recipe.steps:
                self._figures(losses)
                losses.clear()
                shown = time.monotonic()
            if now - saved >= CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
        return losses

    @contextlib.contextmanager
    def _asked_to_stop(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT wait for the end of a step: half a step cannot be resumed."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python delivers signals to the main thread alone.
            return
        previous = {
            number: signal.signal(number, self._note_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note_signal(self, number: int, _: Any) -> None:
        if number == signal.SIGINT and number in self._signals:
            raise KeyboardInterrupt
        self._signals.append(number)

    def _place(self) -> int:
        """The place in the schedule, in steps: where the clock is ahead of the steps, its place."""
        if self._finish_in is None:
            return self.step
        return max(self.step, int(self.recipe.steps * self._clock / self._finish_in))

    def _one_step(self) -> Tensor:
        recipe, learning_rates = self.recipe, self.task.learning_rates(self._place())
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = learning_rates[name]
            optimizer.zero_grad(set_to_none=True)
        loss = self.task.loss(self.generator)
        loss.backward()
        self._clock, self._stopped = self.workers.average(
            self.task.networks.values(), self.minutes, bool(self._signals) or self._over
        )
        reported = loss.detach()
        health = reported
        for name, network in self.task.networks.items():
            # Each alone: the encoder's gradients, in integer levels, are of another size.
            health = health + nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            self.optimizers[name].step()
        self._healthy = torch.isfinite(health)
        self.step += 1
        if self.task.after_step(self.step):
            self.optimizers = self._new_optimizers()
            self._averaged_from = self.step
            self.ema = {k: copy.deepcopy(net) for k, net in self.task.networks.items()}
        self._average()
        return reported

    def _check_health(self) -> None:
        if self._healthy is not None and not bool(self._healthy):
            raise HeqError(
                f"the loss is no number any more at step {self.step}; lower learning_rate or clip "
                "in the recipe, and begin again or go on from the last checkpoint with --resume."
            )

    def _average(self) -> None:
        count = self.step - self._averaged_from
        for name, network in self.task.networks.items():
            follow(self.ema[name], network, self.recipe.ema, count)

    def _figures(self, losses: list[float]) -> None:
        self._figures_at = self.step
        if not self.workers.first:
            return
        figures = self.task.held_out(self.ema, FIGURES_IMAGES)
        row = {
            "step": self.step,
            "minutes": round(self.minutes, 2),
            "loss": float(np.mean(losses)) if losses else math.nan,
            **{f"psnr_{rate}": round(value, 4) for rate, value in figures.items()},
        }
        append_rows(self.out_dir / "log.csv", [row])
        append_rows(self.out_dir / "layers.csv", self.task.rows(self.step))
        shown = ", ".join(f"{value:.2f}" for value in figures.values())
        self._progress.console.print(
            f"step {self.step}, {self.minutes:.1f} min: held-out PSNR {shown} dB"
        )
