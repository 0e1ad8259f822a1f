"""Tables of the device coder: the fixed ones, limits, FORMAT.md, and what their fit saves."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from format_tables import table
from heqcodec.base.errors import HeqFormatError
from heqcodec.lab.training.device_tables import Strip, first_tables, fit_tables, tile_strips
from heqcodec.nqe_r.device_coder import around, contexts, patch, tables
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from safetensors.numpy import load_file
from sample_device_strips import needs_native, some_levels, some_tables

ROOT = Path(__file__).resolve().parents[2]


def test_fixed_tables_are_the_logistic_function_and_its_inverse() -> None:
    made = tables.curves()
    stretch, squash = made["stretch"].astype(int), made["squash"].astype(int)
    # 16 ln(p / (1 - p)), p in the middle of each of 2,048 intervals, to 8 bits.
    assert stretch[[0, 1023, 1024, 1536, 2047]].tolist() == [-127, 0, 0, 18, 127]
    assert (stretch == -stretch[::-1]).all()
    # 65536 / (1 + e^(-x / 16)), x from -128.
    assert squash[[1, 128 - 16, 128, 128 + 16, 255]].tolist() == [32, 17625, 32768, 47911, 65503]
    assert (squash[10:247] + squash[246:9:-1] == 65536).all()
    shipped = load_file(ROOT / "weights" / "nqe-r.device.safetensors")
    for name in made:
        np.testing.assert_array_equal(made[name], shipped[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", None),
        ("start", np.zeros((5, 9), np.int8)),
        ("start", np.full((tables.KNOTS, tables.CONTEXTS), -128, np.int8)),
        ("stretch", np.full(2048, -128, np.int8)),
        ("scores", np.full((2, 36, 12, 16), 1, np.int8)),
        ("places", np.zeros((2, 6, 128), np.int8)),
        ("weights", np.full((tables.SETS, tables.INPUTS), 64, np.int8)),
        ("weights", np.full((tables.SETS, tables.INPUTS), -65, np.int8)),
        ("widths", np.full((128, 8), 7, np.uint16)),
        ("widths", np.full((128, 8), 32768, np.uint16)),
        ("widths", np.full((128, 8), [32767, *[32769] * 7], np.uint16)),
        ("widths", np.zeros((128, 8), np.uint16)),
        ("widths", np.full((128, 8), 65535, np.uint16)),
        ("squash", np.zeros(256, np.int32)),
    ],
)
def test_unfit_tables_are_refused(name: str, value: np.ndarray | None) -> None:
    made = some_tables()
    right = made.pop(name)
    words = "not none"
    if value is not None:
        made[name] = value
        as_it_should_be = (value.dtype, value.shape) == (right.dtype, right.shape)
        words = "out of range" if as_it_should_be else f"not {value.dtype} {value.shape}"
    with pytest.raises(HeqFormatError, match=f"device coder.*{re.escape(words)}"):
        DeviceCoder(made)


def test_tables_at_their_limits_are_taken() -> None:
    made = some_tables()
    made["start"][0], made["stretch"][:9] = -127, -127
    made["weights"][0], made["weights"][1] = -64, 63
    # A width is less than the smallest range of its column, and half a range at most.
    made["widths"][0], made["widths"][1] = 8, [32767, *[32768] * 7]
    DeviceCoder(made)


def test_strips_begin_with_the_states_of_their_knot() -> None:
    made = tables.check_tables(some_tables())
    for knot in range(tables.KNOTS - 1):
        states = contexts.start_states(made, tables.FIRST_KNOT + 128 * knot)
        assert states == made.squash[made.start[knot].astype(int) + 128].tolist()


def test_kinds_fill_the_tables() -> None:
    assert sum(contexts.CONTEXT_KINDS.values()) == tables.CONTEXTS
    assert sum(contexts.SET_KINDS.values()) == tables.SETS


def test_format_page() -> None:
    assert {row[0]: int(row[1]) for row in table("| contexts | number | indices |")} == (
        contexts.CONTEXT_KINDS
    )
    assert {row[0]: int(row[1]) for row in table("| sets | number | indices |")} == (
        contexts.SET_KINDS
    )
    cuts = {"bin16": around.CUTS_16, "bin10": patch.CUTS_10, "bin7": patch.CUTS_7}
    cuts |= {"bin6": patch.CUTS_6, "bin4": patch.CUTS_4}
    assert {row[0]: tuple(map(int, row[1].split(","))) for row in table("| bin | cuts |")} == cuts
    tensors = {row[0]: row[1:3] for row in table("| table | type | shape | holds |")}
    for name, array in first_tables()._asdict().items():
        shape = ", ".join(str(side) for side in array.shape)
        assert tensors[name] == [str(array.dtype), shape]


def test_memory_of_a_camera() -> None:
    made = first_tables()
    assert 2 * tables.CONTEXTS <= 12 * 1024
    assert sum(table.nbytes for table in made) <= 58_000


@needs_native
def test_training_saves_bits() -> None:
    random = np.random.default_rng(3)
    strips = []
    for step, scale in ((400, 4.0), (600, 1.5), (800, 0.5)):
        levels = np.stack([some_levels(random, (4, 4, 3), scale) for _ in range(4)])
        transform_sizes = random.integers(0, 2, levels.shape[:3]).astype(np.uint8)
        strips += tile_strips(levels, transform_sizes, step, across=2)
    assert [strip.levels.shape for strip in strips] == [(4, 8, 3, 1024)] * 6
    unknown = Strip(some_levels(random, (1, 2, 3), 0.5), np.zeros((1, 2), np.uint8), 800)
    lengths = [
        len(DeviceCoder(made._asdict()).encode(*unknown))
        for made in (first_tables(), fit_tables(strips))
    ]
    assert lengths[1] < 0.95 * lengths[0]
