"""The elastic network: one set of weights that works at every precision of the space."""

from __future__ import annotations

import math
import random
from typing import cast

import torch
from heqcodec.lab.comparison.codec_task import CodecTask
from heqcodec.nqe_vgg.layout import VGG_LAYERS
from heqcodec.quantizers.elastic import GRANULARITIES
from torch import Tensor, nn

from .space import NqePrecision
from .switched_quantizer import MOST_BITS, SwitchedQuantizer

LARGEST_EVERY = 4
"""Every fourth step trains the largest subnet, the others one that is drawn."""


def random_precision(generator: random.Random) -> NqePrecision:
    """Bits 1 to 8 of each layer, evenly; either form."""
    bits = tuple(generator.randint(1, MOST_BITS) for _ in VGG_LAYERS)
    return NqePrecision(bits, generator.choice(GRANULARITIES), generator.random() < 0.5)


class ElasticCodec(CodecTask):
    """A ``CodecTask`` whose loss is that of another subnet at each step.

    EQ-Net (arXiv 2308.07650) trains the largest, the smallest and drawn subnets, the latter guided
    by the former. Here a step trains one: in minutes more steps are worth more. (Our choice.)
    """

    name = "elastic network"
    _drawn: random.Random | None = None
    _step = 0

    def elastic(self, network: nn.Module) -> None:
        """Give a full-precision twin its switched quantizers."""
        self.encoder(network).quantize(lambda layer: SwitchedQuantizer())

    def switch(self, network: nn.Module, precision: NqePrecision) -> None:
        """Set the precision of all layers."""
        blocks = self.encoder(network).reduced_blocks()
        for (_, block), bits in zip(blocks, precision.bits, strict=True):
            quantizer = cast(SwitchedQuantizer, block.quantizer)
            quantizer.set_precision(bits, precision.granularity, precision.symmetric)

    def loss(self, network: nn.Module, generator: torch.Generator) -> Tensor:
        """Of a batch of crops; in an elastic network of a subnet that is drawn."""
        _, first = next(self.encoder(network).reduced_blocks())
        if isinstance(first.quantizer, SwitchedQuantizer):
            if self._drawn is None:
                self._drawn = random.Random(self._seed)
            self._step += 1
            precision = random_precision(self._drawn)
            if self._step % LARGEST_EVERY == 0:
                bits = (MOST_BITS,) * len(VGG_LAYERS)
                precision = NqePrecision(bits, precision.granularity, precision.symmetric)
            self.switch(network, precision)
        return super().loss(network, generator)

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
