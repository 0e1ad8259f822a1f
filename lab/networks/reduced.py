"""The form of the 1 Mb encoder at a reduced width, for experiments that last minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import cast

import torch
from heqcodec.base.errors import HeqError
from heqcodec.nqe_vgg.layout import PIXEL_CENTRE, VGG_LAYERS, VggLayer
from heqcodec.nqe_vgg.skips import Skip
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.hwmsb import HalfWaveMsb
from heqcodec.quantizers.running_norm import RunningBatchNorm2d, plain_statistics
from torch import Tensor, nn

from .code_quantizers import make_code
from .quantized_block import QuantizedBlock, QuantizedConv2d
from .skip_gates import skip_gates, skipped

FULL_WIDTH = 64
CODE_CHANNELS = 16
"""Of the code: 16 x 4 x 4 positions are 256 bits a patch, a quarter of a bit a pixel."""
NORM_SCALE, NORM_BIAS = 0.37, 0.5
"""Normal sums fall into the four levels of the activation a quarter each, as in ``NqeVgg``."""

QuantizerMaker = Callable[[VggLayer], WeightQuantizer | None]


def require_even(width: int) -> None:
    """Check the width of a reduced network.

    Raises:
        HeqError: it is odd, and layers have two groups.
    """
    if width % 2:
        raise HeqError(f"the width must be even, because layers have two groups, but got {width}.")


def reduced_layers(
    width: int, code: bool = True, channels: int = CODE_CHANNELS
) -> tuple[VggLayer, ...]:
    """The layers of `nqe-vgg` at another width.

    Args:
        width: channels of the first layer (64 in `nqe-vgg`), even.
        code: with the bottleneck; without it the last layer is conv6.
        channels: of the bottleneck, whatever the width.

    Returns:
        Layers with the groups, kernels and poolings of ``VGG_LAYERS``.

    Raises:
        HeqError: the width is odd.
    """
    require_even(width)

    def scaled(layer: VggLayer) -> VggLayer:
        inputs = layer.inputs if layer.inputs == 3 else layer.inputs * width // FULL_WIDTH
        is_code = layer is VGG_LAYERS[-1]
        outputs = channels if is_code else layer.outputs * width // FULL_WIDTH
        return replace(layer, inputs=inputs, outputs=outputs)

    return tuple(scaled(layer) for layer in (VGG_LAYERS if code else VGG_LAYERS[:-1]))


def reduced_block(
    layer: VggLayer, quantizer: WeightQuantizer | None, code: nn.Module | None
) -> QuantizedBlock:
    """The block of a layer: an activation of 2 bits, or what makes the code.

    Args:
        layer: its sizes.
        quantizer: of the weights, None for full precision.
        code: what makes the code, of the last layer.
    """
    conv = QuantizedConv2d(layer.inputs, layer.outputs, layer.kernel, groups=layer.groups)
    if quantizer is not None:
        # It follows the weights from the first refresh on.
        conv.quantize(quantizer)
    norm = RunningBatchNorm2d(layer.outputs)
    scale, bias = (1.0, 0.0) if code else (NORM_SCALE, NORM_BIAS)
    nn.init.constant_(norm.weight, scale)
    nn.init.constant_(norm.bias, bias)
    return QuantizedBlock(conv, norm, code or HalfWaveMsb(), "normalized" if layer.pool else "none")


class ReducedNqe(nn.Module):
    """The encoder of arXiv 2501.05097 at a reduced width, in floating point throughout.

    Weights may have any quantizer; activations have 2 bits (HWMSB) and the code is quantized, in
    the full-precision twin too, so that only the weights make a difference. What leaves a layer's
    quantizer goes through batch normalization, which takes its scale.

    Args:
        width: channels of the first layer, even.
        code: end in the code; otherwise in the 2-bit maps of conv6, for a classifier.
        make: a new quantizer for each layer, or None for full precision.
        seed: of the initial weights.
        skips: logic gates around conv2, conv4 and conv6, see `heqcodec.nqe_vgg.skips`.
        code_quantizer: what makes the code, a key of `heqcodec.lab.networks.code_quantizers.CODES`.
    """

    def __init__(
        self,
        width: int,
        code: bool = True,
        make: QuantizerMaker | None = None,
        seed: int = 0,
        skips: Skip = "none",
        code_quantizer: str = "binary",
    ) -> None:
        super().__init__()
        makes_code = make_code(code_quantizer)
        layers = reduced_layers(width, code, makes_code.channels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.blocks = nn.ModuleDict(
                {
                    layer.name: reduced_block(
                        layer,
                        make(layer) if make else None,
                        makes_code if len(layer.cuts) == 1 else None,
                    )
                    for layer in layers
                }
            )
        self.layers, self.skips = layers, skip_gates(layers, skips)

    def reduced_blocks(self) -> Iterator[tuple[VggLayer, QuantizedBlock]]:
        """Layers and their blocks from the pixels on."""
        for layer, block in zip(self.layers, self.blocks.values(), strict=True):
            yield layer, cast(QuantizedBlock, block)

    def quantize(self, make: QuantizerMaker) -> None:
        """Give every layer of a full-precision twin a quantizer; weights stay as latents."""
        for layer, block in self.reduced_blocks():
            quantizer = make(layer)
            if quantizer is not None:
                block.conv.quantize(quantizer.to(block.latent.device))

    def forward(self, patches: Tensor) -> Tensor:
        """uint8 (N, 3, 32, 32) -> code (N, channels, 4, 4), or maps (N, 4 width, 4, 4)."""
        x = (patches.float() - PIXEL_CENTRE).contiguous(memory_format=torch.channels_last)
        for layer, block in self.reduced_blocks():
            x = skipped(self.skips, layer, block(x), x)
        return x

    @torch.no_grad()
    def refresh(self) -> None:
        """Let all quantizers follow their latent weights."""
        for _, block in self.reduced_blocks():
            block.conv.refresh()

    def own_parameters(self) -> list[nn.Parameter]:
        """Parameters of the quantizers themselves, such as learned steps."""
        quantizers = (block.quantizer for _, block in self.reduced_blocks())
        return [p for q in quantizers if q is not None for p in q.parameters()]

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Measure the statistics of normalization anew, with weights as they are evaluated.

        Leaves the network in evaluation mode. The statistics become plain means over the batches.

        Args:
            batches: patches as for ``forward``.
        """
        self.eval()
        norms = [cast(RunningBatchNorm2d, block.norm) for _, block in self.reduced_blocks()]
        try:
            with plain_statistics(norms):
                for norm in norms:
                    norm.train()
                for batch in batches:
                    self(batch)
        finally:
            self.eval()
