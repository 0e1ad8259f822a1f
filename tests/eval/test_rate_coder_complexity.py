"""Counting the coders of the variable-rate mode: by hand, and against coders that are watched."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.eval.complexity import device_work, packed_work
from heqcodec.eval.complexity.device_work import (
    ADDED,
    BAND,
    CONTEXT_STARTED,
    DECIDED,
    EDGES,
    GAP,
    LARGER,
    LOW_SIGN,
    MIXED,
    MOVED_UP,
    NONZERO,
    OWN,
    PLANE,
    RAW_BIT,
)
from heqcodec.eval.complexity.work import Work
from heqcodec.nqe_r.device_coder import coder as device_module
from heqcodec.nqe_r.device_coder.arithmetic import BitEncoder
from heqcodec.nqe_r.device_coder.around import BIN16
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.device_coder.patch import BIN4, BIN6, BIN7, BIN10
from heqcodec.nqe_r.device_coder.tables import DeviceTables, check_tables
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder import PackedCoder
from heqcodec.nqe_r.packed_coder import arithmetic as packed_arithmetic
from heqcodec.nqe_r.packed_coder import coder as packed_module
from heqcodec.nqe_r.packed_coder import strip as packed_strip
from heqcodec.nqe_r.packed_coder.mixing import Predictor
from numpy.typing import NDArray
from sample_device_strips import NATIVE, SOURCES, some_tables
from sample_device_strips import some_levels as device_levels
from sample_packed_strips import TABLES as PACKED_TABLES
from sample_packed_strips import some_levels as packed_levels
from slow_cases import slow

TABLES: DeviceTables = check_tables(some_tables())
FLAT = np.zeros((1, 1), dtype=np.uint8)


def one_patch(**levels: int) -> NDArray[np.int16]:
    """A strip of one grey patch; levels by ``l`` and their index."""
    made = np.zeros((1, 1, 1, LEVELS), dtype=np.int16)
    for name, value in levels.items():
        made[..., int(name[1:])] = value
    return made


def traced(levels: NDArray[np.int16], step: int = 500, native: bool = True) -> device_work.Trace:
    return device_work.trace_strip(
        TABLES, levels, np.zeros(levels.shape[:2], np.uint8), step, native
    )


class TestDevice:
    def test_an_empty_patch_by_hand(self) -> None:
        trace, levels = traced(one_patch()), one_patch()
        # Its size; is level 0 as before? is there more?
        assert [int(n) for n in trace.inputs] == [1, 1, 3] and not trace.bits.any()
        expected = CONTEXT_STARTED.times(6077) + DECIDED.times(3) + MIXED.times(5) + PLANE
        expected = expected + OWN["size"] + OWN["dc"] + OWN["more"] + EDGES
        # A bin of energy and four of what is left, all 0; the counts of 32 groups; all levels but
        # the first looked at from the end.
        expected = expected + Work(additions=1 + 4 + 32 + 1023, symbols=3)
        assert device_work.strip_work(trace, levels) == expected

    def test_one_level_by_hand(self) -> None:
        levels = one_patch(l20=2)
        trace = traced(levels)
        counts = {k: len(device_work.decisions_of(trace, k).sets) for k in device_work.KINDS}
        # The first group, 31 levels, one of which is not 0, larger than 1, not than 2.
        assert counts == {
            "zero": 31, "larger": 2, "sign": 0, "more": 2, "size": 1, "escape": 0, "dc": 1,
            "dc_escape": 0, "dc_sign": 0, "sign_border": 0, "border": 0,
        }  # fmt: skip
        # Its sign has even odds: there is no patch to the left or above.
        assert device_work.raw_bits(trace) == 1
        expected = CONTEXT_STARTED.times(6077) + DECIDED.times(37) + PLANE + BAND.times(8)
        expected = expected + MIXED.times(31 * 4 + 2 * 3 + 2 * 3 + 1 + 1)
        expected = expected + MOVED_UP.times(4 + 3 + 3)
        for kind, count in counts.items():
            expected = expected + OWN[kind].times(count)
        expected = expected + NONZERO + LARGER + RAW_BIT + LOW_SIGN.times(11)
        expected = expected + GAP + ADDED + EDGES
        counted = device_work.strip_work(trace, levels)
        # Bins: most are of 0 and take one comparison. Twice 32 and 31 counts; 1,003 zeros.
        least = 31 * 11 + (2 + 2 * 2) + 2 * 4 + 1 + 63 + 1004
        rest = counted.additions - expected.additions - least
        assert counted.shifts == expected.shifts and counted.symbols == 38
        # Levels after it have it among their neighbours, in bins that take up to 5 comparisons.
        assert 0 <= rest < 11 * 7 * 4

    @pytest.mark.skipif(not NATIVE, reason="the C extension is not built")
    @pytest.mark.parametrize("planes", [1, 3])
    def test_both_coders_take_the_same_decisions(self, planes: int) -> None:
        random = np.random.default_rng(planes)
        levels = device_levels(random, (2, 3, planes), 30.0)
        transform_sizes = random.integers(0, 2, (2, 3)).astype(np.uint8)
        native, plain = (
            device_work.trace_strip(TABLES, levels, transform_sizes, 600, native)
            for native in (True, False)
        )
        for mine, other in zip(native, plain, strict=True):
            np.testing.assert_array_equal(mine, other)

    @pytest.mark.parametrize("scale", [0.5, 40.0, slow(3000.0)])
    def test_symbols_are_those_of_the_arithmetic_coder(
        self, scale: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        odds_seen: list[int] = []

        class Watched(BitEncoder):
            def code(self, odds: int, bit: int) -> int:
                odds_seen.append(odds)
                return super().code(odds, bit)

        levels = device_levels(np.random.default_rng(4), (1, 3, 3), scale)
        transform_sizes = np.array([[0, 1, 1]], dtype=np.uint8)
        trace = device_work.trace_strip(TABLES, levels, transform_sizes, 450)
        monkeypatch.setattr(device_module, "BitEncoder", Watched)
        DeviceCoder(some_tables(), native=False).encode(levels, transform_sizes, 450)
        assert device_work.strip_work(trace, levels).symbols == len(odds_seen)
        counted = sum(len(device_work.decisions_of(trace, k).sets) for k in device_work.KINDS)
        assert counted == len(trace.sets)

    @pytest.mark.parametrize(
        ("name", "bins", "counted"),
        [
            ("bin16", BIN16, device_work.BIN16),
            ("bin10", BIN10, device_work.BIN10),
            ("bin7", BIN7, device_work.BIN7),
            ("bin6", BIN6, device_work.BIN6),
            ("bin4", BIN4, device_work.BIN4),
        ],
    )
    def test_comparisons_of_bins_are_those_of_the_c_source(
        self, name: str, bins: list[int], counted: tuple[int, ...]
    ) -> None:
        text = (SOURCES / "heq_device_contexts.h").read_text("utf-8")
        number = name.removeprefix("bin")
        table = re.search(rf"bins_{number}\[(\d+)\] = {{(.*?)}};", text, re.DOTALL)
        body = re.search(rf"static inline int {name}\(int sum\)\n{{\n(.*?)\n}}", text, re.DOTALL)
        assert table and body
        values = [int(value) for value in table[2].split(",")]
        last = int(table[1]) - 1
        assert body[1].strip() == f"return bins_{number}[sum < {last} ? sum : {last}];"
        assert [values[min(value, last)] for value in range(80)] == bins[:80]
        assert counted == (body[1].count("<"),) * (values[-1] + 1)

    def test_planes_beside_the_first_cost_more(self) -> None:
        grey = np.zeros((1, 2, 1, LEVELS), dtype=np.int16)
        colour = np.zeros((1, 2, 3, LEVELS), dtype=np.int16)
        works = [device_work.strip_work(traced(levels), levels) for levels in (grey, colour)]
        more = works[1].additions - works[0].additions
        # Of each further plane two patches, each with a decision on level 0 and one on the rest.
        each = 2 * (PLANE + OWN["dc"] + OWN["more"] + DECIDED.times(2) + MIXED.times(4)).additions
        assert more == 2 * each + 4 * 3 + 4 * (5 + 1023) + 2 * (64 + 96)


class TestPacked:
    @pytest.mark.parametrize("planes", [1, 3])
    @pytest.mark.parametrize("scale", [0.3, 8.0, slow(900.0)])
    def test_counts_are_those_of_a_coder_that_is_watched(
        self, planes: int, scale: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = {"runs": 0, "heads": 0, "mixed": 0, "symbols": 0}

        class Watched(Predictor):
            def run(self, net: int, inputs: NDArray[np.int64]) -> NDArray[np.int64]:
                seen["runs"] += 1
                return super().run(net, inputs)

            def head(self, net: int, head: int, last: NDArray[np.int64]) -> int:
                seen["heads"] += 1
                return super().head(net, head, last)

            def decide(self, coder: Any, bit: int, logit: int, mix: Any, contexts: Any) -> int:
                seen["mixed"] += 1 + len(contexts)
                return super().decide(coder, bit, logit, mix, contexts)

        class WatchedBits(packed_arithmetic.BitEncoder):
            def code(self, bit: int, ones: int) -> int:
                seen["symbols"] += 1
                return super().code(bit, ones)

        monkeypatch.setattr(packed_strip, "Predictor", Watched)
        monkeypatch.setattr(packed_module, "BitEncoder", WatchedBits)
        tables = PACKED_TABLES
        levels, transform_sizes = packed_levels(2, 3, planes, scale)
        levels[1, 1] = 0
        levels[0, 1, 0, 960:] = 1
        PackedCoder(tables, native=False).encode(levels, transform_sizes, 500)
        counts = packed_work.count_packed(levels)
        assert seen["runs"] == counts.flags + counts.levels
        assert seen["heads"] == counts.flags + counts.magnitudes
        work = packed_work.packed_work(counts)
        assert work.symbols == seen["symbols"]
        products = packed_work.LAYERS_PRODUCTS * seen["runs"] + 32 * seen["heads"]
        # A sign that nothing is expected of is not mixed.
        spare = work.multiply_accumulates - products - seen["mixed"]
        assert 0 <= spare <= 3 * counts.signs

    def test_an_empty_patch_by_hand(self) -> None:
        counts = packed_work.count_packed(one_patch())
        # Slices of 1 and 15 levels without flags, four flags of 0.
        assert counts == packed_work.PackedCounts(
            flags=4, levels=16, magnitudes=16, signs=0, digits=0, first_digits=0, transform_sizes=1
        )
        work = packed_work.packed_work(counts)
        network = 92 * 64 + 64 * 32
        assert work.multiply_accumulates == 20 * (network + 32) + 4 * 4 + 16 * 7
        assert work.symbols == 21

    def test_flags_and_digits_by_hand(self) -> None:
        # Levels 70 and 999: the first of three segments, which are 3 levels wide and flags of
        # slice 3; the last of ten of slice 5, which is not asked for.
        counts = packed_work.count_packed(one_patch(l70=1, l999=-9))
        # Slices 2 and 4 are empty. Slice 3: itself and all three segments, since the first is not
        # empty; slice 5: itself and nine segments.
        assert counts.flags == 1 + 1 + (1 + 3) + (1 + 9)
        assert counts.levels == 16 + 32 + 64
        # 9 - 4 has three bits: nine decisions less one, two digits.
        assert (counts.signs, counts.digits, counts.first_digits) == (2, 2, 1)
        assert counts.magnitudes == 110 + 2 + 8


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


def printed(program: str, folder: Path) -> list[int]:
    """The numbers that a C program prints."""
    source = folder / "sizes.c"
    source.write_text(f"#include <stdio.h>\n{program}\n")
    command = ["gcc", f"-I{SOURCES}", "-w", str(source), "-o", str(folder / "sizes")]
    subprocess.run(command, check=True)
    run = subprocess.run([folder / "sizes"], capture_output=True, text=True, check=True)
    return [int(number) for number in run.stdout.split()]


@needs_gcc
def test_memory_is_that_of_the_c_coders(tmp_path: Path) -> None:
    pointer, strip, fixed = printed(
        "#define HEQ_ENCODE_ONLY\n#define HEQ_KERNEL_SCALAR\n"
        '#include "heq_device.h"\n#include "heq_device_layout.h"\n'
        '#include "heq_device_contexts.h"\n'
        'int main(void) { printf("%zu %zu %zu", sizeof(void *), sizeof(heq_device_strip),'
        " sizeof band_frequency + sizeof band_rank + sizeof third + sizeof quarter_square"
        " + sizeof bins_16 + sizeof bins_10 + sizeof bins_7 + sizeof bins_6 + sizeof bins_4); }",
        tmp_path,
    )
    assert device_work.strip_bytes(pointer) == strip
    assert fixed == device_work.FIXED_BYTES
    assert device_work.table_bytes(some_tables()) == fixed + sum(
        table.nbytes for table in some_tables().values()
    )
    kept, summary, corrections, each = printed(
        '#include "heq_packed.c"\n'
        'int main(void) { printf("%d %zu %d %zu", MAP, sizeof(summary), CORRECTIONS,'
        " sizeof(correction)); }",
        tmp_path,
    )
    assert (kept, summary) == (packed_work.MAP_BYTES, packed_work.SUMMARY_BYTES)
    assert (corrections, each) == (packed_work.CORRECTIONS, 8)
    levels, mixing = 2 * 3 * 1024 * 6, 55 * 4 * 7 * 4
    expected = 3 * 4 * 5 * (1600 + 1076) + 8 * corrections + mixing + levels
    assert packed_work.packed_activation_bytes(2, 3) == expected
