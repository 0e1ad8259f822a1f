"""What a classifier learns, epoch by epoch; the loop is `heqcodec.lab.training.loop`'s."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.task import LoopSettings, Task
from heqcodec.quantizers import layer_report
from heqcodec.quantizers.distribution_losses import distribution_loss, latent_weights
from heqcodec.quantizers.elastic import Precision
from heqcodec.quantizers.running_norm import plain_statistics
from torch import Tensor, nn

from .batches import DeviceImages, smoothed_loss
from .blocks import weighted_convolutions
from .networks import build_network, load_latent_state, read_tensors
from .nqe_classifier import NqeClassifier
from .recipe import ClassifierRecipe
from .schedule import learning_rate, phase_of
from .training_precision import guided_sum, quantize_gradients, require_elastic, set_precision

FADE_EVERY = 8
"""Steps between changes of the fade of batch normalization, each of which waits for the device."""
SEEDS_A_RUN = 100_003
STATISTICS_BATCHES = 20
NET = "classifier"


class ClassifierTask(Task):
    """See `heqcodec.lab.training.task.Task`.

    Each epoch's draws follow from the seed and its number. (The rounding of quantized gradients
    begins anew from the seed where a run is resumed.)

    Args:
        recipe: of the run.
        images: on the device.
        start: the file of weights that the recipe's ``start`` means, if it has one.
        report: gets each epoch's row, after it was written.

    Raises:
        HeqError: the network cannot be built, or ``start`` does not fit it.
    """

    remedy = "lower learning_rate in the recipe."

    def __init__(
        self,
        recipe: ClassifierRecipe,
        images: DeviceImages,
        start: Path | None = None,
        report: Callable[[dict[str, Any]], None] = lambda row: None,
    ) -> None:
        self.recipe, self.images, self._report = recipe, images, report
        self.device = images.device
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
                self.shifts = nqe.switch_to_bsn(recipe.bsn_quantile, fade, recipe.bsn_steps)
            except (RuntimeError, ValueError) as error:
                raise HeqError(f"{recipe.name} cannot begin: {error}") from error
        if recipe.gradients != "full":
            values = recipe.gradients, recipe.gradient_bits, recipe.bifurcated, recipe.seed
            quantize_gradients(self.network, *values)
        if recipe.guidance:
            require_elastic(self.network, recipe.name)
        self.networks = {NET: self.network}
        self._main = recipe.epochs * images.steps(recipe.batch)
        steps = self._main + recipe.fine_epochs * images.steps(recipe.fine_batch)
        ema = recipe.ema or None
        self.settings = LoopSettings(steps, recipe.seed, ema=ema, ema_buffers=True)
        self._step = 0
        self._batches: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._begin_epoch()

    def _begin_epoch(self, loss: float = 0.0, hits: int = 0, minutes: float = 0.0) -> None:
        """Sums over an epoch so far, and the minutes of training before it."""
        self._loss = torch.tensor(loss, device=self.device)
        self._hits = torch.tensor(hits, device=self.device)
        self._minutes = minutes

    def _at(self, step: int) -> tuple[int, int]:
        """The epoch that a step belongs to, from 0, and its number in it."""
        main, recipe = self._main, self.recipe
        if step < main:
            return divmod(step, self.images.steps(recipe.batch))
        epoch, index = divmod(step - main, self.images.steps(recipe.fine_batch))
        return recipe.epochs + epoch, index

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """SGD or AdamW, with a group of its own for what does not decay."""
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        convolutions = (conv for _, conv in weighted_convolutions(self.network))
        steps = {id(p) for c in convolutions if c.quantizer for p in c.quantizer.parameters()}
        for parameter in self.network.parameters():
            # Weights have outputs in front; thresholds, norms, biases and steps are left alone.
            is_weight = parameter.ndim in (2, 4) and parameter.shape[0] > 1
            is_weight &= id(parameter) not in steps
            (decayed if is_weight else free).append(parameter)
        recipe, fused = self.recipe, self.device.type == "cuda"
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        if recipe.optimizer == "adamw":
            return {NET: torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=fused)}
        peak, momentum = recipe.learning_rate, recipe.momentum
        return {NET: torch.optim.SGD(groups, peak, momentum, nesterov=True, fused=fused)}

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Of both groups, see `learning_rate`."""
        epoch, index = self._at(step)
        phase = phase_of(self.recipe, epoch)
        passed = epoch - phase.first + index / self.images.steps(phase.batch)
        return {NET: (learning_rate(self.recipe, phase, passed),) * 2}

    def prepare(self, step: int) -> None:
        """Draw the epoch that a step belongs to, from this step on."""
        self._step = step
        self._draw()

    def _draw(self) -> None:
        recipe, (epoch, index) = self.recipe, self._at(self._step)
        seed = recipe.seed * SEEDS_A_RUN + epoch
        batch = phase_of(recipe, epoch).batch
        self._batches = self.images.epoch(batch, seed, recipe.flip, recipe.cutout, index)
        self.network.train()

    def loss(self, generator: torch.Generator) -> Tensor:
        """Cross entropy of the next batch of the epoch."""
        recipe, (epoch, index) = self.recipe, self._at(self._step)
        if index == 0:
            self._draw()
        if (index == 0 and recipe.refresh and epoch % recipe.refresh == 0) or not recipe.refresh:
            self.refresh()
        if recipe.bsn and index % FADE_EVERY == 0:
            self._set_fade(epoch + index / self.images.steps(phase_of(recipe, epoch).batch))
        pixels, labels = next(self._batches)
        loss, logits = self._batch_loss(pixels, labels)
        if recipe.distribution_loss:
            # Without the first layer's, as EQ-Net has it.
            weights = latent_weights(self.network.modules())[1:]
            loss = loss + recipe.distribution_loss * distribution_loss(weights)
        self._loss += loss.detach()
        self._hits += (logits.detach().argmax(1) == labels).sum()
        return loss

    def _forward(self, pixels: Tensor) -> Tensor:
        with self._autocast():
            logits: Tensor = self.network(pixels)
        return logits.float()

    def _batch_loss(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and logits of a batch."""
        if self.recipe.guidance:
            seed = self.recipe.seed * SEEDS_A_RUN + self._step
            return guided_sum(self.network, lambda: self._forward(pixels), labels, seed)
        logits = self._forward(pixels)
        return smoothed_loss(logits, labels, self.recipe.smoothing), logits

    def after_step(self, step: int) -> bool:
        """Count; at the end of an epoch batch normalization has faded as far as it then has."""
        self._step = step
        epoch, index = self._at(step)
        if self.recipe.bsn and index == 0:
            self._set_fade(epoch)
        return False

    def figures_due(self, step: int) -> bool:
        """At the end of each epoch."""
        return self._at(step)[1] == 0

    def log_key(self, step: int) -> tuple[str, int]:
        """Rows are numbered by epochs, from 1."""
        return "epoch", self._at(step)[0]

    def log_row(
        self, networks: dict[str, nn.Module], step: int, minutes: float, loss: float
    ) -> tuple[dict[str, Any], str]:
        """An epoch, and what is tested after it; see `Task`."""
        epoch, _ = self._at(step)
        phase = phase_of(self.recipe, epoch - 1)
        steps = self.images.steps(phase.batch)
        count = steps * min(phase.batch, len(self.images))
        if self.recipe.guidance:
            options = {k: v for k, v in self.recipe.options.items() if k in Precision._fields}
            set_precision(networks[NET], Precision(**options))
            self._measure_statistics(networks[NET])
        test_loss, accuracy = self.test(networks[NET])
        row = {
            "name": self.recipe.name,
            "epoch": epoch,
            "loss": round(float(self._loss) / steps, 5),
            "train_accuracy": round(100 * int(self._hits) / count, 3),
            "test_loss": round(test_loss, 5),
            "test_accuracy": round(100 * accuracy, 3),
            "learning_rate": self.learning_rates(step - 1)[NET][0],
            "seconds": round(60 * (minutes - self._minutes), 3),
        }
        self._begin_epoch(minutes=minutes)
        return row, ""

    def after_log(self, row: dict[str, Any]) -> None:
        """Hand the row on."""
        self._report(row)

    def rows(self, step: int) -> list[dict[str, Any]]:
        """Use of the levels, see `layer_report`."""
        return layer_report(self.network, step)

    def facts(self) -> dict[str, Any]:
        """The sums over the epoch under way, and the shifts of normalization."""
        sums = {"loss": float(self._loss), "hits": int(self._hits), "minutes": self._minutes}
        return {"epoch": sums, "shifts": self.shifts}

    def resume(self, facts: dict[str, Any]) -> None:
        """See `facts`."""
        self._begin_epoch(**facts["epoch"])
        self.shifts = list(facts["shifts"])

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

    @contextlib.contextmanager
    def _autocast(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            yield

    @torch.no_grad()
    def _measure_statistics(self, network: nn.Module) -> None:
        """Those of normalization, anew for the subnet that is tested, as EQ-Net does: those of
        training are of all subnets together. Plain means over `STATISTICS_BATCHES`."""
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        batches = self.images.epoch(self.recipe.batch, self.recipe.seed)
        network.eval()
        with plain_statistics(norms), self._autocast():
            for norm in norms:
                norm.train()
            for pixels, _ in islice(batches, STATISTICS_BATCHES):
                network(pixels)

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


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept
