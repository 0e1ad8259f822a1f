"""Training the cost layer of the variable-rate encoder: `fit_cost_layer`.

::

    magnitudes of patches at random steps ── quinary layer, straight through ──► log odds of "not 0"
                                                                                      │
    whether the levels that the layer itself lets through are 0 ──── cross entropy ───┘

By maximum pseudo-likelihood (Besag 1975): of a Markov field, the log odds of a level given all
others are what a change of that level costs the whole patch in code length, its effect on its
neighbours' contexts included. So the layer needs no coder to learn from, and its sums are bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.cost_layer import (
    BIAS_SHIFT,
    INDEX_SHIFT,
    INDICES,
    LARGEST_SHIFT,
    PLANES,
    REACH,
    SHAPES,
    TOP,
    CostLayer,
)
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import SUBS, level_maps, map_levels
from heqcodec.nqe_r.quantizer import choose_transform_sizes, rounded, with_thresholds
from heqcodec.quantizers.heq import HistogramEqualizedQuantizer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

LAMBDA = 0.14
"""Squared error that a bit is worth, in squared steps; see `eval/results/ablation`."""
BESIDES = 0.25
"""Bits of a level of 1, without those that say that it is not 0. Its sign and that it is not 2
cost 1.6; but PURENET learns more from a level than the plain inverse does (our choice)."""
PER_NAT = LAMBDA * INDICES / 2 / math.log(2) * (1 << INDEX_SHIFT)
"""Units of the layer's sums in a nat: an index is a sixteenth of a step, half of lambda a bit."""
QUANTIZER_STEPS = (300, 900)
TILES = 3
"""Tiles a batch: 192 patches."""
LEAST_SHIFT = {"near": 1, "cross": 0}
"""By its quantiles alone, near would get 0, and most of its weights would be at their limit."""
REFRESH = 20
LEARNING_RATE = 2e-2


class CostNet(nn.Module):
    """The layer with latent weights, in nats."""

    own: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Parameter(torch.zeros(SHAPES["near"]))
        self.cross = nn.Parameter(torch.full(SHAPES["cross"], 0.3))
        nn.init.normal_(self.near, mean=0.08, std=0.05)
        self.bias = nn.Parameter(torch.full((2, PLANES, SUBS, 16, 16), 2.0))
        self.quantizers = nn.ModuleDict(
            {name: HistogramEqualizedQuantizer(5, window="inward") for name in ("near", "cross")}
        )
        own = torch.ones(SHAPES["near"])
        own[:, :, range(SUBS), range(SUBS), REACH, REACH] = 0
        self.register_buffer("own", own)
        self.refresh()

    def shift(self, name: str) -> int:
        """The power of two that a weight counts in the layer's sums, by its quantizer's step."""
        ideal = math.log2(max(self._quantizer(name).delta() * PER_NAT, 1e-9))
        return min(max(round(ideal), LEAST_SHIFT[name]), LARGEST_SHIFT)

    def refresh(self) -> None:
        """Steps by histogram equalization, then to the next power of two in units of the sums."""
        for name in self.quantizers:
            latent = getattr(self, name).detach()
            known = latent[self.own > 0] if name == "near" else latent.flatten()
            quantizer = self._quantizer(name)
            # With their negatives: nearly all weights are positive, and HEQ takes a median of 0.
            quantizer.refresh(torch.cat([known, -known]))
            quantizer.step.fill_(2.0 ** self.shift(name) / PER_NAT)

    def _quantizer(self, name: str) -> HistogramEqualizedQuantizer:
        quantizer = self.quantizers[name]
        assert isinstance(quantizer, HistogramEqualizedQuantizer)
        return quantizer

    def levels(self, name: str) -> Tensor:
        """Quinary weights, straight through."""
        levels: Tensor = self._quantizer(name)(getattr(self, name))
        return levels * self.own if name == "near" else levels

    def forward(self, magnitudes: Tensor, size: int) -> Tensor:
        """(N, PLANES, SUBS, 16, 16) magnitudes 0..3 to log odds of "not 0", the same shape."""
        near = self.levels("near")[size].reshape(PLANES * SUBS, SUBS, *SHAPES["near"][-2:])
        sums = F.conv2d(magnitudes.flatten(1, 2), near, padding=REACH, groups=PLANES)
        sums = sums.view(magnitudes.shape) * self._quantizer("near").delta()
        cross = self.levels("cross")[size] * self._quantizer("cross").delta()
        for which in range(PLANES - 1):
            other = magnitudes.roll(-1 - which, dims=1)
            sums = sums + cross[None, :, :, which, None, None] * other
        return sums - self.bias[size]

    def tensors(self) -> dict[str, NDArray[np.int8]]:
        """The layer as `CostLayer` takes it."""
        bias = map_levels(self.bias.detach().numpy())
        offset = BESIDES * LAMBDA * INDICES / 2 * (1 << INDEX_SHIFT)
        units = np.rint((bias * PER_NAT + offset) / (1 << BIAS_SHIFT))
        return {
            "near": self.levels("near").detach().numpy().astype(np.int8),
            "cross": self.levels("cross").detach().numpy().astype(np.int8),
            "bias": np.clip(units, -128, 127).astype(np.int8),
            "shifts": np.array([self.shift("near"), self.shift("cross")], dtype=np.int8),
        }


