"""BHQ: gradients spread over blocks of samples by Householder reflections, then quantized."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .gradient_quantizers import PerSampleGradient, round_rows
from .straight_through import in_single

RANGE_FLOOR = 1e-8


class Blocks(NamedTuple):
    """Samples in blocks of one large row and its small ones.

    Attributes:
        block: int64 (N,), the block of each row; blocks are numbered by their large rows' ranks.
        is_large: bool (N,), whether a row is its block's large one.
        size: float (N,), number of rows in each row's block, k.
        scale: float (N,), the diagonal factor of each row, s1 or s2.
    """

    block: Tensor
    is_large: Tensor
    size: Tensor
    scale: Tensor


@torch.no_grad()
def choose_blocks(rows: Tensor) -> Blocks:
    """Which rows reflect onto which, and their factors.

    BHQ (arXiv 2010.14298), as in the authors' code. With ranges m sorted descending, the G largest
    rows are as many as still have (N - G) m_G / sum_{i <= G} m_i > 1; the others are shared out
    among them in proportion to m, next in rank together. In a block of k, l1 the range of the
    large row and l2 the largest one of the small: s1 = (l1 / sqrt k)^(-1/3),
    s2 = (l2 q / (k - 1))^(-1/3), q the largest entry of the reflection. Without loops over values,
    so that the host does not wait.

    Args:
        rows: float (N, D).

    Returns:
        The blocks of the N rows, in the rows' own order.
    """
    count = rows.shape[0]
    span = rows.amax(dim=1) - rows.amin(dim=1) + RANGE_FLOOR
    ranges, order = span.sort(descending=True, stable=True)
    rank = torch.arange(count, device=rows.device)
    total = ranges.cumsum(0)
    # Rank r is the G-th largest with G = r + 1. G = 0 (nothing above 1, two rows) becomes 1.
    enough = (count - 1 - rank) * ranges / total > 1
    large = torch.where(enough, rank + 1, 0).amax().clamp(min=1)
    small = count - large
    # gather, since an index that is a tensor would make the host wait for its value.
    ends_of_large = torch.round(small * total / total.gather(0, large.view(1) - 1))
    ends = torch.where(rank < large, ends_of_large, small.to(ends_of_large.dtype))
    ends = ends.to(torch.int64).clamp(max=count)
    is_large = rank < large
    found = torch.searchsorted(ends, (rank - large).clamp(min=0), right=True)
    block = torch.where(is_large, rank, torch.minimum(found, large - 1))

    size = torch.zeros_like(ranges).index_add_(0, block, torch.ones_like(ranges))[block]
    smalls = torch.where(is_large, 0.0, ranges)
    second = torch.zeros_like(ranges).scatter_reduce_(0, block, smalls, "amax")[block]
    first = ranges[block]
    root = size.sqrt()
    # The reflection's entries: 1/sqrt k in the first row, delta - 1/(k - sqrt k) elsewhere.
    others = 1 / (size - root).clamp(min=RANGE_FLOOR)
    entry = torch.maximum(1 / root, (1 - others).abs())
    entry = torch.where(size > 2, torch.maximum(entry, others), entry)
    first_scale = (first / root).pow(-1 / 3)
    weight = second * entry / (size - 1).clamp(min=1)
    second_scale = weight.clamp(min=RANGE_FLOOR).pow(-1 / 3)
    scale = torch.where(is_large, first_scale, second_scale)
    scale = torch.where(size > 1, scale, 1.0)

    back = torch.argsort(order)
    return Blocks(block[back], is_large[back], size[back], scale[back])


def reflect(x: Tensor, blocks: Blocks) -> Tensor:
    """I - 2 v v' / |v|^2 in every block, v = 1/sqrt k - e_large: takes e_large to 1/sqrt k.

    Symmetric and its own inverse; the identity in blocks of one.

    Args:
        x: float (N, D).
        blocks: of the N rows.

    Returns:
        Same shape and dtype.
    """
    inverse_root = blocks.size.rsqrt()
    v = (inverse_root - blocks.is_large.to(x.dtype)).unsqueeze(1)
    along = torch.zeros_like(x).index_add_(0, blocks.block, v * x)[blocks.block]
    square = (2 - 2 * inverse_root).unsqueeze(1)
    # In a block of one v is 0, so any finite factor does.
    return x - 2 / square.clamp(min=RANGE_FLOOR) * along * v


class BlockHouseholderGradient(PerSampleGradient):
    """BHQ: Q(X) = T^-1 PSQ(T X) with T = reflection times diagonal, block by block.

    Source: arXiv 2010.14298. A row much larger than others is spread over the small rows of its
    block, and the error that its range causes with it. Unbiased, since T is linear and invertible.
    Arguments as of `PerSampleGradient`.
    """

    def __call__(self, gradient: Tensor) -> Tensor:
        """Float (N, D) -> same shape and dtype."""
        x = in_single(gradient)
        blocks = choose_blocks(x)
        scale = blocks.scale.unsqueeze(1)
        rounded = round_rows(reflect(x * scale, blocks), self.bins, self.random)
        return (reflect(rounded, blocks) / scale).to(gradient.dtype)
