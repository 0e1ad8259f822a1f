"""What training tasks of the families share: optimizers, log, losses and figures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from heqcodec.purenet.network import Purenet, PurenetConfig, transform_cells
from numpy.typing import NDArray
from torch import Tensor, nn

from .border_loss import border_loss
from .muon import Muon
from .recipe import Recipe
from .schedule import cosine
from .task import LoopSettings, Task

FIGURES_IMAGES = 6
RATES = (64, 128, 256, 512)
PIXEL_FLOOR = 20.0 / 255**2
"""Added to a crop's own error before it is weighed: below about 35 dB, errors count alike."""
DECIBEL_FLOOR = 1.0 / 255**2
"""Added to errors before their logarithm: 48 dB. Nobody sees what is lost far above it."""
LEAST_ERROR = 1e-6
"""108 dB stand for infinity, which would swallow every mean."""


class ModelTask(Task):
    """One family's part of a training run; `heqcodec.lab.training.run` does the rest.

    "purenet" is always among its networks.

    Args:
        recipe: of the run.
    """

    figure_name = "psnr at {} bits"
    """What a record calls a held-out figure."""

    def __init__(self, recipe: Recipe) -> None:
        self.settings = LoopSettings(recipe.steps, recipe.seed, recipe.clip, recipe.ema)
        self._model_recipe = recipe

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for each network."""
        peak, muon = self._model_recipe.learning_rate, self._model_recipe.optimizer == "muon"
        return {
            name: Muon(network.parameters(), lr=peak)
            if muon
            else torch.optim.Adam(network.parameters(), lr=peak, betas=(0.9, 0.99))
            for name, network in self.networks.items()
        }

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Warm-up and cosine of PURENET."""
        recipe = self._model_recipe
        share = cosine(step, 0, recipe.steps, recipe.warmup)
        return {"purenet": (recipe.learning_rate * share,)}

    @abstractmethod
    def held_out(
        self, networks: dict[str, nn.Module], images: int | None, ship: bool = False
    ) -> Mapping[Any, float]:
        """Mean PSNR in dB by bits a patch or step index and group, over the first images or all.

        With ``ship`` of the encoder that `encoder_tensors` gives, in whatever phase training is.
        Changes nothing: when figures are taken must not decide what is learned.
        """

    @abstractmethod
    def encoder_tensors(self, networks: dict[str, nn.Module]) -> dict[str, NDArray[Any]]:
        """The encoder as it ships."""

    def log_row(
        self, networks: dict[str, nn.Module], step: int, minutes: float, loss: float
    ) -> tuple[dict[str, Any], str]:
        """Held-out PSNR of the first images; see `Task`."""
        row, _ = super().log_row(networks, step, minutes, loss)
        figures = self.held_out(networks, FIGURES_IMAGES)
        row |= {f"psnr_{rate}": round(value, 4) for rate, value in figures.items()}
        shown = ", ".join(f"{value:.2f}" for value in figures.values())
        return row, f"step {step}, {minutes:.1f} min: held-out PSNR {shown} dB"


