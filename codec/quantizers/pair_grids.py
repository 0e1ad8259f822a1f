"""Grids of points in the plane and the nearest of them: rectangular, hexagonal, rhombic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

GridShape = Literal["rectangular", "hexagonal", "rhombic"]
SHAPES: tuple[GridShape, ...] = ("rectangular", "hexagonal", "rhombic")


@dataclass(frozen=True)
class Axis:
    """Evenly spaced coordinates: start, start + step, ..., count of them."""

    start: float
    step: float
    count: int

    def values(self) -> list[float]:
        """All of them, ascending."""
        return [self.start + self.step * i for i in range(self.count)]

    def index(self, x: Tensor) -> Tensor:
        """Index of the nearest coordinate, as floats; any shape."""
        return torch.round((x - self.start) / self.step).clamp(0, self.count - 1)


class PairGrid:
    """Points of the plane that pairs of numbers are rounded to.

    Q2D2 (arXiv 2512.01537), as in the authors' code, spacing 1 and extent (L - 1) / 2:

    * ``rectangular``: L_x times L_y points.
    * ``hexagonal``: L rows of L points, even rows shifted by +1/4, odd ones by -1/4. The rows are
      1 apart, not sqrt(3)/2: so is the code.
    * ``rhombic``: the rectangular points and the centres of their cells, L odd:
      L_x L_y + (L_x - 1)(L_y - 1) points.

    Each is a union of one or two product grids, so the nearest point is the nearer of two
    roundings: exact, and without a distance to every point.

    Args:
        shape: see above.
        levels: L_x and L_y, each >= 2.

    Attributes:
        products: the product grids, pairs of axes (x, y).
        size: number of points.

    Raises:
        ValueError: levels out of range, even ones for a rhombic grid, or different ones for a
            hexagonal grid.
    """

    def __init__(self, shape: GridShape, levels: tuple[int, int]) -> None:
        if shape not in SHAPES:
            raise ValueError(f"the grid is one of {', '.join(SHAPES)}, but got {shape!r}.")
        width, height = levels
        if min(levels) < 2:
            raise ValueError(f"a grid needs 2 levels or more on each axis, but got {levels}.")
        if shape == "rhombic" and (width % 2 == 0 or height % 2 == 0):
            raise ValueError(f"a rhombic grid needs odd numbers of levels, but got {levels}.")
        if shape == "hexagonal" and width != height:
            raise ValueError(f"a hexagonal grid has as many rows as columns, but got {levels}.")
        self.shape: GridShape = shape
        self.levels = levels
        left, low = -(width - 1) / 2, -(height - 1) / 2
        plain = (Axis(left, 1, width), Axis(low, 1, height))
        if shape == "rectangular":
            self.products = [plain]
        elif shape == "rhombic":
            centres = (Axis(left + 0.5, 1, width - 1), Axis(low + 0.5, 1, height - 1))
            self.products = [plain, centres]
        else:
            even = (Axis(left + 0.25, 1, width), Axis(low, 2, (height + 1) // 2))
            odd = (Axis(left - 0.25, 1, width), Axis(low + 1, 2, height // 2))
            self.products = [even, odd]
        self.size = sum(x.count * y.count for x, y in self.products)

    def points(self) -> Tensor:
        """All points in the order of ``indices``: float32 (size, 2)."""
        found = [(x, y) for xs, ys in self.products for y in ys.values() for x in xs.values()]
        return torch.tensor(found, dtype=torch.float32)

    def coordinates(self) -> tuple[float, ...]:
        """Every number that occurs as a coordinate of a point, ascending."""
        return tuple(sorted({v for axes in self.products for axis in axes for v in axis.values()}))

    def _nearest(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        points, indices, distances = [], [], []
        offset = 0
        for xs, ys in self.products:
            column, row = xs.index(pairs[..., 0]), ys.index(pairs[..., 1])
            point = torch.stack([column * xs.step + xs.start, row * ys.step + ys.start], dim=-1)
            points.append(point)
            indices.append(offset + row * xs.count + column)
            distances.append((pairs - point).square().sum(dim=-1))
            offset += xs.count * ys.count
        if len(points) == 1:
            return points[0], indices[0]
        # A tie goes to the first product grid.
        first = distances[0] <= distances[1]
        return (
            torch.where(first.unsqueeze(-1), points[0], points[1]),
            torch.where(first, indices[0], indices[1]),
        )

    def nearest(self, pairs: Tensor) -> Tensor:
        """Nearest points by Euclidean distance.

        Args:
            pairs: float (..., 2).

        Returns:
            Same shape and dtype; no gradient of its own.
        """
        return self._nearest(pairs)[0]

    def indices(self, pairs: Tensor) -> Tensor:
        """Index of the nearest point of each pair: float (..., 2) -> int64 (...), 0 .. size - 1."""
        return self._nearest(pairs)[1].to(torch.int64)
