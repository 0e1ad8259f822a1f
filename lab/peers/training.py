"""Training a peer: the loss, the two optimizers, held-out figures; the loop itself is ours."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from heqcodec.eval.peers.load import build
from heqcodec.eval.peers.peer import Peer
from heqcodec.lab.training.log_rows import append_rows
from heqcodec.lab.training.loop import FIGURES_IMAGES, TrainingLoop
from heqcodec.lab.training.photographs import CropSource
from heqcodec.lab.training.recipe import Recipe
from heqcodec.lab.training.schedule import cosine
from heqcodec.lab.training.tasks import Task, psnr
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import PeerRecipe

NETWORK = "peer"
MAIN, AUXILIARY = "main", "auxiliary"


class Figures(NamedTuple):
    """Means over held-out photographs.

    bpp: bits per pixel by the likelihoods, without a file around them; 0 where bits are not
        learned.
    psnr: dB over RGB, rounded to 8 bits.
    loss: as in training, with rounding instead of noise.
    """

    bpp: float
    psnr: float
    loss: float


class PeerTask:
    """A peer, and the photographs that it learns from and is measured on.

    Args:
        recipe: of the run.
        tiles: training photographs, uint8 (N, S, S, 3), kept in memory as they are.
        frames: held-out photographs, uint8 (H, W, 3) each.
        device: where the network lives.
    """

    def __init__(
        self,
        recipe: PeerRecipe,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        device: torch.device,
    ) -> None:
        self._recipe, self._frames, self._device = recipe, frames, device
        self._crops = CropSource(tiles, device)
        torch.manual_seed(recipe.seed)
        self.network = build(recipe.architecture, recipe.sizes)
        self.networks: dict[str, nn.Module] = {NETWORK: self.network}

    def prepare(self, step: int) -> None:
        """Nothing to make before the first step."""

    def learning_rates(self, step: int) -> tuple[float, float]:
        """Learning rates of transforms and densities in a step."""
        recipe = self._recipe
        share = cosine(step, 0, recipe.steps, recipe.warmup)
        return share * recipe.learning_rate, share * (
            recipe.density_learning_rate or recipe.learning_rate
        )

    def batch(self, generator: torch.Generator) -> Tensor:
        """Random crops in random orientation, RGB / 255, (batch, 3, crop, crop)."""
        count, crop = self._recipe.batch, self._recipe.crop
        return self._crops(crop, count, generator).float().div_(255)

    def loss(self, generator: torch.Generator) -> Tensor:
        """The loss of a batch drawn with ``generator``."""
        frames = self.batch(generator)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._recipe.bfloat16):
            coded = self.network(frames, generator)
        return self._lagrangian(coded.frames, frames, coded.bits_per_pixel())

    def _lagrangian(self, decoded: Tensor, frames: Tensor, bits_per_pixel: Tensor) -> Tensor:
        error = F.mse_loss(decoded, frames)
        if not self.network.bottlenecks():
            return error
        return self._recipe.lmbda * 255**2 * error + bits_per_pixel

    @torch.no_grad()
    def held_out(self, network: Peer, images: int | None) -> Figures:
        """Figures of a network over the first held-out photographs (all: None), in float32.

        Changes nothing: the quantiles are settled in a copy.
        """
        settled = copy.deepcopy(network).eval()
        settled.settle_quantiles()
        rows = []
        for frame in self._frames[:images]:
            pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].to(self._device)
            truth = pixels.float() / 255
            height, width = frame.shape[:2]
            more = [-side % network.reduction for side in (width, height)]
            padded = F.pad(truth, (0, more[0], 0, more[1]), mode="replicate")
            coded = settled(padded.contiguous(memory_format=torch.channels_last))
            decoded = coded.frames[..., :height, :width]
            spread = padded.shape[2] * padded.shape[3] / (height * width)
            bpp = coded.bits_per_pixel() * spread
            loss = self._lagrangian(decoded.clamp(0, 1), truth, bpp)
            rows.append((float(bpp), psnr(decoded[0], frame), float(loss)))
        return Figures(*(float(value) for value in np.mean(rows, axis=0)))


class PeerLoop(TrainingLoop):
    """The loop of our own models, with the quantiles' optimizer beside the main one."""

    def __init__(
        self,
        recipe: PeerRecipe,
        task: PeerTask,
        device: torch.device,
        out_dir: Path,
        facts: dict[str, Any],
        progress: Progress,
    ) -> None:
        self._peer_recipe, self._peer_task = recipe, task
        # The loop reads steps, seed and average of a recipe, and networks of a task; both have
        # them.
        super().__init__(cast(Recipe, recipe), cast(Task, task), device, out_dir, facts, progress)

    def _new_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        network = self._peer_task.network
        groups = [{"params": group} for group in (network.transforms(), network.densities())]
        optimizers: dict[str, torch.optim.Optimizer] = {
            MAIN: torch.optim.Adam(groups, lr=self._peer_recipe.learning_rate)
        }
        if network.quantiles():
            optimizers[AUXILIARY] = torch.optim.Adam(
                network.quantiles(), lr=self._peer_recipe.aux_learning_rate
            )
        return optimizers

    def _one_step(self) -> Tensor:
        task, network = self._peer_task, self._peer_task.network
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        groups, peaks = self.optimizers[MAIN].param_groups, task.learning_rates(self.step)
        for group, learning_rate in zip(groups, peaks, strict=True):
            group["lr"] = learning_rate
        loss = task.loss(self.generator)
        loss.backward()
        detached = loss.detach()
        main = [*network.transforms(), *network.densities()]
        norm = nn.utils.clip_grad_norm_(main, self._peer_recipe.clip)
        self.optimizers[MAIN].step()
        auxiliary = network.auxiliary_loss()
        if auxiliary is not None:
            auxiliary.backward()
            self.optimizers[AUXILIARY].step()
        self._healthy = torch.isfinite(detached + norm)
        self.step += 1
        self._average()
        return detached

    def _figures(self, losses: list[float]) -> None:
        self._figures_at = self.step
        average = cast(Peer, self.ema[NETWORK])
        figures = self._peer_task.held_out(average, FIGURES_IMAGES)
        row = {
            "step": self.step,
            "minutes": round(self.minutes, 2),
            "loss": float(np.mean(losses)) if losses else math.nan,
            **{f"held_out_{key}": round(value, 5) for key, value in figures._asdict().items()},
        }
        append_rows(self.out_dir / "log.csv", [row])
        self._progress.console.print(
            f"step {self.step}, {self.minutes:.1f} min: held-out {figures.bpp:.4f} bpp, "
            f"PSNR {figures.psnr:.2f} dB"
        )