def fit_cost_layer(
    encoder: RateNqe,
    tiles: NDArray[np.uint8],
    seed: int,
    iterations: int = 400,
    report: Callable[[str], None] = print,
) -> dict[str, NDArray[Any]]:
    """Train a cost layer on photographs.

    Args:
        encoder: whose transform and steps are used.
        tiles: uint8 (N, S, S, 3).
        seed: of what is drawn.
        iterations: optimizer steps. More is not better: what the layer lets through is what it
            learns from, so it grows stricter all the time.
        report: gets a line of progress now and then.

    Returns:
        int8 tensors by `heqcodec.nqe_r.cost_layer.COST_TENSORS`.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = CostNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    smooth = 0.0
    for iteration in range(iterations):
        if iteration % REFRESH == 0:
            net.refresh()
            layer = CostLayer(net.tensors()) if iteration else None
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - iteration / iterations)
        drawn = rng.integers(len(tiles), size=TILES)
        patches = np.concatenate([split_patches(tiles[index]) for index in drawn])
        coefficients = encoder.coefficients(patches)
        steps = encoder.integer_steps(int(rng.integers(*QUANTIZER_STEPS)))
        transform_sizes, _ = choose_transform_sizes(coefficients, steps)
        loss = torch.zeros(())
        for size in range(2):
            chosen = coefficients[transform_sizes == size, size]
            if not len(chosen):
                continue
            step = steps[size]
            kept = seen = rounded(chosen, step)
            if layer is not None:
                kept = with_thresholds(chosen, step, seen, layer, size)
            odds = net(_maps(np.minimum(seen, TOP)), size)
            loss = loss + F.binary_cross_entropy_with_logits(
                odds, (_maps(kept) > 0).float(), reduction="sum"
            )
        loss = loss / (coefficients[:, 0].size / 1000)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        smooth = smooth * 0.98 + float(loss.detach()) * 0.02
        if (iteration + 1) % 100 == 0:
            bias = 1 - 0.98 ** (iteration + 1)
            report(
                f"cost layer, iteration {iteration + 1}: {smooth / bias:.2f} nats in 1000 levels"
            )
    net.refresh()
    return net.tensors()


def _maps(values: NDArray[np.integer]) -> Tensor:
    """(N, PLANES, 1024) in the order of levels to float32 (N, PLANES, SUBS, 16, 16)."""
    return torch.from_numpy(level_maps(values).astype(np.float32))
