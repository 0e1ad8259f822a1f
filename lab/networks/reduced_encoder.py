"""What trainings of minutes ask of an encoder of reduced width, whatever its form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from heqcodec.nqe_vgg.layout import VggLayer
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.running_norm import RunningBatchNorm2d, plain_statistics
from torch import Tensor, nn

from .quantized_block import QuantizedBlock

QuantizerMaker = Callable[[VggLayer], WeightQuantizer | None]


class ReducedEncoder(nn.Module):
    """uint8 (N, 3, 32, 32) -> code (N, channels, 4, 4), by quantized blocks."""

    def reduced_blocks(self) -> Iterator[tuple[VggLayer, QuantizedBlock]]:
        """Layers and their blocks from the pixels on."""
        raise NotImplementedError

    def quantize(self, make: QuantizerMaker) -> None:
        """Give every layer of a float baseline a quantizer; weights stay as latents."""
        for layer, block in self.reduced_blocks():
            quantizer = make(layer)
            if quantizer is not None:
                block.conv.quantize(quantizer.to(block.latent.device))

    @torch.no_grad()
    def refresh(self) -> None:
        """Let all quantizers follow their latent weights."""
        for _, block in self.reduced_blocks():
            block.conv.refresh()

    def own_parameters(self) -> list[nn.Parameter]:
        """Parameters of the quantizers themselves, such as learned steps."""
        quantizers = (block.quantizer for _, block in self.reduced_blocks())
        return [p for q in quantizers if q is not None for p in q.parameters()]

    def weight_bits(self) -> int:
        """Bits of all weights: the levels of each layer, times how many there are."""
        return sum(layer.level_bits * layer.weights for layer, _ in self.reduced_blocks())

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Measure the statistics of normalization anew, with weights as they are evaluated.

        Leaves the network in evaluation mode. The statistics become plain means over the batches.

        Args:
            batches: patches as for ``forward``.
        """
        self.eval()
        norms = [module for module in self.modules() if isinstance(module, RunningBatchNorm2d)]
        try:
            with plain_statistics(norms):
                for norm in norms:
                    norm.train()
                for batch in batches:
                    self(batch)
        finally:
            self.eval()


class EncoderPair(ReducedEncoder):
    """Two encoders of the same patch, whose codes stand one behind the other.

    Args:
        first, second: encoders.
    """

    def __init__(self, first: ReducedEncoder, second: ReducedEncoder) -> None:
        super().__init__()
        self.first, self.second = first, second

    def reduced_blocks(self) -> Iterator[tuple[VggLayer, QuantizedBlock]]:
        """Those of both."""
        yield from self.first.reduced_blocks()
        yield from self.second.reduced_blocks()

    def forward(self, patches: Tensor) -> Tensor:
        """uint8 (N, 3, 32, 32) -> codes (N, channels of both, 4, 4)."""
        return torch.cat([self.first(patches), self.second(patches)], dim=1)
