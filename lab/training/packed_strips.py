"""Strips of levels that the packed coder's tables are fitted to, and what it decides in them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from heqcodec.base.constants import PATCH, STEPS
from heqcodec.base.rate_protocols import RateEncoder
from heqcodec.image.patches import split_patches
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder import tables as layout
from heqcodec.nqe_r.packed_coder.tables import PackedTables, fixed_tables
from numpy.typing import NDArray

from .device_tables import Strip

_native = native_extension()

Tables = dict[str, NDArray[Any]]
SAMPLES = 400_000
"""Decisions that are looked at in a strip, at most."""


class StripSource(Protocol):
    """Where the strips come from."""

    def __call__(self, rng: np.random.Generator, tiles: int) -> Strip:
        """A random strip of so many tiles side by side, at a random step."""
        ...


class TileStrips:
    """Strips of tiles of photographs.

    Args:
        tiles: uint8 (N, H, W, 3), H and W multiples of 32; neighbours in the array are best from
            the same photograph.
        encoder: whose levels they are.
    """

    usual = (256, 960)
    """Seven eighths of the steps are drawn from here; 0.03 to 2.5 bits a pixel."""

    def __init__(self, tiles: NDArray[np.uint8], encoder: RateEncoder) -> None:
        self._tiles, self._encoder = tiles, encoder

    def __call__(self, rng: np.random.Generator, tiles: int) -> Strip:
        step = int(rng.integers(*self.usual) if rng.random() < 0.875 else rng.integers(STEPS))
        first = int(rng.integers(len(self._tiles) - tiles + 1))
        parts = []
        for tile in self._tiles[first : first + tiles]:
            rows, columns = tile.shape[0] // PATCH, tile.shape[1] // PATCH
            coefficients = self._encoder.coefficients(split_patches(np.asarray(tile)))
            levels, transform_sizes = self._encoder.levels(coefficients, step)
            shaped = levels.reshape(rows, columns, -1, LEVELS)
            parts.append((shaped, transform_sizes.reshape(rows, columns)))
        levels, transform_sizes = (
            np.concatenate(kind, axis=1) for kind in zip(*parts, strict=True)
        )
        return Strip(levels, transform_sizes, step)


class Decisions(NamedTuple):
    """What the C coder tells of its decisions.

    inputs: of their networks, uint8 (N, inputs).  nets: which networks, uint8 (N,).
    values: what was decided, uint8 (N,).  borders: int16 (M, 6), see `packed_priors`.
    mixing: the mixes' weights after the strip.
    """

    inputs: NDArray[np.uint8]
    nets: NDArray[np.uint8]
    values: NDArray[np.uint8]
    borders: NDArray[np.int16]
    mixing: NDArray[np.int32]


def decisions_of(tables: PackedTables, strip: Strip) -> Decisions:
    """The decisions of a strip; needs the C coder."""
    rows, columns, planes, _ = strip.levels.shape
    reply = _native.packed_encode(
        tables, strip.levels, strip.transform_sizes, rows, columns, planes, strip.step, SAMPLES
    )
    inputs, nets, values, borders, mixing = reply[2:]
    return Decisions(
        np.frombuffer(inputs, np.uint8).reshape(-1, layout.INPUTS),
        np.frombuffer(nets, np.uint8),
        np.frombuffer(values, np.uint8),
        np.frombuffer(borders, np.int16).reshape(-1, 6),
        np.frombuffer(mixing, np.int32).reshape(layout.MIXES, 4, layout.MIXED),
    )


def blank_tables() -> Tables:
    """Tables of no knowledge: every network says one half."""
    tables: Tables = {
        name: np.zeros(shape, dtype=np.dtype(kind)) for name, (kind, shape) in layout.KINDS.items()
    }
    tables |= fixed_tables()
    tables["mixing"][:] = 15000
    tables["mixing"][layout.FLAG_NETS :] = 22000
    tables["mixing"][layout.SIGN_MIX] = 40000
    tables["mixing"][..., 0] = 65536
    return tables
