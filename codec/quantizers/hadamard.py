"""Block Hadamard transform, and weights quantized behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from .lsq import LsqQuantizer

DEFAULT_BLOCK = 32
LARGEST_BLOCK = 1024


def largest_block(width: int, limit: int = DEFAULT_BLOCK) -> int:
    """Largest power of two that divides ``width`` and is at most ``limit``."""
    return min(width & -width, 1 << (limit.bit_length() - 1))


def hadamard(x: Tensor, block: int) -> Tensor:
    """x times a block-diagonal matrix of orthonormal Hadamard matrices, along the last axis.

    H_1 = [1], H_2k = [[H_k, H_k], [H_k, -H_k]] / sqrt 2 (arXiv 2306.11987, Hadamard quantizer). It
    is symmetric and its own inverse. Computed by butterflies of additions, so that no autocast
    rounds its factors.

    Args:
        x: float (..., D).
        block: k, a power of two that divides D.

    Returns:
        Same shape and dtype; differentiable.

    Raises:
        ValueError: k is no power of two or does not divide D.
    """
    if block < 1 or block & (block - 1) or x.shape[-1] % block:
        raise ValueError(f"a Hadamard block of {block} does not fit vectors of {x.shape[-1]}.")
    shape, half = x.shape, 1
    while half < block:
        pairs = x.reshape(-1, 2, half)
        first, second = pairs[:, 0], pairs[:, 1]
        x = torch.stack([first + second, first - second], dim=1)
        half *= 2
    return (x * block**-0.5).reshape(shape)


class HadamardQuantizer(LsqQuantizer):
    """Weights rotated by a block Hadamard transform, quantized with a learned step, rotated back.

    The forward quantizer of 4-bit training (arXiv 2306.11987), applied to weights alone: what the
    layer computes with is H Q(H w), because its inputs are not rotated here. (``QuantizedLinear``
    rotates and quantizes both.) Rotation is along all axes but the first, flattened; the block is
    the largest power of two up to ``block`` that divides their size.

    Args:
        bits: of the integers, 2 to 16.
        block: largest block, a power of two.

    Raises:
        ValueError: bits out of range, or a block that is no power of two.
    """

    def __init__(self, bits: int = 4, block: int = DEFAULT_BLOCK) -> None:
        super().__init__(bits)
        if block < 1 or block & (block - 1):
            raise ValueError(f"a Hadamard block is a power of two, but got {block}.")
        self.block = block

    def _rotated(self, weight: Tensor) -> Tensor:
        rows = weight.flatten(1) if weight.dim() > 1 else weight
        width = rows.shape[-1]
        return hadamard(rows, largest_block(width, self.block)).reshape(weight.shape)

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> quantized and rotated back, same shape and dtype."""
        return self._rotated(super().forward(self._rotated(weight)))

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Integers of ``levels``, of the rotated weights; same shape and dtype."""
        return super().codes(self._rotated(weight))

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set the step from the rotated weights, unless training has moved it."""
        super().refresh(self._rotated(weight))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, block={self.block}"
