"""PURENET: patch upsampling, patch aggregation, refinement on the full frame.

::

    what the code says, per patch                                       (R C patches)
      cells (ch, 4, 4): one cell is 8x8 pixels       base (3, 32, 32), where the code has one
        │                                               │
        ▼  PATCH UPSAMPLING: each patch alone           │   (nqe-t: the plain inverse transform,
      1x1 conv ── local residual blocks                 │    nqe-vgg: 1x1 conv and pixel shuffle)
        │                                               │
        ▼  AGGREGATION: maps laid at their places       ▼
      (width, 4R, 4C)                                (3, 32R, 32C)
        │                                               │
        ▼  REFINEMENT, full frame                       │
      residual blocks at 1/8 ── 1x1, shuffle by 8 ─────►+  coarse frame
        │                                               │
        └─ 1x1, shuffle by 2 ──► at 1/4 ◄─ unshuffle 4 ─┤   (where mid_blocks > 0; else by 4)
                                   │                    │
                      residual blocks at 1/4            │
                                   │                    │
           1x1, shuffle by 2 ──► at 1/2 ◄─ unshuffle 2 ─┤
                                   │                    │
                      residual blocks at 1/2 ─ shuffle ─►+  frame, RGB / 255

The last layer of each correction starts at zero, so an untrained PURENET is the plain inverse
transform (our choice: the paper gives no layer table; arXiv 2501.05097). The rate
enters every residual block as a learned gain and shift per channel and rate; between rates both
are interpolated. Rows of patches may have different rates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import CELL, CELLS, PurenetConfig

BASE_SPREAD, BASE_GREY = 0.02, 0.45
"""A base that is learned begins as the mean of photographs, and a little of each bit."""


class RateBlock(nn.Module):
    """``x + conv(relu(gain_rate * conv(x) + shift_rate))``, 3x3 convolutions."""

    def __init__(self, width: int, hidden: int, rates: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, width, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(rates, hidden))
        self.shift = nn.Parameter(torch.zeros(rates, hidden))
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=0.1 * (2 / (9 * hidden)) ** 0.5)
        nn.init.zeros_(self.first.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, rate: Tensor) -> Tensor:
        """(B, width, H, W), weights of the rates (B, G, rates), one row for each H / G rows of x ->
        the same shape."""
        y = self.first(x)
        # Not a matrix product: autocast would interpolate in bfloat16.
        gain, shift = (
            _by_row((rate[..., None] * knots).sum(2).to(y.dtype), y.shape[2])
            for knots in (self.gain, self.shift)
        )
        return x + self.second(F.relu(torch.addcmul(shift, y, gain)))


def _by_row(values: Tensor, height: int) -> Tensor:
    """(B, G, width) to (B, width, height, 1), or (B, width, 1, 1) where G is 1."""
    if values.shape[1] > 1:
        values = values.repeat_interleave(height // values.shape[1], 1)
    return values.transpose(1, 2)[..., None]


class Purenet(nn.Module):
    """The decoder network; see the module's diagram."""

    def __init__(self, config: PurenetConfig) -> None:
        super().__init__()
        self.config = config
        width, fine = config.width, config.fine_width

        def blocks(stage: str) -> nn.ModuleList:
            outside, each = config.stages[stage]
            return nn.ModuleList(RateBlock(outside, inside, config.rates) for inside in each)

        # In this order a seed gives the weights that it gave to the models that ship.
        self.enter = nn.Conv2d(config.inputs, width, 1)
        self.local = blocks("local")
        self.base = None if config.has_base else nn.Conv2d(config.inputs, 3 * CELL * CELL, 1)
        self.coarse = blocks("coarse")
        self.coarse_out = nn.Conv2d(width, 3 * CELL * CELL, 1)
        mid = config.mid_width if config.mid_blocks else 0
        if mid:
            self.to_mid = nn.Conv2d(width, mid * 4, 1)
            self.mid_in = nn.Conv2d(mid + 48, mid, 3, padding=1)
        self.mid = blocks("mid")
        self.to_fine = nn.Conv2d(mid or width, fine * config.fine_factor**2, 1)
        self.fine_in = nn.Conv2d(fine + 12, fine, 3, padding=1)
        self.fine = blocks("fine")
        self.fine_out = nn.Conv2d(fine, 12, 3, padding=1)
        for last in (self.coarse_out, self.fine_out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        if self.base is not None:
            nn.init.normal_(self.base.weight, std=BASE_SPREAD)
            nn.init.constant_(self.base.bias, BASE_GREY)  # type: ignore[arg-type]

    @property
    def radius(self) -> int:
        """See `PurenetConfig`."""
        return self.config.radius

    def upsample_patches(self, cells: Tensor, rate: Tensor) -> Tensor:
        """Patch upsampling and aggregation: each patch alone, then laid at its place.

        Args:
            cells: (B, inputs, 4 R, 4 C).
            rate: weights of the rates, (B, R, rates) or (B, 1, rates).

        Returns:
            (B, width, 4 R, 4 C).
        """
        x = self.enter(cells)
        batch, width, high, wide = x.shape
        rows, columns = high // CELLS, wide // CELLS
        # Patches become the batch, so that the padding of the convolutions ends at their borders.
        x = x.view(batch, width, rows, CELLS, columns, CELLS).permute(0, 2, 4, 1, 3, 5)
        x = x.reshape(-1, width, CELLS, CELLS).contiguous(memory_format=torch.channels_last)
        by_row = rate.expand(batch, rows, rate.shape[2])
        each = by_row.repeat_interleave(columns, dim=1).flatten(0, 1)[:, None]
        for block in self.local:
            x = block(x, each)
        x = x.reshape(batch, rows, columns, width, CELLS, CELLS).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(batch, width, high, wide).contiguous(memory_format=torch.channels_last)

    def forward(self, cells: Tensor, base: Tensor | None, rate: Tensor) -> Tensor:
        """Decode frames.

        Args:
            cells: (B, inputs, 4 R, 4 C).
            base: RGB / 255 of the plain inverse, (B, 3, 32 R, 32 C), or None if the network
                learns it.
            rate: int64 (B,), index of the rate; or weights of the rates, to lie between them,
                float32 (B, R, rates) by row of patches, or (B, rates) for all rows.

        Returns:
            RGB / 255, (B, 3, 32 R, 32 C), not limited to 0..1.
        """
        if not rate.is_floating_point():
            rate = F.one_hot(rate, self.config.rates).float()
        if rate.ndim == 2:
            rate = rate[:, None]
        if self.base is not None:
            base = F.pixel_shuffle(self.base(cells), CELL)
        assert base is not None
        x = self.upsample_patches(cells, rate)
        for block in self.coarse:
            x = block(x, rate)
        frame = base + F.pixel_shuffle(self.coarse_out(x), CELL)
        if self.config.mid_blocks:
            x = F.relu(self.mid_in(_finer(self.to_mid(x), frame, 2)))
            for block in self.mid:
                x = block(x, rate)
        y = F.relu(self.fine_in(_finer(self.to_fine(x), frame, self.config.fine_factor)))
        for block in self.fine:
            y = block(y, rate)
        return frame + F.pixel_shuffle(self.fine_out(y), 2)


def _finer(features: Tensor, frame: Tensor, factor: int) -> Tensor:
    """Features (B, factor^2 n, h, w) at a finer resolution, with the frame's pixels appended.

    Returns:
        (B, n + 3 s^2, factor h, factor w), s the side in pixels of what has become one position.
    """
    finer = F.pixel_shuffle(features, factor)
    side = frame.shape[-1] // finer.shape[-1]
    pixels = F.pixel_unshuffle(frame - 0.5, side)
    return torch.cat([finer, pixels], 1).contiguous(memory_format=torch.channels_last)


def transform_cells(base: Tensor, hints: Tensor) -> Tensor:
    """The cells of `nqe-t`: its pixels by cell, and the hints of the patch in each of its cells.

    Args:
        base: RGB / 255, (B, 3, 32 R, 32 C).
        hints: (B, H, R, C), 0..1.

    Returns:
        (B, 192 + H, 4 R, 4 C).
    """
    pixels = F.pixel_unshuffle(base - 0.5, CELL)
    spread = hints.repeat_interleave(CELLS, 2).repeat_interleave(CELLS, 3)
    return torch.cat([4 * pixels, 2 * spread - 1], dim=1)
