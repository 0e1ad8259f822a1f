"""The elastic network: one set of weights that works at every precision of the space."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from heqcodec.lab.comparison.codec_task import BATCH, CROP, CodecTask, scaled_error
from heqcodec.nqe_vgg.layout import VGG_LAYERS
from heqcodec.quantizers.distribution_losses import distribution_loss
from heqcodec.quantizers.elastic import GRANULARITIES
from heqcodec.quantizers.progressive_guidance import TEACHER_SHARE
from numpy.typing import NDArray
from torch import Tensor, nn

from .space import NqePrecision
from .switched_quantizer import MOST_BITS, SwitchedQuantizer

LARGEST_EVERY = 4
"""Every fourth step trains the largest subnet, the others one that is drawn."""


def random_precision(generator: random.Random) -> NqePrecision:
    """Bits 1 to 8 of each layer, evenly; either form."""
    bits = tuple(generator.randint(1, MOST_BITS) for _ in VGG_LAYERS)
    return NqePrecision(bits, generator.choice(GRANULARITIES), generator.random() < 0.5)


def _of_bits(precision: NqePrecision, bits: int) -> NqePrecision:
    return precision._replace(bits=(bits,) * len(VGG_LAYERS))


@dataclass(frozen=True)
class ElasticLosses:
    """What EQ-Net adds to the loss of a subnet.

    Attributes:
        distribution: weight of `heqcodec.quantizers.distribution_losses.distribution_loss` over all
            layers but the first.
        guidance: train the largest, a drawn and the smallest subnet in each step, the latter two
            half to the picture of the one before.
    """

    distribution: float = 0.0
    guidance: bool = False


class ElasticCodec(CodecTask):
    """A ``CodecTask`` whose loss is that of another subnet at each step.

    EQ-Net (arXiv 2308.07650) trains the largest, the smallest and drawn subnets, the latter guided
    by the former; so does ``guidance``. Else a step trains one: in minutes more steps are worth
    more. (Our choice.)

    Args:
        tiles, frames, width, device, seed: see `CodecTask`.
        losses: what is added.
    """

    name = "elastic network"
    _drawn: random.Random | None = None
    _step = 0

    def __init__(
        self,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        width: int,
        device: torch.device,
        seed: int,
        losses: ElasticLosses | None = None,
    ) -> None:
        super().__init__(tiles, frames, width, device, seed)
        self._losses = losses or ElasticLosses()

    def elastic(self, network: nn.Module) -> None:
        """Give a float baseline its switched quantizers."""
        self.encoder(network).quantize(lambda layer: SwitchedQuantizer())

    def switch(self, network: nn.Module, precision: NqePrecision) -> None:
        """Set the precision of all layers."""
        blocks = self.encoder(network).reduced_blocks()
        for (_, block), bits in zip(blocks, precision.bits, strict=True):
            quantizer = cast(SwitchedQuantizer, block.quantizer)
            quantizer.set_precision(bits, precision.granularity, precision.symmetric)

    def loss(self, network: nn.Module, generator: torch.Generator) -> Tensor:
        """Of a batch of crops; in an elastic network of subnets that are drawn."""
        blocks = [block for _, block in self.encoder(network).reduced_blocks()]
        if not isinstance(blocks[0].quantizer, SwitchedQuantizer):
            return super().loss(network, generator)
        crops = self._crops(CROP, BATCH, generator)
        target = crops.float() / 255
        losses: list[Tensor] = []
        teacher: Tensor | None = None
        for precision in self._subnets():
            self.switch(network, precision)
            shown = network(crops)
            hard = scaled_error(shown, target)
            if teacher is None:
                losses.append(hard)
            else:
                soft = scaled_error(shown, teacher)
                losses.append(TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard)
            teacher = shown.detach()
        total = torch.stack(losses).sum()
        if self._losses.distribution:
            spread = distribution_loss([block.latent for block in blocks[1:]])
            total = total + self._losses.distribution * spread
        return total

    def _subnets(self) -> list[NqePrecision]:
        """Those of the next step, most precise first."""
        if self._drawn is None:
            self._drawn = random.Random(self._seed)
        self._step += 1
        drawn = random_precision(self._drawn)
        if self._losses.guidance:
            return [_of_bits(drawn, MOST_BITS), drawn, _of_bits(drawn, 1)]
        return [_of_bits(drawn, MOST_BITS) if self._step % LARGEST_EVERY == 0 else drawn]

    @torch.no_grad()
    def quick_measure(
        self, network: nn.Module, precision: NqePrecision, crops: Tensor, calibration: Tensor
    ) -> float:
        """PSNR of a subnet on a few crops.

        Args:
            network: elastic.
            precision: of the subnet.
            crops: uint8 (N, 3, S, S), not trained on.
            calibration: patches, uint8 (M, 3, 32, 32), for the statistics of normalization.

        Returns:
            Mean over the crops, in dB.
        """
        self.switch(network, precision)
        self.encoder(network).calibrate([calibration])
        network.eval()
        error = (network(crops) - crops.float() / 255).square().mean(dim=(1, 2, 3))
        return float((-10 * error.clamp(min=1e-10).log() / math.log(10)).mean())
