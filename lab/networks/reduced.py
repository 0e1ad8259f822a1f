"""The form of the 1 Mb encoder at a reduced width, for experiments that last minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
from heqcodec.base.errors import HeqError
from heqcodec.nqe_vgg.layout import BINARY, PIXEL_CENTRE, VGG_LAYERS, VggLayer
from heqcodec.nqe_vgg.skips import Skip
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.hwmsb import HalfWaveMsb
from heqcodec.quantizers.running_norm import RunningBatchNorm2d
from torch import Tensor, nn

from .code_quantizers import make_code
from .logic_gates import BinaryActivation
from .position_attention import KEYS, Attention, PositionAttention
from .quantized_block import QuantizedBlock, QuantizedConv2d
from .reduced_encoder import QuantizerMaker, ReducedEncoder
from .skip_gates import skip_gates, skipped

FULL_WIDTH = 64
CODE_CHANNELS = 16
"""Of the code: 16 x 4 x 4 positions are 256 bits a patch, a quarter of a bit a pixel."""
NORM_SCALE, NORM_BIAS = 0.37, 0.5
"""Normal sums fall into the four levels of the activation a quarter each, as in ``NqeVgg``."""

ATTENTION = "attention"
"""Name of the layer of queries and keys, before the bottleneck."""


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


def sign_of(layer: VggLayer, code: nn.Module) -> nn.Module | None:
    """What stands behind a layer in the place of the activation of 2 bits, if anything does."""
    if layer.name == ATTENTION:
        return BinaryActivation()
    return code if len(layer.cuts) == 1 else None


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


def attention_layer(bottleneck: VggLayer) -> VggLayer:
    """The binary projections of what a bottleneck sees to queries and keys."""
    return replace(bottleneck, name=ATTENTION, outputs=2 * KEYS, levels=BINARY)


class ReducedNqe(ReducedEncoder):
    """The encoder of arXiv 2501.05097 at a reduced width, in floating point throughout.

    Weights may have any quantizer; activations have 2 bits (HWMSB) and the code is quantized, in
    the float baseline too, so that only the weights make a difference. What leaves a layer's
    quantizer goes through batch normalization, which takes its scale.

    Args:
        width: channels of the first layer, even.
        code: end in the code; otherwise in the 2-bit maps of conv6, for a classifier.
        make: a new quantizer for each layer, or None for full precision.
        seed: of the initial weights.
        skips: logic gates around conv2, conv4 and conv6, see `heqcodec.nqe_vgg.skips`.
        code_quantizer: what makes the code, see `heqcodec.lab.networks.code_quantizers.make_code`.
        attention: before the bottleneck, see `heqcodec.lab.networks.position_attention`.
    """

    def __init__(
        self,
        width: int,
        code: bool = True,
        make: QuantizerMaker | None = None,
        seed: int = 0,
        skips: Skip = "none",
        code_quantizer: str = "binary",
        attention: Attention = "none",
    ) -> None:
        super().__init__()
        makes_code = make_code(code_quantizer)
        layers = reduced_layers(width, code, makes_code.channels)
        self.attention: PositionAttention | None = None
        if code and attention != "none":
            *before, last = layers
            layers = (*before, attention_layer(last), last)
            self.attention = PositionAttention(last.inputs, attention, NORM_SCALE, NORM_BIAS)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.blocks = nn.ModuleDict(
                {
                    layer.name: reduced_block(
                        layer, make(layer) if make else None, sign_of(layer, makes_code)
                    )
                    for layer in layers
                }
            )
        self.layers, self.skips = layers, skip_gates(layers, skips)

    def reduced_blocks(self) -> Iterator[tuple[VggLayer, QuantizedBlock]]:
        """Layers and their blocks from the pixels on."""
        for layer, block in zip(self.layers, self.blocks.values(), strict=True):
            yield layer, cast(QuantizedBlock, block)

    def forward(self, patches: Tensor) -> Tensor:
        """uint8 (N, 3, 32, 32) -> code (N, channels, 4, 4), or maps (N, 4 width, 4, 4)."""
        x = (patches.float() - PIXEL_CENTRE).contiguous(memory_format=torch.channels_last)
        for layer, block in self.reduced_blocks():
            if layer.name == ATTENTION and self.attention is not None:
                x = self.attention(x, block(x))
            else:
                x = skipped(self.skips, layer, block(x), x)
        return x
