"""The tables of the device coder: trained ones, and the fixed curves they are read with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.ids import tensors_id
from heqcodec.base.interval_table import RANGE_STEPS, STATES, lps_table
from numpy.typing import NDArray

CONTEXTS = 6077
SETS = 532
INPUTS = 4
CLASSES = 36
"""Of levels, each with scores of its own: 3 planes, 2 sizes, 6 groups of bands."""
SUMS = 12
SUM_BINS = 16
PLACES = 128
"""Of bands; from 64 on three bands each."""
KNOTS = 5
FIRST_KNOT = 320
"""Step index of the first knot of start states; the others follow at distances of 128."""
ODDS_STEP = 16
"""Log odds are integers, this many to one natural logarithm, -127..127."""
WEIGHT_STEP = 32
"""Weights are integers, this many to 1, -64..63."""


class DeviceTables(NamedTuple):
    """Everything the device coder knows beforehand; about 57 KB.

    start: int8 (KNOTS, CONTEXTS), log odds of the bit 1 in each context at the start of a strip.
    weights: int8 (SETS, INPUTS), how much each context of a decision counts.
    scores: int8 (2, CLASSES, SUMS, SUM_BINS), log odds that a level is not 0, and that it is
        larger yet, by the bin of each sum around it; 0 in bin 0.
    places: int8 (2, 6, PLACES, 4), the same by plane and size, by band and by the level in it.
    stretch: int8 (2048,), log odds of the probabilities (i + 1/2) / 2048.
    squash: uint16 (256,), probabilities, of 65,536, of the log odds i - 128.
    widths: uint16 (STATES, RANGE_STEPS), widths of the rarer bit by its log odds against.
    """

    start: NDArray[np.int8]
    weights: NDArray[np.int8]
    scores: NDArray[np.int8]
    places: NDArray[np.int8]
    stretch: NDArray[np.int8]
    squash: NDArray[np.uint16]
    widths: NDArray[np.uint16]


_KINDS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "start": (np.int8, (KNOTS, CONTEXTS)),
    "weights": (np.int8, (SETS, INPUTS)),
    "scores": (np.int8, (2, CLASSES, SUMS, SUM_BINS)),
    "places": (np.int8, (2, 6, PLACES, 4)),
    "stretch": (np.int8, (2048,)),
    "squash": (np.uint16, (256,)),
    "widths": (np.uint16, (STATES, RANGE_STEPS)),
}


def check_tables(tensors: Mapping[str, NDArray[np.generic]]) -> DeviceTables:
    """The tables of a model file, by the names of `DeviceTables`.

    Raises:
        HeqFormatError: one is missing, of another kind, or of values no coder can work with.
    """
    arrays = []
    for name, (kind, shape) in _KINDS.items():
        array = tensors.get(name)
        if array is None or array.dtype != np.dtype(kind) or array.shape != shape:
            found = "none" if array is None else f"{array.dtype} {array.shape}"
            raise HeqFormatError(
                f"the device coder needs a table {name!r} of {np.dtype(kind)} {shape}, not {found}"
            )
        arrays.append(np.ascontiguousarray(array))
    tables = DeviceTables(*arrays)
    lowest = (RANGE_STEPS + np.arange(RANGE_STEPS)) << 12
    if (
        (tables.widths < 1 << 3).any()
        or (tables.widths > np.minimum(lowest - 1, 1 << 15)).any()
        or tables.weights.min() < -64
        or tables.weights.max() > 63
        or tables.scores[..., 0].any()
        or min(tables.start.min(), tables.stretch.min()) < -127
    ):
        raise HeqFormatError("the tables of the device coder hold values out of range")
    return tables


def tables_id(tables: DeviceTables) -> bytes:
    """The coder's id: first 8 bytes of the SHA-256 over the tables."""
    return tensors_id(tables._asdict(), tables._fields)


def curves() -> dict[str, NDArray[np.generic]]:
    """The three fixed tables. Computed where tables are trained, never where a strip is coded."""
    probability = (np.arange(2048) + 0.5) / 2048
    odds = np.rint(ODDS_STEP * np.log(probability / (1 - probability)))
    back = 65536 / (1 + np.exp(-(np.arange(256) - 128) / ODDS_STEP))
    rarer = 1 / (1 + np.exp(np.arange(STATES) / ODDS_STEP))
    return {
        "stretch": np.clip(odds, -127, 127).astype(np.int8),
        "squash": np.clip(np.rint(back), 32, 65535 - 32).astype(np.uint16),
        "widths": lps_table(rarer),
    }
