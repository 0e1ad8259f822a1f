"""A training run of a classifier: epochs, tests, checkpoints, log."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.checkpoint import FILE, load_checkpoint, read_facts, save_checkpoint
from heqcodec.lab.training.log_rows import append_rows, drop_rows
from heqcodec.lab.training.schedule import follow
from heqcodec.quantizers import layer_report
from torch import nn

from .batches import DeviceImages, smoothed_loss
from .blocks import weighted_convolutions
from .networks import build_network, load_latent_state, read_tensors, save_latent_state
from .nqe_classifier import NqeClassifier
from .recipe import ClassifierRecipe
from .schedule import learning_rate, phase_of

FINAL = "final.safetensors"
CHECKPOINT_SECONDS = 45.0
FADE_EVERY = 8
"""Steps between changes of the fade of batch normalization, each of which waits for the device."""
SEEDS_A_RUN = 100_003
NET = "classifier"


class ClassifierTraining:
    """A run in progress.

    Given the same recipe, images and kind of device, a run that was interrupted and resumed draws
    the same batches as one that was not: each epoch's draws follow from the seed and its number.

    Args:
        recipe: of the run.
        images: on the device.
        log_dir: for ``log.csv`` (an epoch a row) and ``layers.csv`` (use of the levels).
        state_dir: for checkpoints, which are large, and ``final.safetensors``.
        start: the file of weights that the recipe's ``start`` means, if it has one.

    Raises:
        HeqError: the network cannot be built, or ``start`` or a checkpoint does not fit it.
    """

    def __init__(
        self,
        recipe: ClassifierRecipe,
        images: DeviceImages,
        log_dir: Path,
        state_dir: Path,
        start: Path | None = None,
    ) -> None:
        self.recipe, self.images = recipe, images
        self.log_dir, self.state_dir = log_dir, state_dir
        self.device = images.device
        self.epoch, self.seconds = 0, 0.0
        self.shifts: list[int] = []
        torch.manual_seed(recipe.seed)
        self.network = build_network(recipe, len(images.classes), images.side)
        if start is not None:
            tensors, _ = read_tensors(start)
            load_latent_state(self.network, tensors, recipe.start_norms, f"the weights of {start}")
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.bsn:
            fade = 1.0 if recipe.bsn_fade_epochs else 0.0
            nqe = cast(NqeClassifier, self.network)
            try:
                self.shifts = nqe.switch_to_bsn(recipe.bsn_quantile, fade)
            except (RuntimeError, ValueError) as error:
                raise HeqError(f"{recipe.name} cannot begin: {error}") from error
        self.optimizer = self._new_optimizer()
        self.ema = copy.deepcopy(self.network) if recipe.ema else None
        self._step = 0
        if (state_dir / FILE).exists():
            self._resume()

    def _new_optimizer(self) -> torch.optim.Optimizer:
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for parameter in self.network.parameters():
            # Weights have outputs in front; thresholds, norms and biases are left alone.
            is_weight = parameter.ndim in (2, 4) and parameter.shape[0] > 1
            (decayed if is_weight else free).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        fused = self.device.type == "cuda"
        if self.recipe.optimizer == "adamw":
            return torch.optim.AdamW(groups, lr=self.recipe.learning_rate, fused=fused)
        return torch.optim.SGD(
            groups,
            lr=self.recipe.learning_rate,
            momentum=self.recipe.momentum,
            nesterov=True,
            fused=fused,
        )

    @property
    def tested(self) -> nn.Module:
        """The network that is tested and kept: the running average if there is one."""
        return self.network if self.ema is None else self.ema

    def go(self, deadline: float, report: Callable[[dict[str, Any]], None]) -> bool:
        """Train until all epochs are done, or the next one would end after the deadline.

        Args:
            deadline: in the units of ``time.monotonic``; infinity for none.
            report: gets each epoch's row, after it was written.

        Returns:
            Whether all epochs are done; then ``final.safetensors`` is written.

        Raises:
            HeqError: the loss diverged.
        """
        saved, longest = time.monotonic(), 0.0
        while self.epoch < self.recipe.all_epochs:
            begun = time.monotonic()
            if begun + longest > deadline:
                self._save()
                return False
            row = self._one_epoch(begun)
            longest = max(longest if self.epoch > 2 else 0.0, time.monotonic() - begun)
            report(row)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = time.monotonic()
        self.state_dir.mkdir(parents=True, exist_ok=True)
        save_latent_state(self.tested, self.state_dir / FINAL)
        return True

    def _one_epoch(self, begun: float) -> dict[str, Any]:
        recipe, epoch = self.recipe, self.epoch
        phase = phase_of(recipe, epoch)
        steps = self.images.steps(phase.batch)
        self.network.train()
        if recipe.refresh and epoch % recipe.refresh == 0:
            self.refresh()
        loss_sum = torch.zeros((), device=self.device)
        hits = torch.zeros((), device=self.device, dtype=torch.int64)
        batches = self.images.epoch(
            phase.batch, recipe.seed * SEEDS_A_RUN + epoch, recipe.flip, recipe.cutout
        )
        for index, (pixels, labels) in enumerate(batches):
            if not recipe.refresh:
                self.refresh()
            passed = epoch - phase.first + index / steps
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(recipe, phase, passed)
            if recipe.bsn and index % FADE_EVERY == 0:
                self._set_fade(epoch + index / steps)
            self.optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                logits = self.network(pixels)
            loss = smoothed_loss(logits, labels, recipe.smoothing)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self._follow()
            loss_sum += loss.detach()
            hits += (logits.detach().argmax(1) == labels).sum()
        self.epoch += 1
        if recipe.bsn:
            self._set_fade(self.epoch)
        test_loss, accuracy = self.test(self.tested)
        # The first wait for the device since the epoch began.
        mean = float(loss_sum) / steps
        if not math.isfinite(mean):
            raise HeqError(
                f"the loss of {recipe.name} is no number any more after epoch {self.epoch}; lower "
                "learning_rate in the recipe."
            )
        spent = time.monotonic() - begun
        self.seconds += spent
        row = {
            "name": recipe.name,
            "epoch": self.epoch,
            "loss": round(mean, 5),
            "train_accuracy": round(
                100 * int(hits) / (steps * min(phase.batch, len(self.images))), 3
            ),
            "test_loss": round(test_loss, 5),
            "test_accuracy": round(100 * accuracy, 3),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": round(spent, 3),
        }
        append_rows(self.log_dir / "log.csv", [row])
        append_rows(self.log_dir / "layers.csv", layer_report(self.network, self.epoch))
        return row

    def refresh(self) -> None:
        """Let all quantizers follow the latent weights, after removing medians if asked to."""
        for _, conv in weighted_convolutions(self.network):
            if self.recipe.zero_median and conv.quantizer is not None:
                conv.remove_median()
            conv.refresh()

    def _set_fade(self, passed: float) -> None:
        length = self.recipe.bsn_fade_epochs
        fade = max(0.0, 1 - passed / length) if length else 0.0
        cast(NqeClassifier, self.network).set_fade(fade)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the running average follow the weights, and take over statistics and steps."""
        self._step += 1
        if self.ema is None:
            return
        follow(self.ema, self.network, self.recipe.ema, self._step)
        for own, other in zip(self.ema.buffers(), self.network.buffers(), strict=True):
            own.copy_(other)

    @contextlib.contextmanager
    def _autocast(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            yield

    @torch.no_grad()
    def test(self, network: nn.Module, exact: bool = False) -> tuple[float, float]:
        """Loss without smoothing, and share of test images that are classified right.

        Args:
            network: to be tested, in the precision of training.
            exact: in float32 throughout instead, in which sums of integers are exact.
        """
        network.eval()
        loss = torch.zeros((), device=self.device)
        hits = torch.zeros((), device=self.device, dtype=torch.int64)
        with contextlib.ExitStack() as stack:
            if exact:
                stack.enter_context(_without_tf32())
            else:
                stack.enter_context(self._autocast())
            for pixels, labels in self.images.test_batches():
                logits = network(pixels)
                loss += smoothed_loss(logits, labels, 0.0) * len(labels)
                hits += (logits.argmax(1) == labels).sum()
        count = len(self.images.test_labels)
        return float(loss) / count, int(hits) / count

    def _save(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {"epoch": self.epoch, "seconds": self.seconds, "step": self._step}
        facts |= {"shifts": self.shifts, "images": self.images.sha256, "recipe": self.recipe.name}
        save_checkpoint(
            self.state_dir,
            {NET: self.network},
            {} if self.ema is None else {NET: self.ema},
            {NET: self.optimizer},
            torch.Generator(),
            facts,
        )

    def _resume(self) -> None:
        facts = read_facts(self.state_dir)
        if facts["recipe"] != self.recipe.name or facts["images"] != self.images.sha256:
            raise HeqError(
                f"the run in {self.state_dir} was begun with another recipe or other images; give "
                "those, or another folder."
            )
        load_checkpoint(
            self.state_dir,
            {NET: self.network},
            {} if self.ema is None else {NET: self.ema},
            {NET: self.optimizer},
            torch.Generator(),
        )
        self.epoch, self.seconds = int(facts["epoch"]), float(facts["seconds"])
        self._step, self.shifts = int(facts["step"]), list(facts["shifts"])
        drop_rows(self.log_dir / "log.csv", "epoch", self.epoch)
        drop_rows(self.log_dir / "layers.csv", "step", self.epoch)


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept
