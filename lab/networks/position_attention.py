"""Self-attention between the positions of a patch, in integers.

Is it worth its weights before the bottleneck of the 1 Mb encoder (a question that arXiv 2501.05097
leaves)? Queries and keys are binary maps, so that a score is a count of common ones; values are the
2-bit levels themselves, so that what is attended to is a sum of small integers.

    x (C, 16) levels 0..3 --+--> 1x1 convolution, H --> q, k (D, 16), 0 or 1
                            |         s = q' k (16, 16), 0..D: AND, and count
                            |         linear: a = s          hard: a = 1 where s > D / 4, else 0
                            +-------> y = x a' (C, 16), sums of levels
                            |         normalization, 2 bits (in integers: 3 thresholds a channel)
                            +--> OR -------------------------------------> levels 0..3
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from heqcodec.quantizers.hwmsb import TOP_LEVEL, HalfWaveMsb
from heqcodec.quantizers.running_norm import RunningBatchNorm2d
from torch import Tensor, nn

from .logic_gates import heaviside, or_gate

Attention = Literal["none", "linear", "hard"]
ATTENTIONS: tuple[Attention, ...] = ("none", "linear", "hard")
KEYS = 16
"""D. Full-width `nqe-vgg` would spend 2 x 16 x 256 = 8,192 bits on both projections."""
SHARE = 4
"""A hard score is more than D / 4, what independent maps of one half of ones have in the mean."""


def attended(q: Tensor, k: Tensor, v: Tensor, kind: Attention) -> Tensor:
    """Sums of values over positions, weighted by how many ones queries and keys share.

    Args:
        q, k: (N, D, P), 0 or 1.
        v: (N, C, P).
        kind: "linear" or "hard".

    Returns:
        y_i = sum over j of a_ij v_j, float (N, C, P), with a_ij = s_ij or 1 where s_ij > D / 4.
        Hard weights pass gradients to the score straight through a box of width D.
    """
    scores = q.transpose(1, 2) @ k
    if kind == "hard":
        scores = heaviside(scores - q.shape[1] / SHARE, float(q.shape[1]))
    return v @ scores.transpose(1, 2)


class PositionAttention(nn.Module):
    """Attention behind its projections; see the module's diagram.

    Args:
        channels: C.
        kind: "linear" or "hard".
        scale, bias: of the normalization at first.
    """

    def __init__(self, channels: int, kind: Attention, scale: float, bias: float) -> None:
        super().__init__()
        self.kind = kind
        self.norm = RunningBatchNorm2d(channels)
        nn.init.constant_(self.norm.weight, scale)
        nn.init.constant_(self.norm.bias, bias)
        self.activation = HalfWaveMsb()

    def forward(self, x: Tensor, projected: Tensor) -> Tensor:
        """Levels (N, C, H, W) and their projections (N, 2 D, H, W), 0 or 1 -> levels, as x."""
        # Sums go beyond what bfloat16 holds exactly.
        with torch.autocast(x.device.type, enabled=False):
            q, k = projected.float().flatten(2).chunk(2, dim=1)
            y = attended(q, k, x.float().flatten(2), self.kind).view_as(x)
            levels = self.activation(self.norm(y))
            return cast(Tensor, or_gate(levels, x.float(), TOP_LEVEL)).to(x.dtype)
