"""VGG-Small for 32x32 images, the network of the HEQ and LQ-Nets papers.

pixels 3x32x32
  |  128C3 (full precision), 128C3, maximum          w x 16x16     w = 128
  |  256C3, 256C3, maximum                          2w x  8x8
  |  512C3, 512C3, maximum                          4w x  4x4
  v  FC (full precision)
logits
"""

from __future__ import annotations

from typing import Any, cast

from heqcodec.quantizers.hwmsb import TOP_LEVEL
from torch import Tensor, nn

from .blocks import PixelNormalization, conv_block
from .training_precision import linear_head
from .weight_quantizers import weight_quantizer

CIFAR_MEAN = (125.3, 123.0, 113.9)
CIFAR_DEVIATION = (63.0, 62.1, 66.7)
HEAD_GAIN = 0.125
"""Of the features before the head: 8,192 of them make the head's steps too large for the learning
rate of the convolutions, by which it diverges. Folded into the head's weights afterwards."""


class VggSmall(nn.Module):
    """128C3-128C3-MP2-256C3-256C3-MP2-512C3-512C3-MP2-FC (arXiv 2501.04517, after LQ-Nets).

    First and last layer are not quantized, as in LQ-Nets.

    Args:
        classes: number of classes.
        weights: name of the weight quantizer, see ``weight_quantizer``.
        options: of the quantizer.
        active: activation, see ``heqcodec.lab.classifier.blocks.activation``.
        width: channels of the first pair; 128 in the papers.
        norm_init: see ``heqcodec.lab.classifier.blocks.NORM_INITS``.
        head: see `linear_head`.
    """

    def __init__(
        self,
        classes: int = 10,
        weights: str = "none",
        options: dict[str, Any] | None = None,
        active: str = "relu",
        width: int = 128,
        norm_init: str = "plain",
        head: str = "full",
    ) -> None:
        super().__init__()
        self.pixels = PixelNormalization(CIFAR_MEAN, CIFAR_DEVIATION)
        widths = (width, width, 2 * width, 2 * width, 4 * width, 4 * width)
        blocks, inputs = [], 3
        for index, outputs in enumerate(widths):
            quantizer = weight_quantizer(weights, **(options or {})) if index else None
            pool = index % 2 == 1
            blocks.append(conv_block(inputs, outputs, active, quantizer, pool, norm_init))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = linear_head(head, inputs * 16, classes)
        self.gain = HEAD_GAIN / (TOP_LEVEL if active == "hwmsb" else 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (N, 3, 32, 32) -> logits (N, classes)."""
        features = self.blocks(self.pixels(pixels)).flatten(1)
        return cast(Tensor, self.head(features * self.gain))
