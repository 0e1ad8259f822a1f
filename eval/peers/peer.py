"""What training and measuring ask of a peer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .entropy_bottleneck import EntropyBottleneck, bits


class Coded(NamedTuple):
    """A batch after its way through a network.

    frames: RGB / 255, float32 (B, 3, H, W), not limited to 0..1.
    likelihoods: of each group of latents, (B, channels, h, w); empty where bits are not learned.
    """

    frames: Tensor
    likelihoods: tuple[Tensor, ...]

    def bits_per_pixel(self) -> Tensor:
        """Cost of the latents by their likelihoods, averaged over the batch; a scalar."""
        count = self.frames.shape[0] * self.frames.shape[2] * self.frames.shape[3]
        total = self.frames.new_zeros(())
        for likelihoods in self.likelihoods:
            total = total + bits(likelihoods)
        return total / count


class Peer(nn.Module, ABC):
    """A learned codec's networks.

    Attributes:
        architecture: name that recipes and files carry.
        reduction: sides of the images must be multiples of this.
    """

    architecture: str
    reduction: int

    @property
    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """The constructor's arguments."""

    @abstractmethod
    def forward(self, frames: Tensor, generator: torch.Generator | None = None) -> Coded:
        """Encode and decode RGB / 255 (B, 3, H, W).

        ``generator`` draws what training leaves to chance (noise for rounding, how much of a code
        arrives); None codes as a file would be coded.
        """

    def bottlenecks(self) -> list[EntropyBottleneck]:
        """The learned densities in it."""
        return [part for part in self.modules() if isinstance(part, EntropyBottleneck)]

    def quantiles(self) -> list[nn.Parameter]:
        """Parameters that the auxiliary loss alone moves."""
        return [part.quantiles for part in self.bottlenecks()]

    def densities(self) -> list[nn.Parameter]:
        """Parameters of the learned densities, without the quantiles."""
        apart = {id(value) for value in self.quantiles()}
        every = [value for part in self.bottlenecks() for value in part.parameters()]
        return [value for value in every if id(value) not in apart]

    def transforms(self) -> list[nn.Parameter]:
        """All other parameters."""
        apart = {id(value) for value in (*self.quantiles(), *self.densities())}
        return [value for value in self.parameters() if id(value) not in apart]

    def auxiliary_loss(self) -> Tensor | None:
        """Of the quantiles; None where there are none."""
        losses = [part.loss() for part in self.bottlenecks()]
        return torch.stack(losses).sum() if losses else None

    def settle_quantiles(self) -> None:
        """See `EntropyBottleneck.settle_quantiles`."""
        for part in self.bottlenecks():
            part.settle_quantiles()
