"""Instructions a pixel, code, stack and memory of the exported encoder on microcontrollers.

    python benchmarks/cortex_m.py --image kodim05.png [--model nqe-r -q 35 --tune psnr] [--out FILE]

Exports a model, compiles it with benchmarks/firmware for each processor and kernel, and
runs that in qemu on the whole image, from RGB in memory: `-icount shift=0` gives every instruction
a nanosecond of a timer, on the machine mps2-an386 (ARM; code for a Cortex-M0+ runs there, too), on
virt (RISC-V) and on sim (Xtensa). `--cpu esp32-s3` takes the compiler of ESP-IDF,
xtensa-esp32s3-elf-gcc, and counts on the core de212, the nearest of qemu's without an MMU. The file
must be that of `heqcodec.encode`, by its length and CRC-32, or the benchmark ends with exit code 1.
Stack is the deepest chain of calls in gcc's call graph.

On Debian: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm
gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf gcc-xtensa-lx106 picolibc-xtensa-lx106-elf
qemu-system-misc
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from heqcodec.base.arguments import TuneName

FIRMWARE = Path(__file__).parent / "firmware"
NODE = re.compile(r'node: \{ title: "([^"]*)" label: "[^"]*?(\d+) bytes')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"')
KERNELS = ("SCALAR", "MULTIPLY")
PRINTED = 7
"""Numbers of the firmware, see firmware/count.c."""


class Processor(NamedTuple):
    """A processor to compile and to count for.

    Attributes:
        prefix: of the tools.
        options: of the compiler.
        linked: further ones with which the firmware is linked.
        machine: command of qemu, up to its files.
        image: address that the image is loaded to.
    """

    prefix: str
    options: tuple[str, ...]
    linked: tuple[str, ...]
    machine: tuple[str, ...]
    image: int


def _arm(cpu: str) -> Processor:
    machine = ("qemu-system-arm", "-M", "mps2-an386", "-semihosting")
    options = (f"-mcpu={cpu}", "-mthumb")
    return Processor("arm-none-eabi", options, ("-T", f"{FIRMWARE}/arm.ld"), machine, 0x20100000)


def _xtensa(
    compiler: str, *options: str, linked: tuple[str, ...] = (), core: str | None = None
) -> Processor:
    sim = ("qemu-system-xtensa", "-M", "sim", "-cpu", core or compiler, "-m", "64M", "-semihosting")
    script = ("-T", f"{FIRMWARE}/xtensa.ld", "-Wl,--no-warn-rwx-segments")
    prefix = f"xtensa-{compiler}-elf"
    return Processor(prefix, ("-mlongcalls", *options), (*script, *linked), sim, 0x61000000)


PROCESSORS = {
    "cortex-m4": _arm("cortex-m4"),
    "cortex-m7": _arm("cortex-m7"),
    "cortex-m33": _arm("cortex-m33"),
    "cortex-m0plus": _arm("cortex-m0plus"),
    "rv32imc": Processor(
        "riscv64-unknown-elf",
        ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
        ("-T", f"{FIRMWARE}/riscv.ld", "-Wl,--no-warn-rwx-segments"),
        ("qemu-system-riscv32", "-M", "virt", "-bios", "none"),
        0x80800000,
    ),
    # The core of ESP8266, without windows of registers: the one Xtensa that Debian compiles for.
    "lx106": _xtensa("lx106", "--specs=/usr/lib/xtensa-lx106-elf/picolibc.specs"),
    # Code for the core of ESP32-S3, by Espressif's compiler, with calls that need no handlers.
    "esp32-s3": _xtensa("esp32s3", "-mabi=call0", linked=("-nostdlib", "-DNO_LIBC"), core="de212"),
}
DEFAULT = tuple(name for name in PROCESSORS if name != "esp32-s3")
"""Processors that Debian has a compiler for."""


def run(command: Sequence[str | Path]) -> str:
    """Standard output of a command; raises where it fails."""
    return subprocess.run(
        [str(word) for word in command], check=True, capture_output=True, text=True
    ).stdout


def compiled(
    processor: Processor,
    folder: Path,
    kernel: str,
    level: str,
    source: str = "heq_encoder.c",
    *macros: str,
) -> Path:
    """A source of the encoder as an object, with its call graph in a file of its own."""
    made = (folder / source).with_suffix(".o")
    options = (
        "-std=c99",
        f"-DHEQ_KERNEL_{kernel}",
        *macros,
        level,
        "-fcallgraph-info=su",
        "-c",
        "-o",
        made,
    )
    run([f"{processor.prefix}-gcc", *processor.options, *options, folder / source])
    return made


def flash(processor: Processor, made: Path) -> int:
    """Bytes of code and constants."""
    return int(run([f"{processor.prefix}-size", made]).splitlines()[1].split()[0])


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


class Count(NamedTuple):
    """What the firmware prints of an image.

    Attributes:
        status: 0 where the encoder had no failure.
        instructions: of the whole image.
        file_bytes, crc: of the file, CRC-32.
        stack, heap: bytes.
        longest: the most bytes that were put at once: of nqe-r a strip.
    """

    status: int
    instructions: int
    file_bytes: int
    crc: int
    stack: int
    heap: int
    longest: int


def linked(processor: Processor, folder: Path, objects: Sequence[Path]) -> Path:
    """The firmware of an encoder, its objects and what calls it."""
    program = folder / "firmware"
    options = ("-std=gnu99", "-O2", "-nostartfiles", "-fno-builtin-malloc", *processor.linked)
    sources = (FIRMWARE / "count.c", *objects)
    run([f"{processor.prefix}-gcc", *processor.options, *options, *sources, "-o", program])
    return program


def counted(processor: Processor, program: Path, image: Path) -> Count:
    """What a firmware prints of an image."""
    loaded = f"loader,file={image},addr={processor.image:#x},force-raw=on"
    options_of_qemu = (
        "-icount",
        "shift=0",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-monitor",
        "none",
    )
    printed = run(
        [*processor.machine, *options_of_qemu, "-device", loaded, "-kernel", program]
    ).split()
    if len(printed) != PRINTED:
        typer.echo(f"the firmware printed {printed}", err=True)
        raise typer.Exit(1)
    return Count(*(int(word, 16) for word in printed))


def heq_caller(processor: Processor, folder: Path) -> Path:
    """firmware/encode_heq.c with the header of an exported folder, as an object."""
    made = folder / "caller.o"
    options = ("-std=c99", "-O2", f"-I{folder}", "-c", FIRMWARE / "encode_heq.c", "-o", made)
    run([f"{processor.prefix}-gcc", *processor.options, *options])
    return made


def measured(
    name: str, kernel: str, folder: Path, image: Path, pixels: int, coded: bytes
) -> dict[str, Any]:
    """A row of the table; ends the program where the file is another than Python's."""
    processor = PROCESSORS[name]
    small = flash(processor, compiled(processor, folder, kernel, "-Os"))
    made = compiled(processor, folder, kernel, "-O2")
    program = linked(processor, folder, [made, heq_caller(processor, folder)])
    count = counted(processor, program, image)
    if (count.status, count.file_bytes, count.crc) != (0, len(coded), zlib.crc32(coded)):
        typer.echo(f"{name}, {kernel}: other bytes than heqcodec.encode", err=True)
        raise typer.Exit(1)
    return {
        "processor": name,
        "kernel": kernel.lower(),
        "instructions_a_pixel": round(count.instructions / pixels, 1),
        "flash_O2": flash(processor, made),
        "flash_Os": small,
        "stack_O2": deepest_stack(made),
        "file_bytes": count.file_bytes,
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """First lines of what compilers and qemu say of themselves."""
    programs = {f"{PROCESSORS[name].prefix}-gcc" for name in names}
    programs |= {PROCESSORS[name].machine[0] for name in names}
    return {program: run([program, "--version"]).splitlines()[0] for program in sorted(programs)}


def main(
    image: Annotated[Path, typer.Option(help="Photograph; all of it is encoded.")],
    model: Annotated[str, typer.Option(help="Of `heqcodec models`, nqe-r or nqe-t.")] = "nqe-r",
    quality: Annotated[int, typer.Option("-q", help="Of nqe-r, 1 to 100.")] = 35,
    tune: Annotated[TuneName, typer.Option(help="Of nqe-r.")] = "psnr",
    bits: Annotated[int, typer.Option(help="Of nqe-t, of a patch.")] = 256,
    cpu: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PROCESSORS)}.")] = None,
    out: Annotated[Path | None, typer.Option(help="File of JSON for the table.")] = None,
) -> None:
    """Print sizes, and instructions a pixel."""
    import heqcodec
    from heqcodec.base.files import write_bytes
    from heqcodec.eval.folder import read_pixels
    from heqcodec.export.c_project import export_c
    from heqcodec.file.options import TUNES, step_of_quality
    from heqcodec.models import registry

    rate = registry.mode_of(model) == registry.RATE_MODE
    pixels = np.ascontiguousarray(read_pixels(image))
    coded = (
        heqcodec.encode(pixels, model=model, strip_metadata=True, quality=quality, tune=tune)
        if rate
        else heqcodec.encode(pixels, model=model, strip_metadata=True, bpp=bits / 1024)
    )
    names = cpu or DEFAULT
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "c"
        figures = export_c(model, folder)
        height, width = pixels.shape[:2]
        loaded = folder / "image.bin"
        setting = step_of_quality(quality) | TUNES.index(tune) << 10 if rate else bits
        head = struct.pack("<4I", width, height, setting, 0)
        loaded.write_bytes(head + pixels.tobytes())
        typer.echo(
            f"{model}, {figures['weight_bytes']:,} bytes of weights and tables of the model, "
            f"heq_encoder {figures['memory_bytes']:,} bytes"
        )
        for name in names:
            if lacking := [program for program in _tools(name) if shutil.which(program) is None]:
                typer.echo(f"{name}: skipped, {lacking[0]} is not installed")
                continue
            for kernel in KERNELS:
                row = measured(name, kernel, folder, loaded, height * width, coded)
                rows.append(row)
                typer.echo(
                    f"{name:14} {row['kernel']:9} {row['instructions_a_pixel']:8,.1f} instructions "
                    f"a pixel, {row['flash_O2']:,} bytes of flash (-Os {row['flash_Os']:,}), "
                    f"{row['stack_O2']:,} of stack, {row['file_bytes']:,} in the file"
                )
    if out:
        options = f"--model {model} " + (
            f"-q {quality} --tune {tune}" if rate else f"--bits {bits}"
        )
        table = {
            "command": f"python benchmarks/cortex_m.py --image {image.name} {options}",
            "heqcodec": heqcodec.__version__,
            "versions": versions(sorted({row["processor"] for row in rows})),
            "memory_bytes": figures["memory_bytes"],
            "weight_bytes": figures["weight_bytes"],
            "rows": rows,
        }
        write_bytes(out, (json.dumps(table, indent=1) + "\n").encode())


def _tools(name: str) -> tuple[str, str]:
    return f"{PROCESSORS[name].prefix}-gcc", PROCESSORS[name].machine[0]


if __name__ == "__main__":
    typer.run(main)
