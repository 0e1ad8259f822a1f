"""Training a peer: the loss, the two optimizers, held-out figures."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from heqcodec.eval.peers.load import build
from heqcodec.eval.peers.peer import Peer
from heqcodec.lab.training.photographs import CropSource
from heqcodec.lab.training.schedule import cosine
from heqcodec.lab.training.task import LoopSettings, Task
from heqcodec.lab.training.tasks import FIGURES_IMAGES, psnr
from numpy.typing import NDArray
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


class PeerTask(Task):
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
        self.networks = {NETWORK: self.network}
        self.settings = LoopSettings(recipe.steps, recipe.seed, recipe.clip, recipe.ema)
        self._quantiles: torch.optim.Optimizer | None = None

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One of transforms and densities, and one of the quantiles where there are any."""
        network, recipe = self.network, self._recipe
        groups = [{"params": group} for group in (network.transforms(), network.densities())]
        found: dict[str, torch.optim.Optimizer] = {
            MAIN: torch.optim.Adam(groups, lr=recipe.learning_rate)
        }
        if network.quantiles():
            self._quantiles = torch.optim.Adam(network.quantiles(), lr=recipe.aux_learning_rate)
            found[AUXILIARY] = self._quantiles
        return found

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Of transforms and densities on a cosine; of the quantiles constant."""
        recipe = self._recipe
        share = cosine(step, 0, recipe.steps, recipe.warmup)
        peaks = recipe.learning_rate, recipe.density_learning_rate or recipe.learning_rate
        return {
            MAIN: tuple(share * peak for peak in peaks),
            AUXILIARY: (recipe.aux_learning_rate,),
        }

    def after_step(self, step: int) -> bool:
        """A step of the quantiles by their own loss, of the densities as they are now."""
        auxiliary = self.network.auxiliary_loss()
        if auxiliary is not None and self._quantiles is not None:
            auxiliary.backward()
            self._quantiles.step()
        return False

    def log_row(
        self, networks: dict[str, nn.Module], step: int, minutes: float, loss: float
    ) -> tuple[dict[str, Any], str]:
        """Figures of the first held-out photographs; see `Task`."""
        row, _ = super().log_row(networks, step, minutes, loss)
        figures = self.held_out(cast(Peer, networks[NETWORK]), FIGURES_IMAGES)
        row |= {f"held_out_{key}": round(value, 5) for key, value in figures._asdict().items()}
        reached = f"held-out {figures.bpp:.4f} bpp, PSNR {figures.psnr:.2f} dB"
        return row, f"step {step}, {minutes:.1f} min: {reached}"

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
