"""The 1 Mb encoder as a classifier (arXiv 2501.05097): NQE, its binary code, a linear head.

pixels - 128, 3x32x32
  |  64C3 quinary, 64C3 quinary, maximum                          64 x 16x16   2-bit maps
  |  128C3 ternary, 128C3 ternary, maximum                       128 x  8x8
  |  256C3 binary in 2 groups, 256C3 binary in 2 groups, maximum 256 x  4x4
  |  16C1 binary, sign                                            16 x  4x4   = 256 bits
  v  FC (full precision)
logits
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from heqcodec.lab.networks.quantized_block import QuantizedBlock
from heqcodec.quantizers import BitShiftNorm, binary_sign
from torch import Tensor, nn

from .blocks import PixelNormalization, conv_block, weighted_convolutions
from .training_precision import linear_head
from .weight_quantizers import weight_quantizer

PIXEL_CENTRE = 128.0


@dataclass(frozen=True)
class NqeLayer:
    """One convolution of the encoder.

    inputs, outputs: channels.  kernel: side.  groups: of the convolution.
    weights: name of the weight quantizer.  bits: of one stored weight.
    pool: whether a 2x2 maximum follows.
    """

    inputs: int
    outputs: int
    kernel: int
    groups: int
    weights: str
    bits: int
    pool: bool

    @property
    def count(self) -> int:
        """Number of weights."""
        return self.outputs * self.inputs // self.groups * self.kernel**2


# A reconstruction: the paper's precisions, grouped convolutions and 1 Mb, at widths of ours.
NQE_LAYERS = (
    NqeLayer(3, 64, 3, 1, "heq5", 3, False),
    NqeLayer(64, 64, 3, 1, "heq5", 3, True),
    NqeLayer(64, 128, 3, 1, "heq3", 2, False),
    NqeLayer(128, 128, 3, 1, "heq3", 2, True),
    NqeLayer(128, 256, 3, 2, "binary", 1, False),
    NqeLayer(256, 256, 3, 2, "binary", 1, True),
    NqeLayer(256, 16, 1, 1, "binary", 1, False),
)
CODE_BITS = 256
POSITIONS = 16
CODE_CHANNELS = CODE_BITS // POSITIONS
WIDTH = NQE_LAYERS[0].outputs
FIXED_STEPS = {"heq5": "max5", "heq3": "max3"}
"""The fixed step that "mixed-max" has in the place of each histogram-equalized one."""
HEAD_GAIN = 0.25
"""Of the code before the head, whose steps would else be too large; see `VggSmall`."""


def weight_bits() -> int:
    """Bits of all weights of the encoder: 1,004,608, without the head."""
    return sum(layer.count * layer.bits for layer in NQE_LAYERS)


def layers_of_width(width: int, code_channels: int = CODE_CHANNELS) -> tuple[NqeLayer, ...]:
    """`NQE_LAYERS` with so many channels in the first layer and the others in proportion.

    For short comparisons; only `WIDTH` and `CODE_CHANNELS` are packed.

    Args:
        width: 64 is the encoder itself.
        code_channels: of the last layer, whatever the width.

    Raises:
        ValueError: an odd width: the grouped layers have two halves.
    """
    if width < 2 or width % 2:
        raise ValueError(f"the width of NQE must be an even number from 2, but got {width}")
    *blocks, last = NQE_LAYERS
    scaled = [
        replace(
            layer,
            inputs=layer.inputs * width // WIDTH if index else layer.inputs,
            outputs=layer.outputs * width // WIDTH,
        )
        for index, layer in enumerate(blocks)
    ]
    inputs = last.inputs * width // WIDTH
    return (*scaled, replace(last, inputs=inputs, outputs=code_channels))


def _of_layer(weights: str, layer: NqeLayer) -> str:
    if weights == "mixed":
        return layer.weights
    return FIXED_STEPS.get(layer.weights, layer.weights) if weights == "mixed-max" else weights


class NqeClassifier(nn.Module):
    """NQE of mixed precision with a linear head on its 256-bit code.

    Training begins with batch normalization; ``switch_to_bsn`` puts one power of two per layer in
    its place (the paper: after 100 of 220 epochs), and training goes on.

    Args:
        classes: number of classes.
        weights: "mixed" (the paper's: quinary, ternary, binary), "mixed-max" (the same numbers of
            levels by steps from the largest weight, to compare with), or the name of one quantizer
            for all layers; "none" makes the float baseline.
        options: of the quantizers.
        active: activation, see ``heqcodec.lab.classifier.blocks.activation``.
        norm_init: see ``heqcodec.lab.classifier.blocks.NORM_INITS``.
        binary_code: whether the head sees the signs of the code, or (for the float baseline) its
            values.
        width: channels of the first layer, see `layers_of_width`.
        head: see `linear_head`.
        code_channels: of the code, 16 bits each.

    Raises:
        ValueError: there is no such width.
    """

    def __init__(
        self,
        classes: int = 10,
        weights: str = "mixed",
        options: dict[str, Any] | None = None,
        active: str = "hwmsb",
        norm_init: str = "half-wave",
        binary_code: bool = True,
        width: int = WIDTH,
        head: str = "full",
        code_channels: int = CODE_CHANNELS,
    ) -> None:
        super().__init__()
        self.binary_code = binary_code
        self.layers = layers_of_width(width, code_channels)
        self.pixels = PixelNormalization((PIXEL_CENTRE,) * 3, (1.0,) * 3)
        blocks = []
        for layer in self.layers:
            quantizer = weight_quantizer(_of_layer(weights, layer), **(options or {}))
            last = layer is self.layers[-1]
            blocks.append(
                conv_block(
                    layer.inputs,
                    layer.outputs,
                    "none" if last else active,
                    quantizer,
                    layer.pool,
                    "plain" if last else norm_init,
                    layer.kernel,
                    layer.groups,
                    bit_shift=True,
                )
            )
        self.blocks = nn.Sequential(*blocks)
        self.head = linear_head(head, POSITIONS * code_channels, classes)

    def code(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (N, 3, 32, 32) -> code (N, 16, 4, 4), -1 or +1 (float without sign)."""
        code = self.blocks(self.pixels(pixels)).float()
        return binary_sign(code) if self.binary_code else cast(Tensor, code)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (N, 3, 32, 32) -> logits (N, classes)."""
        return cast(Tensor, self.head(self.code(pixels).flatten(1) * HEAD_GAIN))

    @property
    def norms(self) -> list[BitShiftNorm]:
        """The normalizations, from the pixels on."""
        return [cast(BitShiftNorm, cast(QuantizedBlock, block).norm) for block in self.blocks]

    @torch.no_grad()
    def switch_to_bsn(self, quantile: float = 0.9, fade: float = 0.0, steps: int = 1) -> list[int]:
        """Put one power of two per layer in the place of batch normalization.

        Channels whose gamma is negative get their weights negated, since a shared positive scale
        cannot invert them.

        Args:
            quantile: of the channels' scales, which the power of two stands for; the paper's 0.9.
            fade: see ``BitShiftNorm.set_fade``.
            steps: of an octave; 1 are shifts, more is for comparisons.

        Returns:
            The k of y = x * 2^(-k / steps), layer by layer; shifts, where steps is 1.

        Raises:
            RuntimeError: called twice.
            ValueError: a layer is dead.
        """
        for (_, conv), norm in zip(weighted_convolutions(self), self.norms, strict=True):
            conv.latent.mul_(norm.switch_to_bsn(quantile, fade, steps).view(-1, 1, 1, 1))
        return [norm.shift for norm in self.norms]

    def set_fade(self, fade: float) -> None:
        """How much of batch normalization is left after the switch, 1 to 0."""
        for norm in self.norms:
            norm.set_fade(fade)


assert POSITIONS * NQE_LAYERS[-1].outputs == CODE_BITS
