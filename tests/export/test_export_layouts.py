"""Layouts of the exported folder: built as their platforms do, examples give heqcodec's bytes."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from c_compilers import needs_compiler
from c_toolchains import CROSS
from command_runner import names, run
from firmware_boards import board, firmware, rgb565
from heqcodec.export.layouts import LAYOUTS, PLAIN
from heqcodec.export.vectors import scene
from heqcodec.packets.framing import counted
from heqcodec.packets.layout import parse
from skimage.data import astronaut
from slow_cases import quick_first, slow

pytestmark = needs_compiler
PREFIX = "shed"
SERIAL = {
    "arduino": "examples/CameraToSerial",
    "platformio": "examples/camera_to_serial",
    "esp-idf": "examples/camera_to_serial",
    "zephyr": "samples/camera_to_serial",
}
"""The example of a camera and a serial port, by layout."""

Export = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Folders by layout and model, each written once."""
    written: dict[tuple[str, str], Path] = {}

    def folder_of(layout: str, model: str) -> Path:
        if (layout, model) not in written:
            folder = tmp_path_factory.mktemp("exported") / "shed"
            options = ("--layout", layout, "--model", model, "--prefix", PREFIX)
            result = run("export", "c", *options, "--out", folder)
            assert result.exit_code == 0, result.stderr
            written[layout, model] = folder
        return written[layout, model]

    return folder_of


@pytest.mark.parametrize(
    ("layout", "model"),
    quick_first([*((layout, "nqe-t") for layout in SERIAL), ("arduino", "nqe-r")]),
)
def test_example_sends_the_bytes_of_heqcodec(
    export: Export, layout: str, model: str, tmp_path: Path
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    height, width = (144, 176) if layout in ("arduino", "platformio") else (240, 320)
    words, pixels = rgb565(scene(height, width, 3))
    # Zephyr has the bytes of a word as the processor has them, the others as the sensor sends them.
    frame = words.astype("<u2" if layout == "zephyr" else ">u2").tobytes()
    program = board(export(layout, model), layout, SERIAL[layout], PREFIX, tmp_path / "build")
    done = subprocess.run([program], input=frame, capture_output=True)
    assert done.stderr == b""
    rate = {"quality": 35} if model == "nqe-r" else {}
    wanted = heqcodec.encode(pixels, model=model, strip_metadata=True, strip_rows=1, **rate)
    assert done.stdout == wanted


LORA = {
    "arduino": "examples/CameraToLoRa",
    "platformio": "examples/camera_to_lora",
    "zephyr": "samples/camera_to_lora",
}
"""The example of a camera and a LoRa radio, by layout; ESP-IDF has no driver of one."""


@pytest.mark.parametrize("layout", quick_first(LORA))
def test_lora_camera_sends_what_was_lost_again(export: Export, layout: str, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    small = layout != "zephyr"
    scaled = astronaut()[:288:2, :352:2] if small else astronaut()[:480:2, :320]
    words, pixels = rgb565(np.ascontiguousarray(scaled))
    program = board(export(layout, "nqe-r"), layout, LORA[layout], PREFIX, tmp_path / "build")
    frame = words.astype(">u2" if small else "<u2").tobytes()
    done = subprocess.run([program], input=frame, capture_output=True)
    assert done.returncode == 0 and done.stderr == b""
    assembler = heqcodec.PacketAssembler()
    packets = list(counted(done.stdout))
    assembler.feed_all(packets)
    (image,) = assembler.images()
    numbers = [parse(packet).number for packet in packets]
    # Every seventh is lost, from the third on, and comes after the others.
    assert numbers == sorted(numbers, key=lambda number: (number % 7 == 3, number))
    assert numbers[-1] % 7 == 3
    assert image.to_heq() == heqcodec.encode(pixels, quality=25)


@pytest.mark.slow
def test_examples_are_those_that_the_model_can_run(export: Export, tmp_path: Path) -> None:
    assert names(export("arduino", "nqe-r") / "examples") == ["CameraToLoRa", "CameraToSerial"]
    # Whatever the model, its examples compile: of packets where it has them.
    folder = export("arduino", "nqe-t")
    packets = (folder / "src" / "shed_packets.h").exists()
    assert names(folder / "examples") == ["CameraToLoRa"] * packets + ["CameraToSerial"]
    for example in names(folder / "examples"):
        board(folder, "arduino", f"examples/{example}", PREFIX, tmp_path / example)


@pytest.mark.parametrize("toolchain", quick_first(CROSS))
@pytest.mark.parametrize(
    "layout", [slow(name) if name in ("esp-idf", "zephyr") else name for name in LAYOUTS]
)
def test_compiles_for_microcontrollers(
    export: Export, layout: str, toolchain: str, tmp_path: Path
) -> None:
    example = SERIAL.get(layout, "")
    firmware(export(layout, "nqe-t"), layout, example, PREFIX, tmp_path / "build", toolchain)


@pytest.mark.parametrize("layout", quick_first(LAYOUTS))
def test_make_test_where_the_program_stands(export: Export, layout: str) -> None:
    folder = export(layout, "nqe-t")
    place = folder if layout == PLAIN else folder / "extras"
    done = subprocess.run(
        ["make", "-s", "CFLAGS=-O0", "test"], cwd=place, capture_output=True, text=True
    )
    assert done.stdout.strip() == "all files as expected", done.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_firmware_and_desktop_are_apart(export: Export, layout: str) -> None:
    folder = export(layout, "nqe-t")
    for name in ("README.md", "LICENSE", "NOTICE"):
        assert (folder / name).stat().st_size > 500
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if layout == PLAIN:
        assert {"shed_encoder.c", "shed_encoder.h", "heqenc.c", "Makefile"} <= files
    else:
        assert {"src/shed_encoder.c", "src/shed_encoder.h"} <= files
        assert not any(name.startswith("src/heqenc") for name in files)
        assert {"extras/heqenc.c", "extras/Makefile", "extras/vectors/list"} <= files
    # No word of a template is left. A test above may have built the program.
    for name in files:
        if "vectors/" not in name and Path(name).name != "heqenc":
            assert not re.search(r"@[A-Z_]+@", (folder / name).read_text("utf-8")), name


def test_a_full_disk_leaves_whole_files_only(export: Export, tmp_path: Path) -> None:
    whole, cut = export("plain", "nqe-t"), tmp_path / "shed"
    largest = max(path.stat().st_size for path in whole.rglob("*"))
    command = [sys.executable, "-m", "heqcodec", "export", "c", "--model", "nqe-t"]
    done = subprocess.run(
        [*command, "--prefix", PREFIX, "--out", cut],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1)),
    )
    assert done.returncode == 1 and "cannot be written" in done.stderr
    for path in filter(Path.is_file, cut.rglob("*")):
        assert path.read_bytes() == (whole / path.relative_to(cut)).read_bytes()


