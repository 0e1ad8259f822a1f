"""Training `nqe-vgg`, straight through the quantizers, in up to three stages.

::

    steps 0 .. teacher_steps        teacher and PURENET together, squared error of crops
          .. + distil_steps         the encoder alone, taught the teacher's bits on single patches
          .. steps                  encoder and PURENET together, squared error of crops (and a part
                                    of the loss of the teacher's bits, which fades)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.networks.nqe_vgg import NormInit, NqeVgg, truncate_code
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.nqe_vgg.payload import CODE_CHANNELS, RATE_CHANNELS
from heqcodec.nqe_vgg.skips import Skip
from heqcodec.purenet.network import CELLS, Purenet, PurenetConfig
from heqcodec.quantizers.binary import binary_sign
from heqcodec.quantizers.diagnostics import layer_report
from heqcodec.quantizers.heq import StepRule
from numpy.typing import NDArray
from torch import Tensor, nn

from .border_loss import border_loss
from .recipe import VggRecipe
from .schedule import cosine
from .tasks import RATES, ModelTask, crop_places, psnr, purenet_of, rate_indices
from .teacher import Teacher, teacher_loss

CALIBRATION_BATCHES = 16
CALIBRATION_PATCHES = 128
VARIANCE_FLOOR = 1e-3
BFLOAT16_UNTIL = 0.9
"""Share of the steps in which sums of the quantized graph may be rounded to 8 bits, which is fast;
the last ones compute the sums that the integer encoder has."""


def patches_of(frames: Tensor) -> Tensor:
    """(B, 3, 32 R, 32 C) to (B R C, 3, 32, 32), row by row."""
    batch, channels, height, width = frames.shape
    grid = frames.view(batch, channels, height // 32, 32, width // 32, 32)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, 32, 32)


def laid_out(codes: Tensor, rows: int, columns: int) -> Tensor:
    """Codes (B R C, 32, 4, 4) at their places, (B, 32, 4 R, 4 C)."""
    grid = codes.view(-1, rows, columns, codes.shape[1], CELLS, CELLS).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(-1, codes.shape[1], rows * CELLS, columns * CELLS)


Stage = Literal["teacher", "distil", "joint"]


class VggTask(ModelTask):
    """See `heqcodec.lab.training.tasks.ModelTask`.

    Args:
        recipe: of the run.
        tiles: training photographs, uint8 (N, S, S, 3).
        frames: held-out photographs, uint8 (H, W, 3) each.
        device: where tiles and networks live.
    """

    def __init__(
        self,
        recipe: VggRecipe,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        device: torch.device,
    ) -> None:
        super().__init__(recipe)
        self._recipe, self._device, self._frames = recipe, device, frames
        self._tiles = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(device)
        torch.manual_seed(recipe.seed)
        encoder = NqeVgg(
            rule=cast(StepRule, recipe.rule),
            norm_init=cast(NormInit, recipe.norm_init),
            quantizers=recipe.quantizers,
            skips=cast(Skip, recipe.skips),
        )
        encoder.set_floating(recipe.float_steps > 0)
        config = PurenetConfig(inputs=CODE_CHANNELS, has_base=False, **recipe.purenet)
        self.networks: dict[str, nn.Module] = {"encoder": encoder, "purenet": Purenet(config)}
        if recipe.teacher_steps:
            self.networks["teacher"] = Teacher()
        self._enter(0)

    def prepare(self, step: int) -> None:
        """Enter the stage of a step; see `Task`."""
        self._enter(step)

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Learning rates of a step; see `Task`."""
        recipe = self._recipe
        taught, joint = recipe.teacher_steps, recipe.teacher_steps + recipe.distil_steps
        floating = step < taught + recipe.float_steps
        peak = recipe.float_learning_rate if floating else recipe.encoder_learning_rate
        if self._fade(step) is not None:
            peak = recipe.bsn_learning_rate
        learning = {"encoder": peak * cosine(step, taught, recipe.steps, recipe.warmup)}
        first = cosine(step, 0, taught, recipe.warmup)
        learning["purenet"] = recipe.learning_rate * (
            first if step < taught else cosine(step, joint, recipe.steps, recipe.warmup)
        )
        if taught:
            learning["teacher"] = recipe.learning_rate * first
        return {name: (learning_rate,) for name, learning_rate in learning.items()}

    def _enter(self, step: int) -> None:
        """Set what depends on the step alone."""
        recipe = self._recipe
        self._stage: Stage = "joint"
        if step < recipe.teacher_steps + recipe.distil_steps:
            self._stage = "teacher" if step < recipe.teacher_steps else "distil"
        begun = recipe.teacher_steps + recipe.distil_steps
        left = 1 - (step - begun) / max(1, recipe.steps - begun)
        self._teacher_weight = recipe.teacher_weight * left
        _encoder_of(self.networks).allow_autocast = step < BFLOAT16_UNTIL * recipe.steps

    def _fade(self, step: int) -> float | None:
        """How much of batch normalization is left in the bit-shift phase; None before it."""
        recipe = self._recipe
        begun = recipe.bsn_at * recipe.steps
        if recipe.bsn_at >= 1 or step < begun:
            return None
        span = recipe.fade_steps
        return max(0.0, 1 - (step - begun) / span) if span else 0.0

    def _crops(self, batch: int, crop: int, generator: torch.Generator) -> Tensor:
        """Random crops, ``crop`` patches a side, in random orientation, uint8 (batch, 3, S, S)."""
        side = 32 * crop
        views = torch.randint(8, (batch,), generator=generator).tolist()
        places = crop_places(len(self._tiles), self._tiles.shape[-1], crop, batch, generator)
        cut = []
        for view, (tile, row, column) in zip(views, places, strict=True):
            rows, columns = (slice(32 * first, 32 * first + side) for first in (row, column))
            part = self._tiles[tile][:, rows, columns]
            flips = [axis for axis, bit in ((2, 1), (1, 2)) if view & bit]
            part = part.flip(flips) if flips else part
            cut.append(part.transpose(1, 2) if view & 4 else part)
        return torch.stack(cut)

    def loss(self, generator: torch.Generator) -> Tensor:
        """What the stage asks for.

        Squared errors of crops are weighed by one over the root of the crop's variance. The same
        balance as for `nqe-t`: hard crops keep more weight, but not all of it.
        """
        recipe = self._recipe
        if self._stage == "distil":
            patches = self._crops(recipe.batch * recipe.crop**2, 1, generator)
            return teacher_loss(self._logits(patches), self._wanted(patches))
        rate = rate_indices(recipe.rate_weights, recipe.batch, generator)
        crops = self._crops(recipe.batch, recipe.crop, generator)
        patches = patches_of(crops)
        logits = self._taught(patches) if self._stage == "teacher" else self._logits(patches)
        channels = torch.tensor(RATE_CHANNELS)[rate].repeat_interleave(recipe.crop**2)
        code = truncate_code(binary_sign(logits), channels.to(self._device))
        cells = laid_out(code, recipe.crop, recipe.crop)
        target = crops.float() / 255
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            frame = self.networks["purenet"](
                cells.contiguous(memory_format=torch.channels_last), None, rate.to(self._device)
            )
        error = (frame.float() - target).pow(2).mean(dim=(1, 2, 3))
        spread = target.var(dim=(1, 2, 3)) + VARIANCE_FLOOR
        loss = (error / spread.sqrt()).mean()
        if self._stage == "joint":
            if recipe.teacher_steps and self._teacher_weight > 0:
                loss = loss + self._teacher_weight * teacher_loss(logits, self._wanted(patches))
            if recipe.border > 0:
                loss = loss + recipe.border * border_loss(frame.float(), target)
        return loss

    def _logits(self, patches: Tensor) -> Tensor:
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            return _encoder_of(self.networks).logits(patches)

    def _taught(self, patches: Tensor) -> Tensor:
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            logits: Tensor = self.networks["teacher"](patches)
        return logits

    @torch.no_grad()
    def _wanted(self, patches: Tensor) -> Tensor:
        self.networks["teacher"].eval()
        return self._taught(patches)

    def after_step(self, step: int) -> bool:
        """Refresh the quantizers on schedule; quantize, and later shift, when the time has come.

        Raises:
            HeqError: a layer's scales vanished or diverged before the bit-shift phase.
        """
        recipe, before = self._recipe, self._stage
        self._enter(step)
        encoder = _encoder_of(self.networks)
        if step >= recipe.teacher_steps + recipe.float_steps and encoder.is_floating:
            encoder.refresh()
            encoder.set_floating(False)
            return True
        if step % recipe.refresh == 0:
            encoder.refresh()
        fade = self._fade(step)
        if fade is not None and encoder.is_bsn:
            encoder.set_fade(fade)
        if fade is not None and not encoder.is_bsn:
            try:
                encoder.switch_to_bsn(fade)
            except ValueError as error:
                raise HeqError(f"at step {step} {error}") from error
            return True
        return self._stage != before

    def settled(self, networks: dict[str, nn.Module], ship: bool = False) -> NqeVgg:
        """The encoder for measuring, or as it would ship (then quantized in any phase): a copy.

        An EMA of weights has no deltas and no statistics of its own: the former follow from
        the weights, the latter are measured on photographs.
        """
        encoder = copy.deepcopy(_encoder_of(networks))
        encoder.refresh()
        # How far batch normalization has faded is no weight, and not averaged.
        encoder.set_fade(float(next(_encoder_of(self.networks).quantized_blocks()).norm.fade))
        if ship:
            encoder.set_floating(False)
        generator = torch.Generator().manual_seed(self._recipe.seed)
        if not encoder.is_bsn:
            encoder.recalibrate(
                self._crops(CALIBRATION_PATCHES, 1, generator) for _ in range(CALIBRATION_BATCHES)
            )
        return encoder.eval()

    @torch.no_grad()
    def held_out(
        self, networks: dict[str, nn.Module], images: int | None, ship: bool = False
    ) -> dict[int, float]:
        """Mean PSNR by rate; codes by the integer graph, or by the teacher in its stage."""
        network = purenet_of(networks)
        by_teacher = self._stage == "teacher" and not ship
        # An EMA of weights has no running statistics of its own: the teacher is taken as it is.
        teacher = self.networks["teacher"] if by_teacher else None
        encoder = copy.deepcopy(teacher).eval() if teacher else self.settled(networks, ship)
        figures: dict[int, list[float]] = {bits: [] for bits in RATES}
        for truth in self._frames[:images]:
            pixels = torch.from_numpy(truth).permute(2, 0, 1)[None].to(self._device)
            rows, columns = truth.shape[0] // 32, truth.shape[1] // 32
            code = torch.cat([encoder(part) for part in patches_of(pixels).split(128)])
            code = binary_sign(code)
            for index, channels in enumerate(RATE_CHANNELS):
                cells = laid_out(truncate_code(code, channels), rows, columns)
                rate = torch.tensor([index], device=self._device)
                cells = cells.contiguous(memory_format=torch.channels_last)
                figures[RATES[index]].append(psnr(network(cells, None, rate)[0], truth))
        return {bits: float(np.mean(values)) for bits, values in figures.items()}

    def float_layers(self) -> dict[str, str]:
        """Layers that keep the encoder from being exported, and their quantizers."""
        return _encoder_of(self.networks).float_layers()

    def rows(self, step: int) -> list[dict[str, Any]]:
        """Occupancy, entropy, delta / sigma and collapse of every quantized layer."""
        return layer_report(self.networks["encoder"], step)

    def encoder_tensors(self, networks: dict[str, nn.Module]) -> dict[str, NDArray[Any]]:
        """The integer twin's packed parameters.

        Raises:
            HeqError: a layer's quantizer does not give integers, or they are beyond the budget.
        """
        return IntegerVgg(self.settled(networks, ship=True).integer_layers()).packed()


def _encoder_of(networks: dict[str, nn.Module]) -> NqeVgg:
    encoder = networks["encoder"]
    assert isinstance(encoder, NqeVgg)
    return encoder