class CodeTask(ModelTask):
    """PURENET on true codes of a patch-constant encoder that does not change.

    Args:
        recipe: of the run.
        frames: held-out photographs, uint8 (H, W, 3) each.
        tensors: of the encoder.
        device: where the network lives.
        rates: of the encoder, bits a patch.
        hints: of each patch.
    """

    def __init__(
        self,
        recipe: Recipe,
        frames: list[NDArray[np.uint8]],
        tensors: dict[str, NDArray[Any]],
        device: torch.device,
        rates: Sequence[int],
        hints: int,
    ) -> None:
        super().__init__(recipe)
        self._frames, self._tensors, self._device, self._rates = frames, tensors, device, rates
        torch.manual_seed(recipe.seed)
        config = PurenetConfig(inputs=192 + hints, has_base=True, **recipe.purenet)
        self.networks: dict[str, nn.Module] = {"purenet": Purenet(config)}

    @abstractmethod
    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Base and hints of crops, as `transform_cells` takes them, their rate indices (B,), and
        the photographs, RGB / 255, float32 (B, 3, H, W)."""

    @abstractmethod
    def frame_inputs(self, index: int, rate: int) -> tuple[Tensor, Tensor]:
        """Base and hints of a held-out photograph at a rate index."""

    def loss(self, generator: torch.Generator) -> Tensor:
        """See `correction_loss`."""
        base, hints, rate, target = self.batch(generator)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            frame = self._decoded(purenet_of(self.networks), base, hints, rate.to(self._device))
        return correction_loss(frame.float(), base, target, self._model_recipe.border)

    @torch.inference_mode()
    def held_out(
        self, networks: dict[str, nn.Module], images: int | None, ship: bool = False
    ) -> dict[int, float]:
        """Mean PSNR by rate; see `ModelTask`."""
        figures: dict[int, list[float]] = {bits: [] for bits in self._rates}
        for index, truth in enumerate(self._frames[:images]):
            for place, bits in enumerate(figures):
                rate = torch.tensor([place], device=self._device)
                inputs = self.frame_inputs(index, place)
                frame = self._decoded(purenet_of(networks), *inputs, rate)[0]
                figures[bits].append(psnr(frame, truth))
        return {bits: float(np.mean(values)) for bits, values in figures.items()}

    def encoder_tensors(self, networks: dict[str, nn.Module]) -> dict[str, NDArray[Any]]:
        """The encoder as it was given or fitted."""
        return self._tensors

    def _decoded(self, network: Purenet, base: Tensor, hints: Tensor, rate: Tensor) -> Tensor:
        cells = transform_cells(base, hints).contiguous(memory_format=torch.channels_last)
        frame: Tensor = network(cells, base, rate)
        return frame


def purenet_of(networks: dict[str, nn.Module]) -> Purenet:
    """The decoder among the networks."""
    network = networks["purenet"]
    assert isinstance(network, Purenet)
    return network


def psnr(frame: Tensor, truth: NDArray[np.uint8]) -> float:
    """PSNR in dB of a frame (3, H, W) in 0..1, rounded to 8 bits, against (H, W, 3)."""
    shown = (frame * 255).round().clamp(0, 255).permute(1, 2, 0)
    error = shown.double().cpu().numpy() - truth.astype(np.float64)
    return float(10 * np.log10(255**2 / max(np.mean(error**2), LEAST_ERROR)))


def correction_loss(frame: Tensor, base: Tensor, target: Tensor, border: float) -> Tensor:
    """Squared error of crops, each weighed by its own difficulty.

    The weight is one over the root of the plain inverse's error (our choice, because figures are
    means of decibels: without it the hardest crops and the lowest rate would have all the
    gradient).

    Args:
        frame: decoded, RGB / 255, float32 (B, 3, H, W).
        base: by the plain inverse, the same shape.
        target: the photographs, the same shape.
        border: weight of `border_loss`; 0 for none.
    """
    error = (frame - target).pow(2).mean(dim=(1, 2, 3))
    plain = (base.clamp(0, 1) - target).pow(2).mean(dim=(1, 2, 3)) + PIXEL_FLOOR
    loss = (error / plain.sqrt()).mean()
    return loss + border * border_loss(frame, target) if border > 0 else loss


def decibel_loss(frame: Tensor, base: Tensor, target: Tensor, border: float) -> Tensor:
    """Mean logarithm of the squared error of crops, as a share of the plain inverse's.

    What figures measure, but for the floor. An easy crop has as much of the gradient as a hard
    one, so that a picture that the plain inverse gives almost exactly is worth being left alone.

    Args:
        frame: decoded, RGB / 255, float32 (B, 3, H, W).
        base: by the plain inverse, the same shape.
        target: the photographs, the same shape.
        border: weight of `border_loss`; 0 for none.
    """
    errors = [(made - target).pow(2).mean(dim=(1, 2, 3)) for made in (frame, base.clamp(0, 1))]
    made, plain = (torch.log(error + DECIBEL_FLOOR) for error in errors)
    loss = (made - plain).mean()
    return loss + border * border_loss(frame, target) if border > 0 else loss


def rate_indices(weights: Sequence[float], count: int, generator: torch.Generator) -> Tensor:
    """Random rates for a batch, each drawn as often as its weight says, int64 (count,)."""
    return torch.multinomial(torch.tensor(weights), count, replacement=True, generator=generator)


def crop_places(
    tiles: int, side: int, crop: int, count: int, generator: torch.Generator
) -> Iterator[tuple[int, int, int]]:
    """Random (tile, row, column) of crops, row and column in patches."""
    span = side // 32 - crop + 1
    which = torch.randint(tiles, (count,), generator=generator).tolist()
    rows = torch.randint(span, (count,), generator=generator).tolist()
    columns = torch.randint(span, (count,), generator=generator).tolist()
    yield from zip(which, rows, columns, strict=True)
