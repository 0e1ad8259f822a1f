"""Sizes, stack and instructions of the exported encoder on a Cortex-M.

    python benchmarks/cortex_m.py --image photo.png [--model nqe-r] [--cpu cortex-m4]

Exports a model, compiles heq_encoder.c (scalar kernel) at -Os and -O2, and prints bytes of code and
tables, the deepest stack that gcc's call graph gives, and the bytes of ``heq_encoder``. With an
image, also instructions a pixel as qemu executes them: two crops are encoded, and the difference is
divided by the difference of their pixels, so that start and end of the program do not count.

On Debian: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-user
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

GCC = "arm-none-eabi-gcc"
STRICT = ("-std=c99", "-mthumb")
# qemu-arm calls the host from code of the A profile alone: the encoder is compiled for the
# microcontroller, the program around it is not.
PROGRAM = (GCC, "-march=armv7-a", "-mthumb", "--specs=rdimon.specs")
HIGH, WIDE = 64, 64
"""Of the larger crop; the smaller one has half its rows."""
NODE = re.compile(r'node: \{ title: "([^"]*)" label: "[^"]*?(\d+) bytes')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"')


def run(command: Sequence[str | Path]) -> str:
    """Standard output of a command; raises where it fails."""
    return subprocess.run(
        [str(word) for word in command], check=True, capture_output=True, text=True
    ).stdout


def compiled(folder: Path, cpu: str, level: str) -> Path:
    """The encoder as an object, with its call graph beside it."""
    made = folder / f"encoder{level}.o"
    options = (f"-mcpu={cpu}", level, "-fcallgraph-info=su", "-c", "-o", made)
    run([GCC, *STRICT, *options, folder / "heq_encoder.c"])
    return made


def sections(made: Path) -> int:
    """Bytes of code and constants."""
    return int(run(["arm-none-eabi-size", made]).splitlines()[1].split()[0])


def deepest_stack(made: Path) -> int:
    """Bytes of the deepest chain of calls; functions of libc and callbacks count nothing."""
    graph = made.with_suffix(".ci").read_text()
    frames = {name: int(size) for name, size in NODE.findall(graph)}
    calls: dict[str, set[str]] = {}
    for source, target in EDGE.findall(graph):
        calls.setdefault(source, set()).add(target)

    @cache
    def depth(name: str) -> int:
        below = [depth(other) for other in calls.get(name, ()) if other != name]
        return frames.get(name, 0) + max(below, default=0)

    return max(depth(name) for name in frames)


def executed(program: Path, folder: Path, pixels: np.ndarray, options: Sequence[str]) -> int:
    """Instructions of a run: qemu names each block that it executes, and blocks are of one."""
    from heqcodec.export.vectors import pnm

    (folder / "crop.ppm").write_bytes(pnm(pixels))
    command = ["qemu-arm", "-singlestep", "-d", "exec,nochain", "-D", "/dev/stdout", str(program)]
    command.append("-f")
    files = [str(folder / "crop.ppm"), str(folder / "crop.heq")]
    with subprocess.Popen([*command, *options, *files], stdout=subprocess.PIPE) as process:
        output = subprocess.run(
            ["grep", "-c", "^Trace"], stdin=process.stdout, capture_output=True, text=True
        ).stdout
    if process.returncode != 0:
        typer.echo(f"the encoder ended with {process.returncode}", err=True)
        raise typer.Exit(1)
    return int(output)


def instructions(made: Path, folder: Path, pixels: np.ndarray, options: Sequence[str]) -> float:
    """A pixel, of the rows that the larger crop has more."""
    plain = folder / "plain.o"
    # Or the linker refuses to join two profiles.
    run(["arm-none-eabi-objcopy", "--remove-section", ".ARM.attributes", made, plain])
    program = folder / "heqenc-arm"
    run([*PROGRAM, "-O2", f"-I{folder}", folder / "heqenc.c", plain, "-o", program])
    counts = [executed(program, folder, pixels[:rows], options) for rows in (HIGH // 2, HIGH)]
    return (counts[1] - counts[0]) / (HIGH // 2 * WIDE)


def main(
    image: Annotated[Path | None, typer.Option(help="Photograph to count instructions on.")] = None,
    model: Annotated[str, typer.Option(help="Of `heqcodec models`.")] = "nqe-r",
    cpu: Annotated[str, typer.Option(help="Of gcc's -mcpu.")] = "cortex-m4",
    option: Annotated[
        list[str] | None, typer.Option(help="Rates of heqenc, such as '-q 45'; several times.")
    ] = None,
) -> None:
    """Print sizes, and instructions a pixel."""
    from heqcodec.eval.folder import read_pixels
    from heqcodec.export.c_project import export_c

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "c"
        figures = export_c(model, folder)
        weights = figures["weight_bytes"]
        typer.echo(f"{model}, {cpu}: {weights:,} bytes of weights and tables of the model")
        typer.echo(f"heq_encoder: {figures['memory_bytes']:,} bytes")
        for level in ("-Os", "-O2"):
            made = compiled(folder, cpu, level)
            typer.echo(
                f"{level}: {sections(made) - weights:,} bytes of code and fixed tables, "
                f"{deepest_stack(made):,} bytes of stack"
            )
        if image:
            pixels = np.ascontiguousarray(read_pixels(image)[-HIGH:, -WIDE:])
            for rate in option or [""]:
                count = instructions(made, folder, pixels, rate.split())
                typer.echo(f"-O2 {rate}: {count:,.0f} instructions a pixel")


if __name__ == "__main__":
    typer.run(main)
