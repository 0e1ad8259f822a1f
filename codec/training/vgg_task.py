"""Training `nqe-vgg`: encoder and PURENET together, straight through the quantizers."""

from __future__ import annotations

import copy
from typing import Any, cast

import numpy as np
import torch
from heqcodec.errors import HeqError
from heqcodec.nqe.payload import CODE_CHANNELS, RATE_CHANNELS
from heqcodec.nqe.vgg import NormInit, NqeVgg, truncate_code
from heqcodec.nqe.vgg_integer import IntegerVgg
from heqcodec.purenet.network import CELLS, Purenet, PurenetConfig
from heqcodec.quantizers.binary import binary_sign
from heqcodec.quantizers.diagnostics import layer_report
from heqcodec.quantizers.heq import StepRule
from numpy.typing import NDArray
from torch import Tensor, nn

from .recipe import Recipe
from .tasks import RATES, crop_places, psnr, purenet_of, rate_indices
from .teacher import CodeTeacher

CALIBRATION_BATCHES = 16
CALIBRATION_PATCHES = 128
VARIANCE_FLOOR = 1e-3
TEACHER_CROPS = 200


def patches_of(frames: Tensor) -> Tensor:
    """(B, 3, 32 R, 32 C) to (B R C, 3, 32, 32), row by row."""
    batch, channels, height, width = frames.shape
    grid = frames.view(batch, channels, height // 32, 32, width // 32, 32)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, 32, 32)


def laid_out(codes: Tensor, rows: int, columns: int) -> Tensor:
    """Codes (B R C, 32, 4, 4) at their places, (B, 32, 4 R, 4 C)."""
    grid = codes.view(-1, rows, columns, codes.shape[1], CELLS, CELLS).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(-1, codes.shape[1], rows * CELLS, columns * CELLS)


class VggTask:
    """See `heqcodec.training.tasks.Task`.

    Args:
        recipe: of the run.
        tiles: training photographs, uint8 (N, S, S, 3).
        frames: held-out photographs, uint8 (H, W, 3) each.
        device: where tiles and networks live.
    """

    def __init__(
        self,
        recipe: Recipe,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        device: torch.device,
    ) -> None:
        self._recipe, self._device, self._frames = recipe, device, frames
        self._tiles = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(device)
        torch.manual_seed(recipe.seed)
        encoder = NqeVgg(
            rule=cast(StepRule, recipe.rule), norm_init=cast(NormInit, recipe.norm_init)
        )
        encoder.set_floating(recipe.float_steps > 0)
        config = PurenetConfig(inputs=CODE_CHANNELS, has_base=False, **recipe.purenet)
        self.networks: dict[str, nn.Module] = {"encoder": encoder, "purenet": Purenet(config)}
        self._teaching = 0.0

    def prepare(self, step: int) -> None:
        """Let the teacher learn the ranks of its coefficients; see `Task`."""
        generator = torch.Generator().manual_seed(self._recipe.seed)
        self._teacher = CodeTeacher(patches_of(self._crops(TEACHER_CROPS, generator)))
        self._teach(step)

    def _crops(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random crops in random orientation, uint8 (batch, 3, S, S)."""
        side = 32 * self._recipe.crop
        views = torch.randint(8, (batch,), generator=generator).tolist()
        places = crop_places(
            len(self._tiles), self._tiles.shape[-1], self._recipe.crop, batch, generator
        )
        crops = []
        for view, (tile, row, column) in zip(views, places, strict=True):
            crop = self._tiles[tile][
                :, 32 * row : 32 * row + side, 32 * column : 32 * column + side
            ]
            flips = [axis for axis, bit in ((2, 1), (1, 2)) if view & bit]
            crop = crop.flip(flips) if flips else crop
            crops.append(crop.transpose(1, 2) if view & 4 else crop)
        return torch.stack(crops)

    def loss(self, generator: torch.Generator) -> Tensor:
        """Squared error of random crops, over the root of their variance.

        The same balance as for `nqe-t`: hard crops keep more weight, but not all of it.
        """
        recipe = self._recipe
        rate = rate_indices(recipe, recipe.batch, generator)
        crops = self._crops(recipe.batch, generator)
        floating = _encoder_of(self.networks).is_floating
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=floating):
            logits = _encoder_of(self.networks).logits(patches_of(crops))
        code = binary_sign(logits)
        channels = torch.tensor(RATE_CHANNELS)[rate].repeat_interleave(recipe.crop**2)
        cells = laid_out(truncate_code(code, channels.to(self._device)), recipe.crop, recipe.crop)
        target = crops.float() / 255
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            frame = self.networks["purenet"](
                cells.contiguous(memory_format=torch.channels_last), None, rate.to(self._device)
            )
        error = (frame.float() - target).pow(2).mean(dim=(1, 2, 3))
        spread = target.var(dim=(1, 2, 3)) + VARIANCE_FLOOR
        loss = (error / spread.sqrt()).mean()
        if self._teaching > 0:
            loss = loss + self._teaching * self._teacher.loss(logits, patches_of(crops))
        return loss

    def after_step(self, step: int) -> bool:
        """Refresh the quantizers on schedule; quantize, and later shift, when the time has come.

        Raises:
            HeqError: a layer's scales vanished or diverged before the bit-shift phase.
        """
        self._teach(step)
        encoder = _encoder_of(self.networks)
        if step >= self._recipe.float_steps and encoder.is_floating:
            encoder.refresh()
            encoder.set_floating(False)
            return True
        if step % self._recipe.refresh == 0:
            encoder.refresh()
        share = self._recipe.bsn_at
        if share < 1 and step >= share * self._recipe.steps and not encoder.is_bsn:
            try:
                encoder.switch_to_bsn()
            except ValueError as error:
                raise HeqError(f"at step {step} {error}") from error
            return True
        return False

    def _teach(self, step: int) -> None:
        """The weight of the teaching at a step: falls in a straight line, to zero at its end."""
        span = self._recipe.teacher_until * self._recipe.steps
        self._teaching = self._recipe.teacher * max(0.0, 1 - step / span) if span else 0.0

    def settled(self, networks: dict[str, nn.Module], ship: bool = False) -> NqeVgg:
        """The encoder for measuring, or as it would ship (then quantized in any phase): a copy.

        An average of weights has no deltas and no statistics of its own: the former follow from
        the weights, the latter are measured on photographs.
        """
        encoder = copy.deepcopy(_encoder_of(networks))
        encoder.refresh()
        if ship:
            encoder.set_floating(False)
        generator = torch.Generator().manual_seed(self._recipe.seed)
        if not encoder.is_bsn:
            crops = max(1, CALIBRATION_PATCHES // self._recipe.crop**2)
            encoder.recalibrate(
                patches_of(self._crops(crops, generator)) for _ in range(CALIBRATION_BATCHES)
            )
        return encoder.eval()

    @torch.no_grad()
    def held_out(
        self, networks: dict[str, nn.Module], images: int | None, ship: bool = False
    ) -> dict[int, float]:
        """Mean PSNR by rate, codes by the integer graph; see `Task`."""
        encoder, network = self.settled(networks, ship), purenet_of(networks)
        figures: dict[int, list[float]] = {bits: [] for bits in RATES}
        for truth in self._frames[:images]:
            pixels = torch.from_numpy(truth).permute(2, 0, 1)[None].to(self._device)
            rows, columns = truth.shape[0] // 32, truth.shape[1] // 32
            code = torch.cat([encoder(part) for part in patches_of(pixels).split(128)])
            for index, channels in enumerate(RATE_CHANNELS):
                cells = laid_out(truncate_code(code, channels), rows, columns)
                rate = torch.tensor([index], device=self._device)
                cells = cells.contiguous(memory_format=torch.channels_last)
                figures[RATES[index]].append(psnr(network(cells, None, rate)[0], truth))
        return {bits: float(np.mean(values)) for bits, values in figures.items()}

    def rows(self, step: int) -> list[dict[str, Any]]:
        """Occupancy, entropy, delta / sigma and collapse of every quantized layer."""
        return layer_report(self.networks["encoder"], step)

    def encoder_tensors(self, networks: dict[str, nn.Module]) -> dict[str, NDArray[Any]]:
        """The integer twin's packed parameters."""
        return IntegerVgg(self.settled(networks, ship=True).integer_layers()).packed()


def _encoder_of(networks: dict[str, nn.Module]) -> NqeVgg:
    encoder = networks["encoder"]
    assert isinstance(encoder, NqeVgg)
    return encoder
