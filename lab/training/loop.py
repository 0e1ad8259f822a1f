"""The training loop: schedule, EMA, checkpoints, log. A task says what is learned.

One loop for models of the codec, classifiers, learned baselines and comparisons.
"""

from __future__ import annotations

import contextlib
import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from rich.progress import Progress, TaskID
from torch import Tensor, nn

from .allocator import keep_freed_memory
from .checkpoint import load_checkpoint, save_checkpoint
from .log_rows import append_rows, drop_rows
from .schedule import follow
from .task import Task
from .workers import SEED_STRIDE, Workers

CHECKPOINT_SECONDS = 300.0
FIGURES_SECONDS = 480.0
LOSS_EVERY = 10
"""Reading the loss waits for the device, so not every step."""
LOG, LAYERS = "log.csv", "layers.csv"


class TrainingLoop:
    """A run in progress; everything that a checkpoint holds.

    Given the same task, data and machine, the weights after a step are the same however often the
    run was interrupted before: batches follow from the generator's state, which is kept, and
    figures change nothing.

    Args:
        task: what it learns, and in how many steps.
        device: where.
        out_dir: for checkpoints and logs; None for a run that leaves neither.
        facts: "step" and "minutes" so far, and whatever else checkpoints should remember.
        progress: where to show it.
        finish_in: minutes after which the schedule has ended, if the task's steps took longer.
        log_dir: for the logs, where they stand apart from the checkpoints.
        clock: seconds by which minutes are counted.
    """

    def __init__(
        self,
        task: Task,
        device: torch.device,
        out_dir: Path | None,
        facts: dict[str, Any],
        progress: Progress,
        finish_in: float | None = None,
        log_dir: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.task, self.settings, self.out_dir = task, task.settings, out_dir
        self._log_dir, self._time = log_dir or out_dir, clock
        self._finish_in = finish_in
        self.step, self.minutes = int(facts["step"]), float(facts["minutes"])
        self.workers = Workers()
        self._clock, self._stopped = self.minutes, False
        self._averaged_from = int(facts.get("averaged_from", 0))
        self._facts, self._progress = facts, progress
        for network in task.networks.values():
            network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = self._new_ema()
        self.generator = torch.Generator().manual_seed(
            self.settings.seed + SEED_STRIDE * self.workers.rank
        )
        self.optimizers = task.optimizers()
        self._healthy: Tensor | None = None
        self._over = False
        self._signals: list[int] = []
        self._figures_at = -1

    def _new_ema(self) -> dict[str, nn.Module]:
        if self.settings.ema is None:
            return {}
        return {name: copy.deepcopy(net) for name, net in self.task.networks.items()}

    @property
    def measured(self) -> dict[str, nn.Module]:
        """The networks that figures are of and that ship: the EMA, where there is one."""
        return self.ema or self.task.networks

    def load(self) -> None:
        """Put the checkpoint's state back, see `load_checkpoint`; later rows leave the logs."""
        assert self.out_dir is not None and self._log_dir is not None
        load_checkpoint(self.out_dir, self.task.networks, self.ema, self.optimizers, self.generator)
        self.task.resume(self._facts)
        key, last = self.task.log_key(self.step)
        drop_rows(self._log_dir / LOG, key, last)
        drop_rows(self._log_dir / LAYERS, "step", last)
        if not self.workers.first:
            # The checkpoint has the first worker's state.
            self.generator.manual_seed(
                self.settings.seed + SEED_STRIDE * self.workers.rank + self.step
            )

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            HeqError: the weights are no numbers any more; the last checkpoint stays.
        """
        self._check_health()
        if self.out_dir is None or not self.workers.first:
            return
        reported = {
            "step": self.step,
            "minutes": self.minutes,
            "averaged_from": self._averaged_from,
        }
        facts = {**self._facts, **reported, **self.task.facts()}
        self.out_dir.mkdir(parents=True, exist_ok=True)
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
        if self._place() >= self.settings.steps or limit <= 0:
            return
        keep_freed_memory()
        self.task.prepare(self.step)
        bar = self._progress.add_task(
            "training", total=self.settings.steps, completed=self.step, text=""
        )
        with self._asked_to_stop():
            losses = self._steps(limit, bar)
            if self._signals:
                self._progress.console.print(f"stopped at step {self.step}; writing a checkpoint")
            self.save()
        if signal.SIGINT in self._signals:
            raise KeyboardInterrupt
        if self._figures_at != self.step and self.task.figures_due(self.step) is None:
            self._figures(losses)

    def _steps(self, limit: float, bar: TaskID) -> list[float]:
        """Steps until it is time to stop; returns the losses that no row of the log holds yet."""
        begun = saved = shown = self._time()
        before = self.minutes
        losses: list[float] = []
        while self._place() < self.settings.steps and not self._stopped:
            self._over = self._time() - begun >= limit
            loss = self._one_step()
            if self.minutes == before:
                # What the first step compiles is no part of the schedule.
                begun = saved = shown = self._time()
            if self.step % LOSS_EVERY == 0:
                self._check_health()
                losses.append(float(loss))
                self._progress.update(bar, completed=self.step, text=f"loss {losses[-1]:.5f}")
            now = self._time()
            self.minutes = before + (now - begun) / 60
            if self.workers.count == 1:
                self._clock = self.minutes
                self._stopped = bool(self._signals) or now - begun >= limit
            due = self.task.figures_due(self.step)
            if due is None:
                due = now - shown >= FIGURES_SECONDS and self._place() < self.settings.steps
            if due:
                self._figures(losses)
                losses.clear()
                shown = self._time()
            if now - saved >= CHECKPOINT_SECONDS:
                self.save()
                saved = self._time()
        return losses

    @contextlib.contextmanager
    def _asked_to_stop(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT wait for the end of a step: half a step cannot be resumed."""
        if self.out_dir is None or threading.current_thread() is not threading.main_thread():
            # Nothing to write before the end; and Python delivers signals to the main thread alone.
            yield
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
        return max(self.step, int(self.settings.steps * self._clock / self._finish_in))

    def _one_step(self) -> Tensor:
        peaks = self.task.learning_rates(self._place())
        for name, optimizer in self.optimizers.items():
            for group, learning_rate in zip(optimizer.param_groups, peaks[name], strict=True):
                group["lr"] = learning_rate
            optimizer.zero_grad(set_to_none=True)
        loss = self.task.loss(self.generator)
        loss.backward()
        self._clock, self._stopped = self.workers.average(
            self.task.networks.values(), self.minutes, bool(self._signals) or self._over
        )
        reported = loss.detach()
        health = reported
        if math.isfinite(self.settings.clip):
            for network in self.task.networks.values():
                # Each alone: the encoder's gradients, in integer levels, are of another size.
                norm = nn.utils.clip_grad_norm_(network.parameters(), self.settings.clip)
                health = health + norm
        for optimizer in self.optimizers.values():
            optimizer.step()
        self._healthy = torch.isfinite(health)
        self.step += 1
        if self.task.after_step(self.step):
            self.optimizers = self.task.optimizers()
            self._averaged_from, self.ema = self.step, self._new_ema()
        self._follow()
        return reported

    def _check_health(self) -> None:
        if self._healthy is not None and not bool(self._healthy):
            raise HeqError(
                f"the loss is no number any more at step {self.step}; {self.task.remedy}"
            )

    def _follow(self) -> None:
        count, decay = self.step - self._averaged_from, self.settings.ema
        for name, ema in self.ema.items():
            assert decay is not None
            follow(ema, self.task.networks[name], decay, count, self.settings.ema_buffers)

    def _figures(self, losses: list[float]) -> None:
        self._figures_at = self.step
        if self._log_dir is None or not self.workers.first:
            return
        mean = float(np.mean(losses)) if losses else math.nan
        row, line = self.task.log_row(self.measured, self.step, self.minutes, mean)
        append_rows(self._log_dir / LOG, [row])
        append_rows(self._log_dir / LAYERS, self.task.rows(self.task.log_key(self.step)[1]))
        if line:
            self._progress.console.print(line)
        self.task.after_log(row)
