"""The levels of `nqe-r` by torch, with every sum in one type on one device.

A second implementation, to compare `heqcodec.rate` with: written from docs/FORMAT.md, "Levels of
nqe-r". Sums are exact integers in int64, and in floats of 24 bits or more.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SIDE, HALF, REACH = 32, 16, 2
WEIGHTS = (1, 2, 3, 3, 2, 2, 2, 2)
LARGEST = 32767


class TorchLevels:
    """Sizes and levels of patches.

    Args:
        tensors: of the encoder.
        device: of torch.
        kind: type of all sums; integer matrix products run on the CPU alone.
    """

    def __init__(
        self, tensors: Mapping[str, NDArray[np.generic]], device: str, kind: torch.dtype
    ) -> None:
        self._device, self._kind = torch.device(device), kind
        layers = tensors["layers"].astype(np.int64)
        weights = 16 * layers[0] + 4 * layers[1] + layers[2]
        self._matrices = [self._given(weights), self._given(weights[::2, :HALF].copy())]
        self._steps = tensors["steps"].astype(np.int64)
        self._near = self._given(tensors["near"])
        self._cross = self._given(tensors["cross"])
        self._bias = torch.from_numpy(tensors["bias"].astype(np.int64)).to(self._device)
        self._shifts = [int(shift) for shift in tensors["shifts"]]
        pairs = sorted(
            ((u, v) for u in range(HALF) for v in range(HALF)),
            key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, *pair),
        )
        self._u, self._v = torch.tensor(pairs, device=self._device).T

    def levels(
        self, patches: NDArray[np.uint8], step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """uint8 (N, 32, 32, C) to levels int16 (N, C, 1024) and transform sizes uint8 (N,)."""
        both = self._coefficients(patches)
        octave, rest = divmod(step, 128)
        steps = ((self._steps[:, :, rest] << octave) + 8) >> 4
        costs = [self._costs(c, s.tolist()) for c, s in zip(both, steps, strict=True)]
        transform_sizes = (costs[1] < costs[0]).to(torch.uint8)
        levels = torch.empty(both[0].shape, dtype=torch.int16, device=self._device)
        for size in (0, 1):
            own = transform_sizes == size
            levels[own] = self._quantized(both[size][own], steps[size].tolist(), size)
        return levels.cpu().numpy(), transform_sizes.cpu().numpy()

    def _given(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self._device).to(self._kind)

    def _rounded(self, sums: Tensor) -> Tensor:
        if sums.is_floating_point():
            return torch.floor((sums + 16) / 32)
        return (sums + 16) >> 5

    def _coefficients(self, patches: NDArray[np.uint8]) -> list[Tensor]:
        """Of each size, int64 (N, C, 1024)."""
        x = torch.from_numpy(patches.astype(np.int64)).to(self._device).permute(0, 3, 1, 2)
        if x.shape[1] == 1:
            planes = 3 * x - 384
        else:
            red, green, blue = x.unbind(1)
            planes = torch.stack(
                [red + green + blue - 384, red - blue, red - 2 * green + blue], dim=1
            )
        planes = planes.to(self._kind)
        large, small = self._matrices
        field = self._rounded(large @ self._rounded(planes @ large.T))
        count, channels = planes.shape[:2]
        # (U, V) = (2 u + sub row, 2 v + sub column).
        split = field.view(count, channels, HALF, 2, HALF, 2).permute(0, 1, 2, 4, 3, 5)
        first = split.reshape(count, channels, HALF, HALF, 4)[:, :, self._u, self._v]
        quarters = planes.view(count, channels, 2, HALF, 2, HALF).transpose(3, 4)
        fields = self._rounded(small @ self._rounded(quarters @ small.T))
        fields = fields.reshape(count, channels, 4, HALF, HALF)
        second = fields[..., self._u, self._v].transpose(2, 3).to(torch.int64)
        a, b, c, d = second[:, :, 0].clone().unbind(-1)
        sums = (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d)
        second[:, :, 0] = (torch.stack(sums, dim=-1) + 1) >> 1
        return [part.reshape(count, channels, -1).to(torch.int64) for part in (first, second)]

    def _costs(self, coefficients: Tensor, steps: list[int]) -> Tensor:
        total = torch.zeros(len(coefficients), dtype=torch.int64, device=self._device)
        for plane in range(coefficients.shape[1]):
            step, magnitude = steps[plane], coefficients[:, plane].abs()
            low = [step >> 2, step >> 1, (step >> 1) + (step >> 2), step + (step >> 1)]
            bounds = low + [low[3] << shift for shift in range(1, 5)]
            for bound, weight in zip(bounds, WEIGHTS, strict=True):
                total += weight * (magnitude > bound).sum(dim=1)
        return total

    def _quantized(self, coefficients: Tensor, steps: list[int], size: int) -> Tensor:
        count, planes = coefficients.shape[:2]
        step = torch.tensor(steps[:planes], device=self._device)[:, None]
        magnitude = coefficients.abs()
        seen = torch.zeros((count, 3, coefficients.shape[2]), dtype=torch.int64)
        seen = seen.to(self._device)
        rounded = torch.div(magnitude + (step >> 2) + (step >> 4), step, rounding_mode="floor")
        seen[:, :planes] = rounded.clamp(max=3)
        many = torch.div(magnitude + (step >> 1) - (step >> 4), step, rounding_mode="floor")
        index = self._indices(seen, size)[:, :planes]
        one = (magnitude >= ((8 + index) * step) >> 4).to(torch.int64)
        chosen = torch.where(many >= 2, many.clamp(max=LARGEST), one)
        return (chosen * coefficients.sign()).to(torch.int16)

    def _indices(self, seen: Tensor, size: int) -> Tensor:
        """int64 (N, 3, 1024) magnitudes to indices of thresholds, likewise."""
        count = len(seen)
        maps = torch.zeros((count, 3, 4, HALF, HALF), dtype=self._kind, device=self._device)
        by_band = seen.view(count, 3, -1, 4).to(self._kind)
        maps[..., self._u, self._v] = by_band.transpose(2, 3)
        padded = F.pad(maps, (REACH,) * 4)
        near = torch.zeros_like(maps)
        for row in range(2 * REACH + 1):
            for column in range(2 * REACH + 1):
                cut = padded[..., row : row + HALF, column : column + HALF]
                weights = self._near[size, :, :, :, row, column]
                near += (weights @ cut.flatten(3)).view_as(near)
        own = near[..., self._u, self._v].transpose(2, 3).reshape(count, 3, -1).to(torch.int64)
        crossed = sum(
            self._cross[size, :, :, which][:, None]
            * by_band[:, [(1 + which + p) % 3 for p in range(3)]]
            for which in range(2)
        )
        assert isinstance(crossed, Tensor)
        other = crossed.reshape(count, 3, -1).to(torch.int64)
        total = (self._bias[size] << 2) - (own << self._shifts[0]) - (other << self._shifts[1])
        return (total >> 4).clamp(0, 15)