def test_a_classifier_has_no_example(tmp_path: Path) -> None:
    folder = tmp_path / "classifier"
    options = ("--layout", "zephyr", "--model", "nqe-bsn", "--prefix", PREFIX)
    assert run("export", "c", *options, "--out", folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        "extras",
        "src",
        "zephyr",
    ]
    assert (folder / "src" / "shed_classifier.c").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--layout", "mbed"), "is not one of plain, arduino"),
        (("--prefix", "Shed"), "begins with a letter"),
        (("--prefix", "2nd"), "begins with a letter"),
        (("--prefix", "shed_"), "begins with a letter"),
        (("--prefix", "she d"), "begins with a letter"),
        (("--prefix", "s" * 21), "more than 20"),
    ],
)
def test_wrong_options_write_nothing(options: tuple[str, str], said: str, tmp_path: Path) -> None:
    result = run("export", "c", *options, "--out", tmp_path / "x")
    words = result.stderr.replace("│", " ").split()
    assert result.exit_code == 2 and said in " ".join(words)
    assert not (tmp_path / "x").exists()


def test_rgb565_is_as_the_examples_read_it() -> None:
    words, wide = rgb565(np.array([[[255, 255, 255], [0, 0, 0], [0x84, 0x82, 0x41]]], np.uint8))
    assert words.tolist() == [[0xFFFF, 0, 0x8408]]
    assert wide.tolist() == [[[255, 255, 255], [0, 0, 0], [0x84, 0x82, 0x42]]]
