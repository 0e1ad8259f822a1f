"""PURENET of the variable-rate mode: levels of a frame to pixels, in overlapping tiles.

::

    levels, transform sizes, steps ─► plain inverse ──► RGB frame ──► cells (192)
            transform sizes ────────────────────────────────────────► + 1
    levels ──► fractions of levels that are not 0 ──────────────────► + 16, for `INPUTS` inputs
              steps ──► weights of nine knots, an octave apart ──► gains and shifts by row
                                                            │
                                          Purenet ──► frame ──► trust, guard ──► frame
"""

from __future__ import annotations

from functools import partial

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.nqe_r.bounds import LevelBounds
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.quantizer import OCTAVE
from heqcodec.nqe_r.weighting import step_of
from numpy.typing import NDArray

from .dequantizer import Dequantizer
from .features import BaseFeatures, FrameNetwork, base_frame
from .guard import GUARD_REACH, network_frame
from .tiles import Window, run_tiles
from .trust import LEVEL_HINTS, Trust, level_hints

KNOTS = STEPS // OCTAVE + 1
"""Steps that the network has gains of its own for: 2, 4, ... 512."""
INPUTS = 193 + LEVEL_HINTS
"""Channels of the cells: the pixels of a cell, the size of its patch, and what its levels say."""


def step_weights(steps: NDArray[np.int64]) -> NDArray[np.float32]:
    """Linear interpolation between knots: indices (B,) to float32 (B, KNOTS), rows of sum 1."""
    place = step_of(steps)[:, None].astype(np.float32) / np.float32(OCTAVE)
    rate_weights = np.maximum(1 - np.abs(place - np.arange(KNOTS, dtype=np.float32)), 0)
    return rate_weights.astype(np.float32)


class PurenetRateDecoder:
    """A `heqcodec.base.rate_protocols.RateDecoder`: plain inverse, network, guard and tiles.

    Args:
        encoder: whose levels are decoded.
        dequantizer: of the encoder's levels.
        network: of `KNOTS` rates, trained, wherever it runs; of `INPUTS` inputs, or of 193, which
            knows the transform sizes of patches alone; None for the plain inverse alone.
        trust: how far to follow the network; None for all the way.
    """

    def __init__(
        self,
        encoder: RateNqe,
        dequantizer: Dequantizer,
        network: FrameNetwork | None,
        trust: Trust | None = None,
    ) -> None:
        self.encoder, self.network, self.trust = encoder, network, trust
        self._dequantizer = dequantizer
        self.radius = network.radius + GUARD_REACH if network else 0

    def decode_frame(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64],
        valid: NDArray[np.bool_] | None = None,
        core: Window | None = None,
    ) -> NDArray[np.uint8]:
        """Levels (R, C, planes, 1024) to pixels (32 R, 32 C, planes); see `RateDecoder`."""
        rows, columns, channels = levels.shape[:3]
        known = np.ones((rows, columns), dtype=bool) if valid is None else valid

        def run(around: Window) -> NDArray[np.float32]:
            sizes, by_row = transform_sizes[around], steps[around[0]]
            base, hints = self.features(levels[around], sizes, by_row, known[around])
            features = BaseFeatures(base, hints[: self.network.hints if self.network else 1])
            flat = levels[around].reshape(-1, *levels.shape[2:])
            by_patch = by_row.repeat(sizes.shape[1])
            bounds = LevelBounds(self.encoder, flat, sizes.reshape(-1), by_patch)
            trust = partial(self.trust.of_patches, hints, by_row) if self.trust else None
            # One row says it all where they agree, and the network is quicker.
            rate_weights = step_weights(by_row[:1] if (by_row == by_row[0]).all() else by_row)
            return network_frame(
                self.network, features, rate_weights, bounds, known[around], channels, trust
            )

        return run_tiles(run, rows, columns, channels, self.radius, core)

    def features(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64],
        known: NDArray[np.bool_],
    ) -> BaseFeatures:
        """The plain inverse, and all hints: (1 + LEVEL_HINTS, R, C); arguments as `decode_frame`,
        but ``known`` for ``valid``."""
        flat = levels.reshape(-1, *levels.shape[2:])
        by_patch = steps.repeat(levels.shape[1])
        pixels = self._dequantizer.pixels(flat, transform_sizes.reshape(-1), by_patch)
        hints = level_hints(flat).T.reshape(LEVEL_HINTS, *known.shape)
        hints = np.concatenate([transform_sizes.astype(np.float32)[None], hints])
        return BaseFeatures(base_frame(pixels, known), hints * known)
