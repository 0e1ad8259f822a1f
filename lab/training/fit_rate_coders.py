"""Fitting both coders of a variable-rate model to photographs.

Neither depends on the decoder: levels are true integers from the first step of a training on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from heqcodec.base.rate_protocols import RateEncoder
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.layout import LEVELS
from numpy.typing import NDArray

from .device_tables import Strip, fit_tables, tile_strips
from .packed_strips import TileStrips
from .packed_tables import fit_packed_tables

Coders = dict[str, dict[str, NDArray[Any]]]
"""Tables by name, of "device" and "packed"."""
DEVICE_STEPS = range(112, 960, 65)
"""From 3.7 to 360: 3 to 0.03 bits per pixel."""
DEVICE_TILES = 240
STRIP_TILES = 3
"""Tiles side by side in a strip: 768 pixels."""


def fit_coders(
    encoder: RateEncoder,
    tiles: NDArray[np.uint8],
    seed: int,
    iterations: int,
    report: Callable[[str], None] = print,
) -> Coders:
    """Tables of the device coder and of the packed coder.

    Args:
        encoder: whose levels they code.
        tiles: uint8 (N, S, S, 3), S a multiple of 128.
        seed: of what is drawn.
        iterations: of the packed coder's networks.
        report: gets a line of progress now and then.

    Raises:
        HeqError, RuntimeError: the C extension is not built.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(tiles))[: max(DEVICE_TILES, STRIP_TILES)]
    side = tiles.shape[1] // 32
    coefficients = [encoder.coefficients(split_patches(tiles[index])) for index in chosen]
    strips: list[Strip] = []
    for step in DEVICE_STEPS:
        both = [encoder.levels(given, step) for given in coefficients]
        levels = np.stack([levels for levels, _ in both])
        transform_sizes = np.stack([transform_sizes for _, transform_sizes in both])
        shape = (len(both), side, side)
        strips += tile_strips(
            levels.reshape(*shape, -1, LEVELS), transform_sizes.reshape(shape), step, STRIP_TILES
        )
    report(f"fitting the device coder to {len(strips)} strips")
    device = fit_tables(strips)._asdict()
    report("fitting the packed coder")
    packed = fit_packed_tables(TileStrips(tiles, encoder), iterations, seed=seed, report=report)
    return {"device": dict(device), "packed": dict(packed)}
