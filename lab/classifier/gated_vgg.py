"""VGG-11 of binary activations, plain or with logic gates for skips: ORNet-11, MUXORNet-11.

pixels 3 x S x S                                 S = 32 (CIFAR-10) or 96 (STL-10)
  |  C3 w (full precision) [with maximum]        the maximum only if S = 96
  |  C3 w *                                       w x 32x32 (48x48)
  |  C3 2w with maximum, C3 2w *, C3 2w *        2w x 16x16 (24x24)
  |  C3 4w with maximum, C3 4w *, C3 4w *        4w x  8x8  (12x12)
  |  C3 4w with maximum, C3 4w *                 4w x  4x4  (6x6)
  |  mean over the map
  v  FC (full precision)
logits

* equal shapes in and out, so a skip can go around it:

x ---+---> conv ---> BN ---> H ---> main ---+
     |                                      OR (or MUX of OR and main) ---> y
     +------------------ skip --------------+
"""

from __future__ import annotations

from typing import Any, Literal, cast

from heqcodec.lab.networks.logic_gates import SPARSITY_THRESHOLD, Opens, make_skip
from torch import Tensor, nn

from .blocks import TOPS, PixelNormalization, conv_block, gated_norm_init
from .training_precision import linear_head
from .vgg_small import CIFAR_DEVIATION, CIFAR_MEAN
from .weight_quantizers import weight_quantizer

Gate = Literal["none", "or", "mux"]
STAGES = ((1, 2), (2, 3), (4, 3), (4, 2))
"""Width as a multiple of w, and number of convolutions, the first of which changes the shape."""
LARGE_SIDE = 64
"""From this side of the images on there is one more maximum, behind the first convolution."""


class GatedVgg11(nn.Module):
    """Ten convolutions and a linear layer, activations 0 or 1 (arXiv 2501.04517, STL-10).

    The paper's widths and the places of its skips were not at hand. Ours: a skip wherever shapes
    allow one; the maximum before the threshold, because a maximum of binary maps would be one more
    OR, and a map that is nearly all ones says little. For the same reason networks with gates begin
    with fewer ones (norm_init "sparse"). Width 64
    (3.1 million weights) is scaled for CIFAR-10; take 48 for STL-10's 96x96 pixels, a similar
    number of operations by the one more maximum.

    Args:
        gate: skips: "none" (Vgg11), "or" (OrNet11) or "mux" (MuxOrNet11).
        classes: number of classes.
        weights, options: see ``weight_quantizer``.
        width: w.
        side: of the images, a multiple of 8 (of 16 from `LARGE_SIDE` on).
        active: activation: "binary" as in the paper, or "hwmsb" or "relu", see `make_skip`.
        gate_threshold, gate_opens: of MUX gates, see `MuxOrSkip`.
        head: see `linear_head`.

    Raises:
        ValueError: no such gate between these maps.
    """

    def __init__(
        self,
        gate: Gate,
        classes: int = 10,
        weights: str = "heq3",
        options: dict[str, Any] | None = None,
        width: int = 64,
        side: int = 32,
        active: str = "binary",
        gate_threshold: float = SPARSITY_THRESHOLD,
        gate_opens: Opens = "dense",
        head: str = "full",
    ) -> None:
        super().__init__()
        self.pixels = PixelNormalization(CIFAR_MEAN, CIFAR_DEVIATION)
        self.pools_first = side >= LARGE_SIDE
        self.blocks, self.gates = nn.ModuleList(), nn.ModuleList()
        inputs = 3
        for multiple, count in STAGES:
            outputs = multiple * width
            for index in range(count):
                first = not self.blocks
                quantizer = None if first else weight_quantizer(weights, **(options or {}))
                pool = self.pools_first if first else index == 0
                norm_init = gated_norm_init(active, gate)
                self.blocks.append(conv_block(inputs, outputs, active, quantizer, pool, norm_init))
                kind = gate if index else "none"
                skip = make_skip(kind, outputs, TOPS[active], gate_threshold, gate_opens)
                self.gates.append(skip or nn.Identity())
                inputs = outputs
        self.head = linear_head(head, inputs, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (N, 3, side, side) -> logits (N, classes)."""
        x = self.pixels(pixels)
        for block, gate in zip(self.blocks, self.gates, strict=True):
            main = block(x)
            x = main if isinstance(gate, nn.Identity) else gate(main, x)
        return cast(Tensor, self.head(x.float().mean(dim=(2, 3))))


class Vgg11(GatedVgg11):
    """`GatedVgg11` without skips; see there for the other arguments."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("none", **arguments)


class OrNet11(GatedVgg11):
    """`GatedVgg11` with OR skips; see there for the other arguments."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("or", **arguments)


class MuxOrNet11(GatedVgg11):
    """`GatedVgg11` with MUX-OR skips; see there for the other arguments."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("mux", **arguments)
