"""The training loop: schedule, averages, checkpoints, log, export. The families differ in tasks."""

from __future__ import annotations

import copy
import csv
import json
import math
import platform
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec import __version__
from heqcodec.errors import HeqError
from heqcodec.models import TRANSFORM
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.numpy import load_file, save_file
from torch import nn

from .checkpoint import FILE, load_checkpoint, read_facts, save_checkpoint
from .export import export_model
from .photographs import load_frames, load_tiles
from .recipe import Recipe
from .tasks import Task, purenet_of
from .transform_task import TransformTask, fit_encoder
from .vgg_task import VggTask

HELD_OUT_EVERY = 50
"""Without held-out images of their own, one tile in fifty is not trained on."""
CHECKPOINT_SECONDS = 300.0
FIGURES_SECONDS = 240.0
FIGURES_IMAGES = 6
LOSS_EVERY = 10
"""Reading the loss waits for the device, so not every step."""


def train(
    recipe_path: Path,
    data_dir: Path,
    minutes: float | None = None,
    device: str = "auto",
    resume: bool = False,
    out_dir: Path = Path("heqcodec-training"),
    held_out_dir: Path | None = None,
    encoder_from: Path | None = None,
    start_from: Path | None = None,
) -> dict[str, Any]:
    """Train a model and export it to ``out_dir / "weights"``.

    Args:
        recipe_path: a TOML file, see `Recipe`.
        data_dir: photographs to train on.
        minutes: stop (and export) after so long; the schedule itself goes by the recipe's steps.
        device: "auto", "cpu", "cuda" or "cuda:1".
        resume: go on from the checkpoint in ``out_dir``.
        out_dir: for checkpoints, cached codes, ``log.csv``, ``layers.csv`` and weights.
        held_out_dir: photographs for the held-out figures; some training tiles if None.
        encoder_from: safetensors of a fitted transform encoder, to train a decoder for files that
            exist already; fitted on ``data_dir`` if None.
        start_from: safetensors of a PURENET of the same sizes to start from.

    Returns:
        The manifest entry of the exported model.

    Raises:
        HeqError: recipe, images or checkpoint cannot be used, or there is a checkpoint and
            ``resume`` is false.
    """
    recipe = Recipe.load(recipe_path)
    where = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    )
    if not resume and (out_dir / FILE).exists():
        raise HeqError(
            f"{out_dir} holds a training run already; go on with --resume, or give another --out."
        )
    facts = read_facts(out_dir) if resume else {"step": 0, "minutes": 0.0}
    out_dir.mkdir(parents=True, exist_ok=True)
    tiles, data_hash = load_tiles(data_dir)
    frames = load_frames(held_out_dir) if held_out_dir else list(tiles[::HELD_OUT_EVERY])
    if not held_out_dir:
        tiles = np.delete(tiles, np.s_[::HELD_OUT_EVERY], axis=0)
    if not len(tiles):
        raise HeqError(f"{data_dir} holds too few photographs to train on.")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        progress_task = progress.add_task("training", total=recipe.steps, told="")
        task: Task
        if recipe.family == TRANSFORM:
            tensors = _transform_encoder(out_dir, encoder_from, tiles, recipe)
            task = TransformTask(
                recipe, tiles, frames, tensors, where, out_dir / "coded", progress
            )
        else:
            task = VggTask(recipe, tiles, frames, where)
        if start_from:
            stored = {k: torch.from_numpy(v).float() for k, v in load_file(start_from).items()}
            task.networks["purenet"].load_state_dict(stored)
        run = _Run(recipe, task, where, out_dir, facts, progress, progress_task)
        if resume:
            run.load()
        run.go(minutes)
    averages = run.averages
    figures = task.held_out(averages, None)
    training = {
        "recipe": recipe_path.name,
        "steps": run.step,
        "of_steps": recipe.steps,
        "minutes": round(run.minutes, 1),
        "seed": recipe.seed,
        "data_sha256": data_hash,
        "held_out_images": len(frames),
        "tiles": len(tiles),
        "heqcodec": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "command": " ".join(sys.argv[1:]),
    }
    return export_model(
        out_dir / "weights",
        recipe.name,
        recipe.family,
        recipe.about,
        task.encoder_tensors(averages),
        purenet_of(averages),
        training,
        {f"psnr at {bits} bits": round(value, 3) for bits, value in figures.items()},
    )


def _transform_encoder(
    out_dir: Path, given: Path | None, tiles: np.ndarray, recipe: Recipe
) -> dict[str, Any]:
    """The encoder that this run codes with: given, or fitted once and kept."""
    kept = out_dir / "encoder.safetensors"
    if not kept.exists():
        save_file(load_file(given) if given else fit_encoder(tiles, recipe), kept)
    return dict(load_file(kept))


