"""Tables of the packed coder: limits, the fixed ones, FORMAT.md, and how they are fitted."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.nqe_r.layout import band_frequencies
from heqcodec.nqe_r.packed_coder import PackedCoder, borders, mixing
from heqcodec.nqe_r.packed_coder import tables as tables_module
from heqcodec.nqe_r.packed_coder.tables import (
    KINDS,
    SEGMENT_STARTS,
    SLICE_STARTS,
    PackedTables,
)
from safetensors.numpy import load_file
from sample_packed_strips import TABLES, needs_native

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "FORMAT.md").read_text("utf-8")


def test_wrong_tables_are_named() -> None:
    with pytest.raises(ValueError, match=r"table size .* missing"):
        PackedCoder({name: table for name, table in TABLES.items() if name != "size"})
    with pytest.raises(ValueError, match=r"table first .* is int32"):
        PackedCoder({**TABLES, "first": TABLES["first"].astype(np.int32)})
    with pytest.raises(ValueError, match="32 bits"):
        PackedCoder({**TABLES, "second": np.full_like(TABLES["second"], 32767)})
    least = {"second": 0 * TABLES["second"], "second_bias": TABLES["second_bias"].copy()}
    least["second_bias"].flat[0] = np.iinfo(least["second_bias"].dtype).min
    with pytest.raises(ValueError, match="32 bits"):
        PackedCoder({**TABLES, **least})
    sources = TABLES["sources"].copy()
    sources[3, 3] = -4
    with pytest.raises(ValueError, match="sources"):
        PackedCoder({**TABLES, "sources": sources})


@pytest.mark.parametrize(
    ("name", "axis", "most"), [("first", 1, 255), ("second", 2, 4095), ("third", 2, 4095)]
)
def test_networks_are_taken_where_sums_fit_in_32_bits(name: str, axis: int, most: int) -> None:
    """The most that a sum can be is that of its weights, times what goes in, and the bias."""
    weights = np.zeros_like(TABLES[name])
    np.moveaxis(weights, axis, 0)[:3] = np.array([100, -20, 3])[:, None, None]
    bias = np.full_like(TABLES[f"{name}_bias"], (1 << 31) - 1 - 123 * most)
    PackedCoder({**TABLES, name: weights, f"{name}_bias": bias})
    with pytest.raises(ValueError, match="32 bits"):
        PackedCoder({**TABLES, name: weights, f"{name}_bias": bias + 1})


LIMITS = {
    "magnitude": (0, 63),
    "squash": (1, 65535),
    "edge": (-1024, 1024),
    "mixing": (-(1 << 20), 1 << 20),
}
"""The least and the most that tables may hold; beyond, sums or probabilities would leave theirs."""


@pytest.mark.parametrize("name", LIMITS)
def test_tables_are_taken_to_their_limits_and_no_further(name: str) -> None:
    kind = np.iinfo(TABLES[name].dtype)
    for end, outward in zip(LIMITS[name], (-1, 1), strict=True):
        changed = TABLES[name].copy()
        changed.flat[7] = end
        PackedCoder({**TABLES, name: changed})
        if kind.min <= end + outward <= kind.max:
            changed.flat[7] = end + outward
            with pytest.raises(ValueError, match=name):
                PackedCoder({**TABLES, name: changed})


def test_sources_stay_within_the_map() -> None:
    bounds = [(0, 2), (-1, 1), (-1, 1), (-3, 1), (-3, 1), (0, 4)]
    for column, ends in enumerate(bounds):
        for end, outward in zip(ends, (-1, 1), strict=True):
            changed = TABLES["sources"].copy()
            changed[5, column] = end
            PackedCoder({**TABLES, "sources": changed})
            changed[5, column] = end + outward
            with pytest.raises(ValueError, match="sources"):
                PackedCoder({**TABLES, "sources": changed})


def test_fixed_tables_are_those_that_ship() -> None:
    made = tables_module.fixed_tables()
    shipped = load_file(ROOT / "weights" / "nqe-r.packed.safetensors")
    for name in made:
        np.testing.assert_array_equal(made[name], shipped[name])
    # 65536 / (1 + e^-x), x in steps of 1/256 around 0.
    squash = made["squash"].astype(int)
    middle = len(squash) // 2
    assert squash[middle - 1 : middle + 1].tolist() == [32736, 32800]
    assert (squash + squash[::-1] == 65536).all()
    # The halves of 32 points are orthonormal to the 16-point transform of each half.
    halves = made["halves"] / 4096
    np.testing.assert_allclose(halves @ halves.T, np.eye(32), atol=2e-3)


def test_angles_are_quarters_by_threes_and_rings_are_whole_radii() -> None:
    bands = [tuple(band) for band in band_frequencies().tolist()]
    found = dict(zip(bands, tables_module.angles_and_rings().tolist(), strict=True))
    assert {band: ring for band, (_, ring) in found.items()} == {
        band: math.isqrt(band[0] ** 2 + band[1] ** 2) for band in bands
    }
    angles = {(0, 0): 0, (0, 1): 0, (1, 3): 0, (1, 2): 1, (3, 8): 1, (3, 4): 1}
    angles |= {(1, 1): 2, (7, 7): 2, (2, 1): 2, (8, 3): 2, (3, 1): 3, (1, 0): 3}
    assert {band: found[band][0] for band in angles} == angles


def _page_rows(heading: str) -> list[list[str]]:
    lines = PAGE[PAGE.index("### Packed payload (coder 3)") :].splitlines()
    start = lines.index(heading) + 2
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]


def test_the_format_page_lists_the_tables() -> None:
    rows = _page_rows("| tensor | type | shape | holds |")
    assert [(row[0], np.dtype(row[1]), row[2]) for row in rows] == [
        (name, np.dtype(kind), str(shape)[1:-1].rstrip(","))
        for name, (kind, shape) in KINDS.items()
    ]
    assert tuple(KINDS) == PackedTables._fields


def test_the_format_page_lists_constants_and_slices() -> None:
    for name, value, _ in _page_rows("| constant | value | meaning |"):
        owner = next(m for m in (mixing, borders, tables_module) if hasattr(m, name))
        assert getattr(owner, name) == int(value)
    rows = _page_rows("| slice | first level | first levels of its segments |")
    assert [int(row[1]) for row in rows] == list(SLICE_STARTS[:-1])
    segments = [[int(start) for start in row[2].split(",")] for row in rows]
    assert list(itertools.chain(*segments)) == list(SEGMENT_STARTS[:-1])
    assert [row[0] for row in segments] == list(SLICE_STARTS[:-1])


def test_the_id_covers_every_table() -> None:
    ids = {PackedCoder(TABLES).coder_id}
    for name in KINDS:
        changed = TABLES[name].copy()
        changed.reshape(-1)[-2] ^= 1
        ids.add(PackedCoder({**TABLES, name: changed}).coder_id)
    assert len(ids) == 1 + len(KINDS)


@pytest.mark.slow
@needs_native
def test_fitted_tables_save_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from heqcodec.lab.training import packed_priors, packed_tables
    from heqcodec.lab.training.packed_networks import Effort
    from heqcodec.lab.training.packed_strips import TileStrips, blank_tables
    from heqcodec.lab.training.packed_tables import fit_packed_tables
    from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
    from skimage import data

    for module, name, less in (
        (packed_priors, "PRIOR_STRIPS", 25),
        (packed_tables, "MIX_STRIPS", 3),
    ):
        assert getattr(module, name) > less
        monkeypatch.setattr(module, name, less)
    photograph = data.astronaut()
    tiles = photograph[:480, :480].reshape(5, 96, 5, 96, 3).swapaxes(1, 2).reshape(-1, 96, 96, 3)
    source = TileStrips(tiles[:20], RateNqe(stem_tensors()))
    lines: list[str] = []
    fitted = fit_packed_tables(source, report=lines.append, effort=Effort(60, strips=10))
    assert len(lines) >= 2
    held_out = TileStrips(tiles[20:], RateNqe(stem_tensors()))(np.random.default_rng(0), 5)
    strip = (held_out.levels, held_out.transform_sizes, held_out.step)
    blank, trained = (len(PackedCoder(t).encode(*strip)) for t in (blank_tables(), fitted))
    assert trained < 0.93 * blank


def test_fitting_needs_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    from heqcodec.lab.training import packed_tables

    monkeypatch.setattr(packed_tables, "native_extension", lambda: None)
    with pytest.raises(HeqError, match="C extension"):
        packed_tables.fit_packed_tables(lambda rng, tiles: pytest.fail("asked for a strip"))
