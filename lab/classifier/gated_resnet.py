"""Residual networks of quantized blocks whose skips are logic gates: ResNet-20, ResNet-56.

pixels 3 x 32 x 32
  |  C3 w (full precision)                        w x 32x32
  |  n residual blocks of 2 C3 w                  w x 32x32     depth = 6 n + 2
  |  n residual blocks of 2 C3 2w                2w x 16x16     the first convolution of a stage
  |  n residual blocks of 2 C3 4w                4w x  8x8      has a 2x2 maximum behind it
  |  mean over the map
  v  FC (full precision)
logits

x ---+---> conv ---> BN ---> levels ---> conv ---> BN ---> levels ---> main ---+
     |                                                                        gate ---> y
     +---> [2x2 maximum, channels twice] ---> skip ---------------------------+
"""

from __future__ import annotations

from typing import Any, cast

import torch
from heqcodec.lab.networks.logic_gates import SPARSITY_THRESHOLD, Opens, make_skip
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import TOPS, PixelNormalization, conv_block, gated_norm_init
from .training_precision import linear_head
from .vgg_small import CIFAR_DEVIATION, CIFAR_MEAN
from .weight_quantizers import weight_quantizer

DEPTHS = {"resnet-20": 20, "resnet-56": 56}
STAGES = 3


class GatedResNet(nn.Module):
    """The CIFAR form of a residual network (arXiv 1512.03385), of few levels.

    How do the gates of arXiv 2501.04517, whose networks have eleven layers, carry to deeper ones?
    Gates stand behind the activation, since they join maps of levels. Where the shape changes, the
    skip is the maximum of 2x2 places, and each channel twice: no weights (our choice; the sum has
    zeros there, which would make an OR of half of the channels nothing).

    Args:
        depth: 6 n + 2.
        classes: number of classes.
        weights, options: see ``weight_quantizer``.
        width: w; 16 in the paper.
        active: "binary", "hwmsb" or "relu".
        skips: "none", "or", "mux" or "add", see `make_skip`.
        gate_threshold, gate_opens: of MUX gates, see `MuxOrSkip`.
        head: see `linear_head`.

    Raises:
        ValueError: there is no such depth, or no such skip between these maps.
    """

    def __init__(
        self,
        depth: int,
        classes: int = 10,
        weights: str = "heq3",
        options: dict[str, Any] | None = None,
        width: int = 16,
        active: str = "binary",
        skips: str = "or",
        gate_threshold: float = SPARSITY_THRESHOLD,
        gate_opens: Opens = "dense",
        head: str = "full",
    ) -> None:
        super().__init__()
        count, rest = divmod(depth - 2, 2 * STAGES)
        if rest or count < 1:
            raise ValueError(f"a residual network has 6 n + 2 layers, not {depth}")
        self.pixels = PixelNormalization(CIFAR_MEAN, CIFAR_DEVIATION)
        self.first = conv_block(3, width, active, norm_init=gated_norm_init(active, skips))
        self.pairs, self.gates = nn.ModuleList(), nn.ModuleList()
        inputs = width
        for stage in range(STAGES):
            outputs = width * 2**stage
            for index in range(count):
                pools = index == 0 and stage > 0
                pair = [
                    conv_block(
                        inputs if place == 0 else outputs,
                        outputs,
                        active,
                        weight_quantizer(weights, **(options or {})),
                        pools and place == 0,
                        gated_norm_init(active, skips),
                    )
                    for place in range(2)
                ]
                self.pairs.append(nn.Sequential(*pair))
                gate = make_skip(skips, outputs, TOPS[active], gate_threshold, gate_opens)
                self.gates.append(gate or nn.Identity())
                inputs = outputs
        self.head = linear_head(head, inputs, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (N, 3, 32, 32) -> logits (N, classes)."""
        x = self.first(self.pixels(pixels))
        for pair, gate in zip(self.pairs, self.gates, strict=True):
            main = pair(x)
            x = main if isinstance(gate, nn.Identity) else gate(main, shortcut(x, main))
        return cast(Tensor, self.head(x.float().mean(dim=(2, 3))))


def shortcut(x: Tensor, main: Tensor) -> Tensor:
    """A block's input in the shape of its output; see the class."""
    if x.shape[2] != main.shape[2]:
        x = F.max_pool2d(x, 2)
    return torch.cat([x, x], dim=1) if x.shape[1] != main.shape[1] else x
