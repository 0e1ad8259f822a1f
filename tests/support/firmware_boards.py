"""Exported folders built as firmware: on this computer as a board, or for a microcontroller."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_compilers import STRICT
from c_toolchains import CROSS
from numpy.typing import NDArray

PLATFORMS = Path(__file__).parent / "platforms"
WARNINGS = ("-Wall", "-Wextra", "-Werror")


def board(folder: Path, layout: str, example: str, prefix: str, build: Path) -> Path:
    """Build an example with board.c or board.cpp of the layout's stand-ins; the program.

    Args:
        folder: exported.
        layout: all but plain.
        example: path of its folder.
        prefix: of the export.
        build: a folder for what is built.
    """
    if layout in ("esp-idf", "zephyr"):
        _configure(folder, layout, example, prefix, build, [], WARNINGS)
        _run(["cmake", "--build", build, "--target", "board"])
        return build / "board"
    build.mkdir()
    here = PLATFORMS / "arduino"
    objects = _as_arduino(folder, example, build, "", WARNINGS)
    program = build / "board"
    command = ["g++", *WARNINGS, f"-I{here}", here / "board.cpp", *objects, "-o", program]
    _run(command)
    return program


def firmware(
    folder: Path, layout: str, example: str, prefix: str, build: Path, toolchain: str
) -> None:
    """Compile library and example, or of the plain layout the library, for a microcontroller."""
    if shutil.which(f"{toolchain}-gcc") is None:
        pytest.skip(f"there is no {toolchain}-gcc")
    options = (*WARNINGS, *CROSS[toolchain])
    if layout in ("esp-idf", "zephyr"):
        system = [
            "-DCMAKE_SYSTEM_NAME=Generic",
            "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
            f"-DCMAKE_C_COMPILER={toolchain}-gcc",
        ]
        _configure(folder, layout, example, prefix, build, system, options)
        _run(["cmake", "--build", build])
        return
    build.mkdir()
    if layout == "plain":
        source = folder / f"{prefix}_encoder.c"
        _run([f"{toolchain}-gcc", *STRICT, *options, "-c", source, "-o", build / "encoder.o"])
        return
    _as_arduino(folder, example, build, f"{toolchain}-", options)


def _configure(
    folder: Path,
    layout: str,
    example: str,
    prefix: str,
    build: Path,
    system: list[str],
    options: tuple[str, ...],
) -> None:
    """CMake of a layout's stand-ins, with the defaults of its Kconfig."""
    if shutil.which("cmake") is None:
        pytest.skip("there is no cmake")
    upper = prefix.upper()
    places = {
        "esp-idf": [
            f"-DCOMPONENT={folder}",
            f"-DEXAMPLE={folder / example}",
            f"-DCONFIG_{upper}_ENCODER_KERNEL_MULTIPLY=y",
        ],
        "zephyr": [
            f"-DMODULE={folder}",
            f"-DSAMPLE={folder / example}",
            f"-DCONFIG_{upper}_ENCODER=y",
            f"-DCONFIG_{upper}_ENCODER_KERNEL_BY_TARGET=y",
        ],
    }
    flags = f"-DCMAKE_C_FLAGS={' '.join(options)}"
    _run(["cmake", "-S", PLATFORMS / layout, "-B", build, *places[layout], *system, flags])


def _as_arduino(
    folder: Path, example: str, build: Path, tools: str, options: tuple[str, ...]
) -> list[Path]:
    """All C of ``src``, and the sketch or the C++ of ``src`` of an example; the objects."""
    objects = []
    level = "-O1" if tools else "-O0"  # for this machine they are run once
    for source in sorted((folder / "src").glob("*.c")):
        objects.append(build / f"{source.stem}.o")
        _run([f"{tools}gcc", "-std=gnu11", *options, level, "-c", source, "-o", objects[-1]])
    sketch = next(iter([*(folder / example).glob("*.ino"), *(folder / example).glob("src/*.cpp")]))
    objects.append(build / "sketch.o")
    includes = [f"-I{place}" for place in (PLATFORMS / "arduino", folder / "src", sketch.parent)]
    command = [f"{tools}g++", "-std=gnu++11", "-fno-exceptions", *options, *includes]
    _run([*command, "-x", "c++", "-c", sketch, "-o", objects[-1]])
    return objects


def rgb565(samples: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """RGB (H, W, 3) as uint16 (H, W) of RGB565, and the RGB that these stand for."""
    high = samples >> np.array([3, 2, 3], np.uint8)
    words = high.astype(np.uint16) @ np.array([2048, 32, 1], np.uint16)
    wide = high << np.array([3, 2, 3], np.uint8) | high >> np.array([2, 4, 2], np.uint8)
    return words.astype(np.uint16), wide


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
