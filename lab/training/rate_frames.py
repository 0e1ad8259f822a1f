"""The variable-rate encoder and its plain inverse in torch: what a decoder learns from.

The same integers as `heqcodec.nqe_r.encoder` and the same samples as `heqcodec.purenet.dequantizer`
(a test compares them), but on whole crops, on any device, and with a step for each crop.
"""

from __future__ import annotations

import numpy as np
import torch
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from heqcodec.nqe_r.cost_layer import BIAS_SHIFT, INDEX_SHIFT, INDICES, PLANES, REACH, SPAN, TOP
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import SUBS, band_frequencies, level_maps
from heqcodec.nqe_r.quantizer import LARGEST, OCTAVE, WEIGHTS
from heqcodec.nqe_r.transform import QUARTER, SIZE, STAGE_SHIFT, TRANSFORM_SIZES
from heqcodec.purenet.dequantizer import MAGNITUDES, ZONES, band_zones
from heqcodec.purenet.trust import CHROMA_ENDS, LUMA_ENDS, group_means
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F


class RateFrames(nn.Module):
    """Frames to frames through transform, choice of size, levels, and back.

    Args:
        encoder: whose levels are made.
        places: reconstruction points, float32 (TRANSFORM_SIZES, OCTAVES, ZONES, MAGNITUDES).
    """

    steps: Tensor
    places: Tensor
    near: Tensor
    cross: Tensor
    bias: Tensor

    def __init__(self, encoder: RateNqe, places: NDArray[np.float32]) -> None:
        super().__init__()
        for size, matrix in enumerate(encoder.stem.matrices):
            exact = torch.from_numpy(matrix.astype(np.float32))
            inverse = np.linalg.inv(matrix / 32.0).astype(np.float32)
            self.register_buffer(f"forward_{size}", exact)
            self.register_buffer(f"inverse_{size}", torch.from_numpy(inverse))
        self.register_buffer("colour", torch.from_numpy(COLOUR.astype(np.float32)))
        inverse = np.linalg.inv(COLOUR.astype(np.float64)).astype(np.float32)
        self.register_buffer("colour_inverse", torch.from_numpy(inverse))
        self.register_buffer("places", torch.from_numpy(places))
        steps = np.stack([encoder.integer_steps(index) for index in range(1024)])
        self.register_buffer("steps", torch.from_numpy(steps.astype(np.float32)))
        layer = encoder.costs
        self._shifts = [2.0 ** int(shift) for shift in layer.shifts]
        near = layer.near.astype(np.float32).reshape(TRANSFORM_SIZES, -1, SUBS, SPAN, SPAN)
        self.register_buffer("near", torch.from_numpy(near))
        self.register_buffer("cross", torch.from_numpy(layer.cross.astype(np.float32)))
        bias = level_maps(layer.bias).astype(np.float32) * (1 << BIAS_SHIFT)
        self.register_buffer("bias", torch.from_numpy(bias))
        small = np.empty((QUARTER, QUARTER), dtype=np.int64)
        small[tuple(band_frequencies().T)] = band_zones()
        large = small.repeat(2, axis=0).repeat(2, axis=1)
        self.register_buffer("zones_0", torch.from_numpy(large))
        self.register_buffer("zones_1", torch.from_numpy(small))
        for plane, ends in (("luma", LUMA_ENDS), ("chroma", CHROMA_ENDS)):
            share = np.empty((QUARTER, QUARTER, len(ends)), dtype=np.float32)
            share[tuple(band_frequencies().T)] = group_means(ends)
            wide = share.repeat(2, axis=0).repeat(2, axis=1) / SUBS
            self.register_buffer(f"{plane}_0", torch.from_numpy(wide.reshape(-1, len(ends))))
            self.register_buffer(f"{plane}_1", torch.from_numpy(share.reshape(-1, len(ends))))

    @torch.no_grad()
    def forward(self, frames: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Code and decode crops.

        Args:
            frames: uint8 (B, 3, 32 R, 32 C).
            steps: int64 (B,), step indices.

        Returns:
            RGB / 255 by the plain inverse, float32 (B, 3, 32 R, 32 C), and the hints of the
            patches, float32 (B, 1 + LEVEL_HINTS, R, C): their transform sizes, 0 or 1, and what
            `heqcodec.purenet.trust` makes of their levels.
        """
        planes = torch.einsum("dc,bchw->bdhw", self.colour, frames.float())
        planes[:, 0] += float(PIXEL_OFFSET[0])
        costs, decoded, hints = [], [], []
        for size in (0, 1):
            blocks = _cut(planes, SIZE >> size)
            field = self._transform(blocks, size)
            # (B, 3, 1, 1, 1, 1): the step of a crop and colour plane.
            step = self.steps[steps, size][:, :, None, None, None, None]
            costs.append(self._cost(field, step, size))
            magnitude = self._magnitudes(field, step, size)
            hints.append(self._hints(magnitude, size))
            value = self._placed(magnitude, field, step, size, steps)
            decoded.append(_lay(self._invert(value, size)))
        chosen = (costs[1] < costs[0]).float()
        inputs = torch.lerp(hints[0], hints[1], chosen[:, None])
        inputs = torch.cat([chosen[:, None], inputs], dim=1)
        spread = chosen.repeat_interleave(SIZE, 1).repeat_interleave(SIZE, 2)[:, None]
        planes = torch.lerp(decoded[0], decoded[1], spread)
        planes[:, 0] -= float(PIXEL_OFFSET[0])
        return torch.einsum("dc,bchw->bdhw", self.colour_inverse, planes) / 255, inputs

    def _transform(self, blocks: Tensor, size: int) -> Tensor:
        """(B, 3, R, C, n, n) samples to integer coefficients of the same shape."""
        matrix = getattr(self, f"forward_{size}")
        field = _round_shift(matrix @ _round_shift(blocks @ matrix.T))
        if size:
            field[..., 0, 0] = _hadamard(field[..., 0, 0], 1.0).add_(1).mul_(0.5).floor_()
        return field

    def _cost(self, field: Tensor, step: Tensor, size: int) -> Tensor:
        """(B, R, C) costs of patches."""
        magnitude = field.abs()
        quarter, half = torch.floor(step / 4), torch.floor(step / 2)
        bounds = [quarter, half, half + quarter, step + half]
        bounds += [bounds[-1] * 2**shift for shift in range(1, 5)]
        cost = torch.zeros_like(magnitude)
        for bound, weight in zip(bounds, WEIGHTS, strict=True):
            cost.add_(magnitude > bound, alpha=weight)
        total = cost.sum(dim=(1, 4, 5))
        return F.avg_pool2d(total, 2) * 4 if size else total

    def _magnitudes(self, field: Tensor, step: Tensor, size: int) -> Tensor:
        """Magnitudes of levels of coefficients, of the same shape."""
        exact = field.abs()
        seen = torch.floor((exact + torch.floor(step / 4) + torch.floor(step / 16)) / step)
        threshold = torch.floor((8 + self._cost_indices(seen, size)) * step / 16)
        many = torch.floor((exact + torch.floor(step / 2) - torch.floor(step / 16)) / step)
        return torch.where(many >= 2, many.clamp_(max=LARGEST), (exact >= threshold).float())

    def _hints(self, magnitude: Tensor, size: int) -> Tensor:
        """(B, LEVEL_HINTS, R, C) of magnitudes (B, 3, R, C, n, n), R and C in patches."""
        luma, chroma = getattr(self, f"luma_{size}"), getattr(self, f"chroma_{size}")
        coded, several = (magnitude > 0).float().flatten(4), (magnitude[:, 0] > 1).float()
        parts = [coded[:, 0] @ luma, several.flatten(3) @ luma]
        parts += [coded[:, plane] @ chroma for plane in (1, 2)]
        fractions = torch.cat(parts, dim=-1).permute(0, 3, 1, 2)
        if size:
            fractions = F.avg_pool2d(fractions, 2)
        return fractions.clamp(0, 1).sqrt()

    def _placed(
        self, magnitude: Tensor, field: Tensor, step: Tensor, size: int, steps: Tensor
    ) -> Tensor:
        """Coefficients of levels: magnitudes, and the signs of what they were."""
        table = self.places[size, torch.div(steps, OCTAVE, rounding_mode="floor")]
        kind = magnitude.clamp(1, MAGNITUDES).long() - 1
        index = getattr(self, f"zones_{size}") * MAGNITUDES + kind
        crops = torch.arange(len(steps), device=field.device) * (ZONES * MAGNITUDES)
        place = table.reshape(-1)[index + crops[:, None, None, None, None, None]]
        value = (magnitude + place).mul_(step) * (magnitude > 0)
        return torch.copysign(value, field)

    def _cost_indices(self, seen: Tensor, size: int) -> Tensor:
        """Indices of thresholds, 0..15, of magnitudes (B, 3, R, C, n, n); see `CostLayer`."""
        maps = _to_maps(seen.clamp_(max=TOP), size)
        sums = F.conv2d(maps.flatten(1, 2), self.near[size], padding=REACH, groups=PLANES)
        sums = sums.view(maps.shape) * self._shifts[0]
        for which in range(PLANES - 1):
            weights = self.cross[size, :, :, which, None, None] * self._shifts[1]
            sums.add_(weights * maps.roll(-1 - which, dims=1))
        index = torch.floor((self.bias[size] - sums) / (1 << INDEX_SHIFT)).clamp_(0, INDICES - 1)
        return _from_maps(index, seen.shape, size)

    def _invert(self, value: Tensor, size: int) -> Tensor:
        """Coefficients (B, 3, R, C, n, n) to samples."""
        if size:
            value[..., 0, 0] = _hadamard(value[..., 0, 0], 0.5)
        inverse = getattr(self, f"inverse_{size}")
        return inverse @ value @ inverse.T


def _cut(planes: Tensor, side: int) -> Tensor:
    """(B, 3, H, W) to blocks (B, 3, H / side, W / side, side, side)."""
    batch, channels, high, wide = planes.shape
    grid = planes.view(batch, channels, high // side, side, wide // side, side)
    return grid.transpose(3, 4).contiguous()


def _lay(blocks: Tensor) -> Tensor:
    """The inverse of `_cut`."""
    batch, channels, rows, columns, side, _ = blocks.shape
    return blocks.transpose(3, 4).reshape(batch, channels, rows * side, columns * side)


def _to_maps(blocks: Tensor, size: int) -> Tensor:
    """(B, 3, R, C, n, n) to (N, 3, SUBS, 16, 16), a patch at a time; see
    `heqcodec.nqe_r.layout`."""
    batch, planes, rows, columns, side, _ = blocks.shape
    if size:
        split = blocks.view(batch, planes, rows // 2, 2, columns // 2, 2, side, side)
        maps = split.permute(0, 2, 4, 1, 3, 5, 6, 7)
    else:
        split = blocks.view(batch, planes, rows, columns, QUARTER, 2, QUARTER, 2)
        maps = split.permute(0, 2, 3, 1, 5, 7, 4, 6)
    return maps.reshape(-1, planes, SUBS, QUARTER, QUARTER)


def _from_maps(maps: Tensor, shape: torch.Size, size: int) -> Tensor:
    """The inverse of `_to_maps`, to blocks of a shape."""
    batch, planes, rows, columns, side, _ = shape
    if size:
        split = maps.view(batch, rows // 2, columns // 2, planes, 2, 2, side, side)
        return split.permute(0, 3, 1, 4, 2, 5, 6, 7).reshape(shape)
    split = maps.view(batch, rows, columns, planes, 2, 2, QUARTER, QUARTER)
    return split.permute(0, 3, 1, 2, 6, 4, 7, 5).reshape(shape)


def _round_shift(sums: Tensor) -> Tensor:
    """``(sums + 16) >> 5`` on integers held in floats."""
    return sums.add_(1 << (STAGE_SHIFT - 1)).mul_(1 / (1 << STAGE_SHIFT)).floor_()


def _hadamard(means: Tensor, gain: float) -> Tensor:
    """Sums and differences of each 2x2 of (B, 3, 2 R, 2 C), in their places."""
    a, b = means[:, :, ::2, ::2], means[:, :, ::2, 1::2]
    c, d = means[:, :, 1::2, ::2], means[:, :, 1::2, 1::2]
    top, bottom, left, right = a + b, c + d, a - b, c - d
    out = torch.empty_like(means)
    out[:, :, ::2, ::2], out[:, :, ::2, 1::2] = top + bottom, left + right
    out[:, :, 1::2, ::2], out[:, :, 1::2, 1::2] = top - bottom, left - right
    return out * gain
