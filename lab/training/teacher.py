"""The teacher of `nqe-vgg`: a small float encoder that finds a good code for its PURENET first.

::

    patches (N, 3, 32, 32), one cell is 8x8 pixels
      ├─ 8x8 convolution, stride 8 ─┐
      ▼                             │
    8x8 convolution, stride 8       │
      ▼                             │
    x + 3x3 convolution(relu(x))    │   inside the patch
      ▼                             │
    relu, 1x1 convolution ─────────►+ ──► normalization ──► (N, 32, 4, 4), the code is its sign

A deep network of 1 to 3 bit weights learns what to say slowly while PURENET does not understand it
yet. The teacher and PURENET learn together in minutes; the quantized encoder then learns the
teacher's bits, which needs no decoder, and last it goes on together with PURENET, where the code is
free again. (Our choice. It is distillation; HEQ, arXiv 2501.04517, starts from full-precision
weights instead, which the recipe offers too.)
"""

from __future__ import annotations

import torch
from heqcodec.nqe_vgg.payload import CODE_CHANNELS
from heqcodec.purenet.network import CELL
from heqcodec.quantizers.running_norm import RunningBatchNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

SHARPNESS = 4.0
"""Logits for the cross entropy, per unit of the normalized sums."""
IMPORTANCE = (1.5, 0.5)
"""Weight of the first and of the last channel of the code, in a straight line between."""


class Teacher(nn.Module):
    """See the module's diagram.

    Args:
        width: channels inside.
    """

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, width, CELL, CELL)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, CODE_CHANNELS, 1)
        self.straight = nn.Conv2d(3, CODE_CHANNELS, CELL, CELL, bias=False)
        self.norm = RunningBatchNorm2d(CODE_CHANNELS, affine=False)

    def forward(self, patches: Tensor) -> Tensor:
        """uint8 or float pixels (N, 3, 32, 32), 0..255 -> normalized float32 (N, 32, 4, 4)."""
        pixels = patches.float() / 64 - 2
        x = self.cells(pixels)
        x = x + self.mix(F.relu(x))
        return self.norm((self.out(F.relu(x)) + self.straight(pixels)).float())


def teacher_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy of the encoder's bits with the teacher's, in nats.

    Args:
        logits: of the encoder, normalized, (N, 32, 4, 4).
        wanted: of the teacher, the same. Where it is not sure, it does not insist.

    Returns:
        The mean, earlier channels weighing more, as `IMPORTANCE` says.
    """
    each = F.binary_cross_entropy_with_logits(
        SHARPNESS * logits.float(), torch.sigmoid(2 * SHARPNESS * wanted), reduction="none"
    )
    first, last = IMPORTANCE
    weights = torch.linspace(first, last, each.shape[1], device=each.device)
    return (each * weights.view(1, -1, 1, 1)).mean()
