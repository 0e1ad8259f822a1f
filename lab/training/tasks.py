"""What the two families train: their networks, losses and held-out figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from heqcodec.purenet.network import Purenet
from numpy.typing import NDArray
from torch import Tensor, nn

from .border_loss import border_loss

RATES = (64, 128, 256, 512)
PIXEL_FLOOR = 20.0 / 255**2
"""Added to a crop's own error before it is weighed: below about 35 dB, errors count alike."""
LEAST_ERROR = 1e-6
"""108 dB stand for infinity, which would swallow every mean."""


class Task(Protocol):
    """One family's part of a training run; `heqcodec.lab.training.run` does the rest."""

    networks: dict[str, nn.Module]
    """What is trained, with names for checkpoints; "purenet" is always among them."""
    figure_name: str
    """What a record calls a held-out figure, such as "psnr at {} bits"."""

    def prepare(self, step: int) -> None:
        """Make what steps need and the rest does not; called once, before the first step."""
        ...

    def loss(self, generator: torch.Generator) -> Tensor:
        """The loss of a batch drawn with ``generator``."""
        ...

    def learning_rates(self, step: int) -> dict[str, float]:
        """The learning rate of each network in a step; 0 where it does not learn."""
        ...

    def after_step(self, step: int) -> bool:
        """Bookkeeping after a step; true if the optimizers must start anew."""
        ...

    def held_out(
        self, networks: dict[str, nn.Module], images: int | None, ship: bool = False
    ) -> Mapping[Any, float]:
        """Mean PSNR in dB by bits a patch or step index and group, over the first images or all.

        With ``ship`` of the encoder that `encoder_tensors` gives, in whatever phase training is.
        Changes nothing: when figures are taken must not decide what is learned.
        """
        ...

    def rows(self, step: int) -> list[dict[str, Any]]:
        """Rows for the log of the quantized layers; empty where there are none."""
        ...

    def encoder_tensors(self, networks: dict[str, nn.Module]) -> dict[str, NDArray[Any]]:
        """The encoder as it ships."""
        ...


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
