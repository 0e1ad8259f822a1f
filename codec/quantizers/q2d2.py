"""Q2D2: pairs of numbers on grids of the plane, for activations, codes and weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .base import WeightQuantizer
from .pair_grids import GridShape, PairGrid
from .straight_through import in_single, replace_through

STRETCH = 1 + 1e-3
"""The tanh never reaches 1; so the outermost points stay within reach. From the authors' code."""

GAUSSIAN_GAIN = 0.851
"""tanh(0.851 x) is about erf(x / sqrt 2): it makes a Gaussian uniform on (-1, 1)."""


def _extent(count: int) -> float:
    return (count - 1) * STRETCH / 2


class PairQuantizer(nn.Module):
    """Features -> tanh -> pairs -> nearest grid points, straight through.

    Q2D2 (arXiv 2512.01537), as in the authors' code: feature i is multiplied by
    (L_i - 1)(1 + 1e-3) / 2 after the tanh, each pair is rounded to its grid, and the result is
    divided by floor(L_i / 2), so that it lies in about [-1, 1]. The gradient of the rounding, scale
    included, is that of the identity on the tanh divided by floor(L_i / 2). Nothing is learned
    here; the linear layers around it belong to the model.

    Args:
        levels: L_i of the 2 P features, an even number of them.
        shape: of all grids.

    Attributes:
        grids: one ``PairGrid`` a pair.
        codebook_size: number of joint codes, the product of the grids' sizes.

    Raises:
        ValueError: an odd number of features, or levels that the grid does not take.
    """

    extents: Tensor
    divisors: Tensor

    def __init__(self, levels: tuple[int, ...], shape: GridShape = "rhombic") -> None:
        super().__init__()
        if not levels or len(levels) % 2:
            raise ValueError(f"features come in pairs, but got {len(levels)} numbers of levels.")
        pairs = list(zip(levels[::2], levels[1::2], strict=True))
        self.grids = [PairGrid(shape, pair) for pair in pairs]
        self.codebook_size = math.prod(grid.size for grid in self.grids)
        extents = torch.tensor([_extent(count) for count in levels])
        self.register_buffer("extents", extents, persistent=False)
        divisors = torch.tensor([float(count // 2) for count in levels])
        self.register_buffer("divisors", divisors, persistent=False)

    @property
    def bits(self) -> float:
        """log2 of ``codebook_size``: bits of one vector of features."""
        return math.log2(self.codebook_size)

    def _pairs(self, bounded: Tensor) -> Tensor:
        return (bounded * self.extents).unflatten(-1, (len(self.grids), 2))

    def forward(self, x: Tensor) -> Tensor:
        """Float (..., 2 P) -> float (..., 2 P) in about [-1, 1], float32 for half precision."""
        bounded = torch.tanh(in_single(x))
        pairs = self._pairs(bounded.detach())
        points = [grid.nearest(pairs[..., i, :]) for i, grid in enumerate(self.grids)]
        return replace_through(bounded, torch.cat(points, dim=-1)) / self.divisors

    @torch.no_grad()
    def indices(self, x: Tensor) -> Tensor:
        """Joint code of each vector: float (..., 2 P) -> int64 (...), 0 .. codebook_size - 1.

        Mixed radix, the first pair least significant.
        """
        pairs = self._pairs(torch.tanh(in_single(x)))
        total, basis = torch.zeros(x.shape[:-1], dtype=torch.int64, device=x.device), 1
        for i, grid in enumerate(self.grids):
            total = total + grid.indices(pairs[..., i, :]) * basis
            basis *= grid.size
        return total

    @torch.no_grad()
    def decode(self, indices: Tensor) -> Tensor:
        """Joint codes, int64 (...), -> what ``forward`` gave, float32 (..., 2 P)."""
        parts = []
        for grid in self.grids:
            points = grid.points().to(indices.device)
            parts.append(points[indices % grid.size])
            indices = indices // grid.size
        return torch.cat(parts, dim=-1) / self.divisors


class PairWeightQuantizer(WeightQuantizer):
    """Pairs of successive weights on one grid of the plane.

    Q2D2 (arXiv 2512.01537) carried over to weights. (Our choice, as the paper quantizes features
    only.) Neighbours in memory make a pair; z = tanh(0.851 w / sigma), which spreads Gaussian
    weights evenly over the grid, with sigma from the last ``refresh``. What the layer computes
    with are the grid's coordinates, multiples of 1/4 or 1/2; the normalization sets the scale.
    The gradient is that of z over 0.851 / sigma: 1 at zero, as for other quantizers of integers,
    and fading where the tanh does.

    Args:
        shape: of the grid.
        levels: L, one number for both axes or two.

    Raises:
        ValueError: levels that the grid does not take.
    """

    sigma: Tensor
    extents: Tensor

    def __init__(self, shape: GridShape = "rhombic", levels: int | tuple[int, int] = 5) -> None:
        super().__init__()
        both = (levels, levels) if isinstance(levels, int) else levels
        self.grid = PairGrid(shape, both)
        self._levels = self.grid.coordinates()
        self.register_buffer("sigma", torch.ones(()))
        extents = torch.tensor([_extent(count) for count in both])
        self.register_buffer("extents", extents, persistent=False)

    @property
    def pair_bits(self) -> float:
        """log2 of the number of points: the information of two weights."""
        return math.log2(self.grid.size)

    @property
    def bits(self) -> int:
        """Half of what a stored pair takes, rounded up to whole bits."""
        return math.ceil(math.ceil(self.pair_bits) / 2)

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, an even number of any shape -> coordinates, same shape and dtype.

        Raises:
            ValueError: an odd number of weights.
        """
        if weight.numel() % 2:
            raise ValueError(f"{weight.numel()} weights do not make pairs.")
        gain = GAUSSIAN_GAIN / self.sigma
        bounded = torch.tanh(weight * gain)
        pairs = bounded.detach().reshape(-1, 2) * self.extents
        points = self.grid.nearest(pairs).reshape(weight.shape)
        return replace_through(bounded / gain, points.to(weight.dtype))

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set sigma from the latent weights; weights that are all zero leave it as it was."""
        sigma = weight.detach().float().square().mean().sqrt()
        self.sigma.copy_(torch.where(sigma > 0, sigma.to(self.sigma.dtype), self.sigma))

    def extra_repr(self) -> str:
        return f"shape={self.grid.shape!r}, levels={self.grid.levels}, points={self.grid.size}"
