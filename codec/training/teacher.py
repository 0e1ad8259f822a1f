"""A teacher for the first steps of `nqe-vgg`: what each code bit could say about its cell.

A deep network of 1 to 3 bit weights learns slowly from the reconstruction alone (measured: 350
steps of teaching bring it further than 1,000 without). So at first each of the 32 bits of a cell of
8x8 pixels is also asked to be one bit of a low-frequency DCT coefficient of that cell, in order of
importance: Gray code bits of the equalized means, then upper and lower tails of the others. The
weight of the teaching falls with the learning rate; the code is free in the end (our choice).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

CELL = 8
QUANTILES = 256
SHARPNESS = 3.0
"""Logits for the cross entropy, per unit of the normalized sum before the sign."""

# Plane 0 to 2 (see nqe.transform.COLOUR), vertical and horizontal frequency, and which bit: a whole
# number is a Gray code bit of the rank, a fraction asks whether the rank is above it.
TARGETS: tuple[tuple[int, int, int, float], ...] = (
    # The first 4: 0.0625 bpp.
    *((0, 0, 0, 1), (0, 0, 0, 2), (0, 0, 0, 3), (1, 0, 0, 1)),
    # To 8: 0.125 bpp.
    *((0, 0, 1, 0.75), (0, 0, 1, 0.25), (0, 1, 0, 0.75), (0, 1, 0, 0.25)),
    # To 16: 0.25 bpp.
    *((1, 0, 0, 2), (2, 0, 0, 1), (2, 0, 0, 2), (0, 0, 0, 4)),
    *((0, 0, 2, 0.75), (0, 0, 2, 0.25), (0, 2, 0, 0.75), (0, 2, 0, 0.25)),
    # To 32: 0.5 bpp.
    *((0, 0, 1, 0.92), (0, 0, 1, 0.08), (0, 1, 0, 0.92), (0, 1, 0, 0.08)),
    *((0, 1, 1, 0.75), (0, 1, 1, 0.25), (1, 0, 0, 3), (2, 0, 0, 3)),
    *((0, 1, 2, 0.75), (0, 1, 2, 0.25), (0, 2, 1, 0.75), (0, 2, 1, 0.25)),
    *((0, 2, 2, 0.75), (0, 2, 2, 0.25), (1, 0, 1, 0.5), (1, 1, 0, 0.5)),
)
COLOUR = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))


def _kernels() -> tuple[Tensor, list[tuple[int, int, int]]]:
    """Filters (features, 3, 8, 8) of all coefficients in TARGETS, and their names in order."""
    names = sorted({target[:3] for target in TARGETS})
    sample = torch.arange(CELL) + 0.5
    filters = []
    for plane, u, v in names:
        rows = torch.cos(math.pi / CELL * u * sample)
        columns = torch.cos(math.pi / CELL * v * sample)
        colour = torch.tensor(COLOUR[plane]).view(3, 1, 1)
        filters.append(colour * rows[:, None] * columns[None] / CELL**2)
    return torch.stack(filters), names


class CodeTeacher:
    """Target bits for patches; ranks come from the photographs given.

    Args:
        patches: uint8 (N, 3, 32, 32), a few thousand.
    """

    def __init__(self, patches: Tensor) -> None:
        filters, self._names = _kernels()
        self._filters = filters.to(patches.device)
        values = self._features(patches).transpose(0, 1).reshape(len(self._names), -1)
        levels = torch.linspace(0, 1, QUANTILES, device=patches.device)
        self._quantiles = torch.stack(
            [torch.quantile(row[: 1 << 20], levels) for row in values]
        ).contiguous()

    def _features(self, patches: Tensor) -> Tensor:
        return F.conv2d(patches.float(), self._filters, stride=CELL)

    def bits(self, patches: Tensor) -> Tensor:
        """uint8 (N, 3, 32, 32) to target bits 0 and 1, float32 (N, 32, 4, 4)."""
        values = self._features(patches).transpose(0, 1).contiguous()
        found = torch.searchsorted(self._quantiles, values.reshape(len(self._names), -1))
        rank = (found.float() / QUANTILES).clamp(0, 1 - 1e-6).view_as(values)
        bits = []
        for plane, u, v, which in TARGETS:
            r = rank[self._names.index((plane, u, v))]
            if which >= 1:
                bits.append(torch.floor((torch.floor(r * 2 ** int(which)) + 1) / 2) % 2)
            else:
                bits.append((r > which).float())
        return torch.stack(bits, dim=1)

    def loss(self, logits: Tensor, patches: Tensor) -> Tensor:
        """Cross entropy between normalized sums (N, 32, 4, 4) and the target bits, in nats."""
        return F.binary_cross_entropy_with_logits(SHARPNESS * logits.float(), self.bits(patches))
