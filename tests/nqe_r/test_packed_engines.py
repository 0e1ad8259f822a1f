"""C and Python write the same packed payload, and read it back, wherever the model can go."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder import PackedCoder
from heqcodec.nqe_r.packed_coder.tables import FLAG_NETS, SEGMENT_STARTS
from sample_packed_strips import TABLES, Tables, needs_native, some_levels
from slow_cases import slow


class Coded(NamedTuple):
    """What is encoded: levels (R, C, P, 1024), transform sizes (R, C), step; by which tables."""

    levels: np.ndarray
    sizes: np.ndarray
    step: int
    tables: Tables = TABLES


def drawn_sizes(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return rng.integers(0, 2, (rows, columns)).astype(np.uint8)


def falling(planes: int, scale: float, seed: int) -> Coded:
    return Coded(*some_levels(2, 2, planes, scale, seed), 77 * seed)


def scattered() -> Coded:
    """Empty segments before others, in each plane."""
    rng = np.random.default_rng(5)
    levels = rng.integers(-3, 4, (1, 2, 3, LEVELS)) * (rng.random((1, 2, 3, LEVELS)) < 0.01)
    return Coded(levels.astype(np.int16), np.array([[0, 1]], np.uint8), 400)


def little() -> Coded:
    """Two rows of three patches in both sizes: low bands, and a level in each slice above them."""
    rng = np.random.default_rng(6)
    levels = np.zeros((2, 3, 3, LEVELS), dtype=np.int16)
    levels[..., :16] = np.rint(rng.laplace(0, 3, (2, 3, 3, 16)))
    levels[..., 0] *= 20
    levels[1, :2, :, 16:64] = np.rint(rng.laplace(0, 1, (2, 3, 48)))
    levels[1, 1, [0, 1, 2], [100, 200, 600]] = (9, -70, 1)
    return Coded(levels, np.array([[0, 1, 1], [1, 0, 1]], np.uint8), 700)


def wrong_networks(logit: int, density: float, seed: int, high: tuple[int, ...] = ()) -> Coded:
    """They expect the other bit everywhere: surprise goes to the ends of its bins, and where they
    are sure, through the last ones to where it is limited."""
    tables = {**TABLES, "third": np.zeros_like(TABLES["third"])}
    tables["third_bias"] = np.full_like(TABLES["third_bias"], logit << 6)
    rng = np.random.default_rng(seed)
    levels = np.zeros((3, 3, 1, LEVELS), dtype=np.int16)
    levels[..., :64] = rng.random((3, 3, 1, 64)) < density
    levels[..., list(high)] = rng.random((3, 3, 1, len(high))) < density
    return Coded(levels, drawn_sizes(rng, 3, 3), 500, tables)


def uneven_tables() -> Tables:
    """Weights of every mix differ, and borders expect much."""
    rng = np.random.default_rng(9)
    mixing = rng.integers(-60000, 60000, TABLES["mixing"].shape).astype(np.int32)
    return {**TABLES, "mixing": mixing, "border": TABLES["border"] * 30}


WITHOUT_BORDERS = {**uneven_tables(), "border": 0 * TABLES["border"]}


def signs(tables: Tables) -> Coded:
    """Plane 1 against plane 0 and plane 2 with plane 1: agreement goes to both ends."""
    rng = np.random.default_rng(10)
    levels = np.zeros((2, 2, 3, LEVELS), dtype=np.int16)
    agreeing = np.array([1, -1, -1])[:, None] * rng.choice([-1, 1], (2, 2, 1, 60))
    levels[..., 1:61] = agreeing * rng.integers(1, 3, (2, 2, 3, 60))
    levels[..., 100] = rng.integers(-2, 3, (2, 2, 3))
    return Coded(levels, np.array([[0, 1], [1, 0]], np.uint8), 900, tables)


def mixed_signs() -> Coded:
    """Of many seeds one whose sums lie next to a rounding bound."""
    levels = np.zeros((2, 2, 3, LEVELS), dtype=np.int16)
    levels[..., 1:33] = np.random.default_rng(10).choice([-1, 1], (2, 2, 3, 32))
    return Coded(levels, np.array([[0, 1], [1, 0]], np.uint8), 900, WITHOUT_BORDERS)


def much() -> Coded:
    """Sums of slices and segments, differences and levels at their limits, in one patch of four."""
    tables = uneven_tables()
    rng = np.random.default_rng(11)
    levels = np.zeros((2, 2, 1, LEVELS), dtype=np.int16)
    levels[..., 0] = np.array([[-32767, 32767], [2047, 5]])[..., None]
    levels[1, 1, 0, 64:160] = rng.integers(60, 200, 96) * rng.choice([-1, 1], 96)
    levels[1, 1, 0, 384:448] = rng.integers(300, 9000, 64) * rng.choice([-1, 1], 64)
    levels[1, 1, 0, [1, 20, 1023]] = -32767, 32767, 2
    return Coded(levels, np.array([[0, 1], [1, 0]], np.uint8), 100, tables)


def flags() -> Coded:
    """Many patches, and in each some segments that are not empty: the last one alone as well.
    Networks expect them to be empty, as surely as bins of their outputs tell apart."""
    tables = uneven_tables()
    tables["third"], tables["third_bias"] = TABLES["third"].copy(), TABLES["third_bias"].copy()
    tables["third"][FLAG_NETS:] //= 16
    tables["third_bias"][FLAG_NETS:] = -31000 << 6
    rng = np.random.default_rng(12)
    levels = np.zeros((4, 4, 3, LEVELS), dtype=np.int16)
    for start, stop in itertools.pairwise(SEGMENT_STARTS[3:]):
        levels[..., stop - 1] = rng.random((4, 4, 3)) < 0.06
        levels[..., start] = 3 * (rng.random((4, 4, 3)) < 0.03)
    levels[0, 0, :, 1023], levels[0, 1, :, 159], levels[0, 2, :, 383] = 1, -1, 2
    return Coded(levels, drawn_sizes(rng, 4, 4), 600, tables)


CODED = {
    "falling": falling(3, 1.0, 0),
    "falling, large": falling(3, 40.0, 1),
    "falling, largest": falling(1, 9000.0, 2),
    "scattered": scattered(),
    "little": little(),
    "wrong networks": wrong_networks(1600, 0.15, 7),
    "wrong networks, ones": wrong_networks(-1600, 0.85, 7),
    "sure and wrong networks": wrong_networks(34000, 0.06, 8, (159, 383, 1023)),
    "sure and wrong networks, ones": wrong_networks(-34000, 0.94, 8, (159, 383, 1023)),
    "signs": signs(uneven_tables()),
    "signs without borders": signs(WITHOUT_BORDERS),
    "mixed signs": mixed_signs(),
    "much": much(),
    "flags": flags(),
}
QUICK = ("falling", "scattered", "little", "sure and wrong networks", "signs", "flags")


@needs_native
@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in CODED])
def test_both_engines_write_the_same(name: str) -> None:
    levels, sizes, step, tables = CODED[name]
    native, reference = PackedCoder(tables), PackedCoder(tables, native=False)
    payload = native.encode(levels, sizes, step)
    assert payload == reference.encode(levels, sizes, step)
    for coder in (native, reference):
        back, back_sizes = coder.decode(payload, *levels.shape[:3], step)
        assert np.array_equal(back, levels) and np.array_equal(back_sizes, sizes)
