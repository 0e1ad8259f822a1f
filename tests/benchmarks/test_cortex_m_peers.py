"""`benchmarks/cortex_m_peers.py`: its interpolation, its energies, its counts of a small image."""

from __future__ import annotations

import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.export.c_project import export_c
from heqcodec.export.vectors import scene
from scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def peers() -> Any:
    """The script, which imports others of its folder."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return load("cortex_m_peers")
    finally:
        sys.path.remove(str(SCRIPTS))


def row(processor: str, entries: dict[str, list[float] | None]) -> dict[str, Any]:
    return {"encoder": "x", "processor": processor, "targets": {"31": entries}}


def test_bytes_between_settings_are_those_of_a_line_in_their_logarithm(peers: Any) -> None:
    curve = peers.Curve(np.array([28.0, 30.0, 34.0]), [b"a" * 100, b"a" * 400, b"a" * 6400])
    assert curve.bytes_at(29) == pytest.approx(200)
    assert curve.bytes_at(31) == pytest.approx(800)
    assert curve.near(31) == [(1, 0.75), (2, 0.25)]
    # Below the coarsest file that file is what is sent; above the finest there is none.
    assert curve.near(20) == [(0, 1.0)] and curve.bytes_at(20) == pytest.approx(100)
    assert curve.near(34.1) is None and curve.bytes_at(34.1) is None
    assert curve.bytes_at(34) == pytest.approx(6400)


def test_break_even_is_energy_by_bytes() -> None:
    tables = load("cortex_m_tables")
    # 30 million cycles more of 0.2 nJ are 6,000 uJ, for 1,500 bytes.
    ours = row("m4", {"a": [20e6, 1000], "b": [20e6, 1500], "c": [1e6, 10]})
    theirs = row("m4", {"a": [5e6, 2000], "b": [5e6, 2000], "c": None})
    assert tables.break_even(ours, theirs, 31, 0.2) == pytest.approx(4.0)
    assert tables.break_even(theirs, ours, 31, 0.2) is None
    table = {"pixels": 1000}
    assert tables.instructions(table, ours, 31) == pytest.approx(41e6 / 3 / 1000)
    assert tables.Radio("x", 8, 1000).microjoule == pytest.approx(64)


def test_tables_name_what_is_not_reached() -> None:
    tables = load("cortex_m_tables")
    targets = {"28": {"a": [2e6, 100]}, "31": {"a": [4e6, 200]}, "34": {"a": None}}
    other = {"28": {"a": [1e6, 200]}, "31": {"a": [1e6, 400]}, "34": {"a": [1e6, 900]}}
    figures = dict.fromkeys(
        ("flash_O2", "flash_Os", "state", "heap", "stack", "longest_strip", "largest_files"), 7
    )
    table = {
        "images": ["a", "b"],
        "pixels": 1000,
        "bytes": {
            "nqe-r": {"28": {"a": 100, "b": 300}, "31": {"a": 200}, "34": {}},
            "JPEG": {"28": {"a": 200}, "31": {"a": 400}, "34": {"a": 900}},
        },
        "rows": [
            {"encoder": "nqe-r", "processor": "m4", "targets": targets, **figures},
            {"encoder": "JPEG", "processor": "m4", "targets": other, **figures},
        ],
    }
    text = tables.table_text(table, 1.0)
    assert "| nqe-r | 200 | 200 (1 of 2) | not reached |" in text
    assert "| nqe-r | m4 | 2,000, 4,000, -, 7 | 0.25 | 7 (7) |" in text
    assert "| nqe-r, m4 | JPEG | 10.0 | 15.0 | - |" in text


@pytest.mark.slow
def test_a_small_image_on_a_cortex_m4(peers: Any, tmp_path: Path) -> None:
    if not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")):
        pytest.skip("there is no compiler or no qemu for ARM")
    pixels = scene(64, 70, 3)
    export_c("nqe-t", tmp_path / "c")
    processor = peers.PROCESSORS["cortex-m4"]
    cortex_m = sys.modules["cortex_m"]
    made = [
        cortex_m.compiled(processor, tmp_path / "c", "SCALAR", "-O2"),
        cortex_m.heq_caller(processor, tmp_path / "c"),
    ]
    program = peers.linked(processor, tmp_path, made)
    (tmp_path / "image.bin").write_bytes(peers.image_bytes(pixels, 256, 1))
    count = peers.counted(processor, program, tmp_path / "image.bin")
    coded = heqcodec.encode(pixels, model="nqe-t", bpp=0.25, strip_rows=1, strip_metadata=True)
    assert (count.status, count.file_bytes, count.crc) == (0, len(coded), zlib.crc32(coded))
    assert 300 < count.instructions / (64 * 96) < 900
    # What is found on the stack is as much as the compiler says, and what libc takes.
    said = cortex_m.deepest_stack(made[0])
    assert said < count.stack < said + 600 and count.heap == 0
    assert peers.image_bytes(pixels, 256, 1, bgr=True)[16:19] == bytes(pixels[0, 0, ::-1])
