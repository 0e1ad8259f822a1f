"""Several frames of the variable-rate mode at once by torch, whose pixels stay on the device.

::

    levels ──► CPU: plain inverse, hints ──► device: network ──► trust ──► guard ──► uint8 there

The same sums as those of `heqcodec.purenet.trust`, `heqcodec.purenet.guard` and
`heqcodec.nqe_r.bounds`, which are for one frame in numpy; pixels agree within 1/255.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from heqcodec.base.constants import PATCH, STEPS
from heqcodec.base.rate_protocols import RateDecoder
from heqcodec.nqe_r.bounds import HALVES, MEANS, MIDDLES, LevelBounds
from heqcodec.nqe_r.layout import LEVELS, QUARTERS, SUBS, cell_places, map_levels
from heqcodec.nqe_r.quantizer import step_size
from heqcodec.nqe_r.transform import QUARTER, STAGE_SHIFT
from heqcodec.nqe_r.weighting import step_of
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .guard import RAMP
from .rate_decoder import PurenetRateDecoder, step_weights
from .tiles import TILE, in_pixels, tiles
from .torch_network import TorchNetwork
from .trust import LEAST_ENERGY, MOST, flat_quarters

TOGETHER = 4 * TILE**2
"""Patches in one call of the network: 2.4 megapixels."""


class RateFrame(NamedTuple):
    """What is decoded.

    levels: int16 (R, C, planes, 1024).
    transform_sizes: uint8 (R, C).
    steps: indices of the rows of patches, int64 (R,).
    """

    levels: NDArray[np.int16]
    transform_sizes: NDArray[np.uint8]
    steps: NDArray[np.int64]


class TorchFrames:
    """Decodes frames of one size together.

    Args:
        decoder: a `PurenetRateDecoder` whose network is a `TorchNetwork`.
    """

    def __init__(self, decoder: RateDecoder) -> None:
        assert isinstance(decoder, PurenetRateDecoder)
        assert isinstance(decoder.network, TorchNetwork)
        self._decoder, self._network = decoder, decoder.network
        self._colour, self._middles, self._halves, self._means = (
            self._given(array) for array in (COLOUR.astype(np.float32), MIDDLES, HALVES, MEANS / 2)
        )
        self._matrices = [
            self._given(matrix.astype(np.float32) / (1 << STAGE_SHIFT))
            for matrix in decoder.encoder.stem.matrices
        ]
        maps = np.arange(LEVELS).reshape(SUBS, QUARTER, QUARTER)
        self._orders = [self._given(cell_places()), self._given(map_levels(maps))]

    @torch.no_grad()  # not inference mode, whose tensors training may not change
    def decode(self, frames: Sequence[RateFrame]) -> Tensor:
        """Pixels of whole frames.

        Args:
            frames: of the same R, C and planes; steps may differ. None of their patches is lost.

        Returns:
            uint8 (B, planes, 32 R, 32 C) on the network's device.
        """
        rows, columns, planes = frames[0].levels.shape[:3]
        whole = slice(0, rows), slice(0, columns)
        shape = len(frames), planes, PATCH * rows, PATCH * columns
        out = torch.empty(shape, dtype=torch.uint8, device=self._network.device)
        for inner, around in tiles(whole, rows, columns, self._decoder.radius):
            sides = (part.stop - part.start for part in around)
            count = max(1, TOGETHER // int(np.prod(list(sides))))
            for first in range(0, len(frames), count):
                cut = [
                    RateFrame(frame.levels[around], frame.transform_sizes[around], steps)
                    for frame in frames[first : first + count]
                    for steps in [frame.steps[around[0]]]
                ]
                pixels = self._pixels(cut)[(..., *in_pixels(inner, around))]
                samples = (255 * pixels).round().clamp(0, 255).to(torch.uint8)
                out[(slice(first, first + count), ..., *in_pixels(inner, whole))] = samples
        return out

    def _pixels(self, frames: list[RateFrame]) -> Tensor:
        """RGB / 255 or gray / 255, float32 (B, planes, 32 R, 32 C)."""
        rows, columns, planes = frames[0].levels.shape[:3]
        known = np.ones((rows, columns), bool)
        features = [self._decoder.features(*frame, known) for frame in frames]
        base = self._given(np.stack([each.base for each in features]))
        hints = self._given(np.stack([each.hints for each in features]))
        steps = np.stack([frame.steps for frame in frames])
        by_row = steps[:, :1] if (steps == steps[:, :1]).all() else steps
        weights = self._given(step_weights(by_row.reshape(-1)).reshape(*by_row.shape, -1))
        made = self._network.frames(base, hints[:, : self._network.hints].contiguous(), weights)
        if planes == 1:
            made = made.mean(1, keepdim=True)
        plain = base[:, :planes]
        if self._decoder.trust:
            trusted = self._trusted(made, plain, hints, steps)[:, None]
            # Linear between the middles of patches.
            between = F.interpolate(trusted, scale_factor=PATCH, mode="bilinear")
            made = plain + between * (made - plain)
        doubt = self._violations(made, frames).reshape(-1, rows, columns) - LevelBounds.trusted
        doubt = (doubt / (LevelBounds.refused - LevelBounds.trusted)).clamp(0, 1)
        refused = _along(_along(doubt).transpose(1, 2)).transpose(1, 2)
        return made + refused[:, None] * (plain - made)

    def _trusted(
        self, made: Tensor, plain: Tensor, hints: Tensor, steps: NDArray[np.int64]
    ) -> Tensor:
        """Weights of patches (B, R, C); see `heqcodec.purenet.trust.Trust`."""
        assert self._decoder.trust
        apart = made.clamp(0, 1) - plain.clamp(0, 1)
        energy = F.avg_pool2d(apart.square(), PATCH).mean(1)
        steps = step_of(steps)
        squares = np.vectorize(lambda step: (255 / step_size(int(step))) ** 2, otypes=[np.float32])
        relative = energy * self._given(squares(steps))[..., None]
        scaled = (LEAST_ENERGY + relative).log10() / 2 + 1
        place = self._given((2 * steps / STEPS - 1).astype(np.float32))[..., None]
        means = F.avg_pool2d(F.pad(hints, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        inputs = [
            place.expand_as(scaled)[..., None],
            2 * torch.cat([hints, means], 1).movedim(1, 3) - 1,
            scaled[..., None],
        ]
        first, bias, second, second_bias = map(self._given, self._decoder.trust.tensors.values())
        hidden = F.relu(F.linear(torch.cat(inputs, 3), first, bias))
        grey, share = self._decoder.trust.least.tolist()
        kept = (255**2 * energy >= grey) | (relative >= share)
        kept = kept & ~flat_quarters(means.movedim(1, 0))
        return (hidden @ second + second_bias).clamp(0, MOST) * kept

    def _violations(self, made: Tensor, frames: list[RateFrame]) -> Tensor:
        """Of each patch, (B R C,); see `heqcodec.purenet.guard.Bounds`."""
        rows, columns, planes = frames[0].levels.shape[:3]
        grid = (255 * made.clamp(0, 1)).reshape(-1, planes, rows, PATCH, columns, PATCH)
        samples = grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, planes, PATCH, PATCH)
        levels = self._given(np.stack([frame.levels for frame in frames]))
        levels = levels.reshape(-1, planes, LEVELS)
        sizes = np.stack([frame.transform_sizes for frame in frames]).reshape(-1)
        by_patch = np.concatenate([frame.steps.repeat(columns) for frame in frames])
        own = self._given(self._decoder.encoder.level_steps(by_patch, sizes, planes))
        sums = samples.new_zeros(len(sizes))
        for size in np.unique(sizes).tolist():
            chosen = self._given(np.flatnonzero(sizes == size))
            wanted = levels[chosen]
            found = self._coefficients(samples[chosen], size) / own[chosen]
            kind = wanted.clamp(-2, 2).long() + 2
            outside = (found - wanted - self._middles[kind]).abs() - self._halves[kind]
            sums[chosen] = outside.clamp(min=0).square().sum((1, 2))
        return sums

    def _coefficients(self, samples: Tensor, size: int) -> Tensor:
        """See `heqcodec.nqe_r.bounds.exact_coefficients`."""
        count, planes = samples.shape[:2]
        if planes == 1:
            fields = 3 * samples
        else:
            fields = torch.einsum("dc,nchw->ndhw", self._colour, samples)
        fields[:, 0] += float(PIXEL_OFFSET[0])
        if size == QUARTERS:
            fields = fields.reshape(count, planes, 2, QUARTER, 2, QUARTER).transpose(3, 4)
        matrix = self._matrices[size]
        ordered = (matrix @ fields @ matrix.T).reshape(count, planes, LEVELS)
        ordered = ordered[..., self._orders[size]]
        if size == QUARTERS:
            ordered[..., :SUBS] = ordered[..., :SUBS] @ self._means
        return ordered

    def _given(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._network.device)


def _along(weights: Tensor) -> Tensor:
    """(B, M, N) to (B, M, 32 N): `heqcodec.purenet.guard.spread` along the last axis."""
    places = torch.arange(PATCH, device=weights.device, dtype=torch.float32)
    near = (1 - (places + 0.5) / RAMP).clamp(min=0)
    around = F.pad(weights, (1, 1))[..., None]
    fading = torch.maximum(around[:, :, :-2] * near, around[:, :, 2:] * near.flip(0))
    return torch.maximum(weights[..., None], fading).flatten(2)