class _Run:
    """A run in progress; everything that a checkpoint holds."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        device: torch.device,
        out_dir: Path,
        facts: dict[str, Any],
        progress: Progress,
        bar: Any,
    ) -> None:
        self.recipe, self.task, self.out_dir = recipe, task, out_dir
        self.step, self.minutes = int(facts["step"]), float(facts["minutes"])
        self._progress, self._bar = progress, bar
        for network in task.networks.values():
            network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averages = {name: copy.deepcopy(net) for name, net in task.networks.items()}
        self.generator = torch.Generator().manual_seed(recipe.seed + self.step)
        self.optimizers = self._new_optimizers()
        self._stop = False

    def _new_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            name: torch.optim.Adam(network.parameters(), lr=self.recipe.rate, betas=(0.9, 0.99))
            for name, network in self.task.networks.items()
        }

    def load(self) -> None:
        """Put the checkpoint's state back."""
        load_checkpoint(
            self.out_dir, self.task.networks, self.averages, self.optimizers, self.generator
        )

    def save(self) -> None:
        """Write a checkpoint."""
        facts = {"step": self.step, "minutes": self.minutes, "recipe": self.recipe.name}
        save_checkpoint(
            self.out_dir, self.task.networks, self.averages, self.optimizers, self.generator, facts
        )

    def go(self, minutes: float | None) -> None:
        """Train until the schedule ends, the minutes are over, or somebody interrupts."""
        previous = signal.signal(signal.SIGTERM, self._ask_to_stop)
        begun = saved = shown = time.monotonic()
        before, losses = self.minutes, []
        try:
            while self.step < self.recipe.steps and not self._stop:
                loss = self._one_step()
                if loss is not None:
                    losses.append(loss)
                now = time.monotonic()
                self.minutes = before + (now - begun) / 60
                if minutes is not None and now - begun >= 60 * minutes:
                    break
                if now - shown >= FIGURES_SECONDS or self.step == self.recipe.steps:
                    self._figures(float(np.mean(losses)) if losses else float("nan"))
                    losses.clear()
                    shown = time.monotonic()
                if now - saved >= CHECKPOINT_SECONDS:
                    self.save()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            self._progress.console.print("interrupted; writing a checkpoint")
            self.save()
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)
        self.save()

    def _ask_to_stop(self, *_: Any) -> None:
        self._stop = True

    def _one_step(self) -> float | None:
        recipe = self.recipe
        share = min(1.0, (self.step + 1) / recipe.warmup)
        share *= 0.5 * (1 + math.cos(math.pi * self.step / recipe.steps))
        for name, optimizer in self.optimizers.items():
            peak = recipe.encoder_rate if name == "encoder" else recipe.rate
            for group in optimizer.param_groups:
                group["lr"] = peak * share
            optimizer.zero_grad(set_to_none=True)
        loss = self.task.loss(self.generator)
        loss.backward()  # type: ignore[no-untyped-call]
        for name, network in self.task.networks.items():
            # Each alone: the encoder's gradients, in integer levels, are of another size.
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            self.optimizers[name].step()
        self.step += 1
        if self.task.after_step(self.step):
            self.optimizers = self._new_optimizers()
            self.averages = {k: copy.deepcopy(net) for k, net in self.task.networks.items()}
        self._average()
        if self.step % LOSS_EVERY:
            return None
        told = float(loss.detach())
        self._progress.update(self._bar, completed=self.step, told=f"loss {told:.5f}")
        return told

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, network in self.task.networks.items():
            average = self.averages[name]
            mine = [p for p in average.parameters()]
            torch._foreach_lerp_(mine, [p.detach() for p in network.parameters()], 1 - decay)

    def _figures(self, loss: float) -> None:
        figures = self.task.held_out(self.averages, FIGURES_IMAGES)
        row = {
            "step": self.step,
            "minutes": round(self.minutes, 2),
            "loss": loss,
            **{f"psnr_{bits}": round(value, 4) for bits, value in figures.items()},
        }
        _append(self.out_dir / "log.csv", [row])
        _append(self.out_dir / "layers.csv", self.task.rows(self.step))
        shown = ", ".join(f"{value:.2f}" for value in figures.values())
        self._progress.console.print(
            f"step {self.step}, {self.minutes:.1f} min: held-out PSNR {shown} dB"
        )


def _append(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    flat = [
        {key: json.dumps(value) if isinstance(value, (list, dict)) else value for key, value in row.items()}
        for row in rows
    ]
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(flat[0]))
        if new:
            writer.writeheader()
        writer.writerows(flat)
