"""Does the exported encoder write the same bytes on other processors?

    python benchmarks/portability.py [--model nqe-r --model nqe-t] [--images DIR]

Exports each model, builds heqenc for every target whose cross compiler is here, runs its test
vectors (and small crops of the images of a folder) natively or by qemu, and compares files and
packets with those of Python. What is not installed is named and skipped. For Cortex-M the code is
also searched for multiplications and divisions, at every level of optimisation. Ends with exit code
1 when a file differs, a build fails or a multiplication is found. With --model nqe-vgg the scalar
kernel takes minutes of qemu's time for each target. Of a classifier (--model nqe-bsn) heqclass is
built, and all scores are compared.

On Debian: apt-get install gcc-i686-linux-gnu gcc-s390x-linux-gnu gcc-powerpc-linux-gnu
gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-riscv64-linux-gnu gcc-arm-none-eabi
libnewlib-arm-none-eabi qemu-user clang cmake
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")
FORBIDDEN = re.compile(r"\t(s?mul|mla|mls|sml|smm|smu|umu|uml|umaal|sdiv|udiv|v(mul|add|ldr|mov))")
CLASSIFIER = "heqclass.c"
PROGRAMS = ("heqenc.c", CLASSIFIER)
LISTED, EXPECTED = "list", "expected"
KERNELS = ("SCALAR", "MULTIPLY", "FAST")
LEVELS = ("-O1", "-O2", "-O3", "-Os")


@dataclass(frozen=True)
class Target:
    """A processor to build and run for.

    Attributes:
        name: for people.
        compiler: and its flags.
        emulator: that runs the program, nothing for this machine's own.
        fast: further flags for the fast kernel; None: the processor has no vectors.
        encoder: compiler of the encoder or classifier, where it is another than the program's.
    """

    name: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    fast: tuple[str, ...] | None = ()
    encoder: tuple[str, ...] = ()


TARGETS = (
    Target("this machine, gcc", ("gcc",)),
    Target("this machine, clang", ("clang",)),
    Target("x86, 32 bits, gcc -m32", ("gcc", "-m32"), fast=("-msse2",)),
    Target("x86, 32 bits, cross gcc", ("i686-linux-gnu-gcc", "-static"), fast=("-msse2",)),
    Target("s390x, big-endian", ("s390x-linux-gnu-gcc", "-static"), ("qemu-s390x",)),
    Target(
        "PowerPC, 32 bits, big-endian",
        ("powerpc-linux-gnu-gcc", "-static"),
        ("qemu-ppc", "-cpu", "7447A_v1.2"),
        fast=("-maltivec",),
    ),
    Target("AArch64, NEON", ("aarch64-linux-gnu-gcc", "-static"), ("qemu-aarch64",)),
    Target(
        "ARM, 32 bits, NEON",
        ("arm-linux-gnueabihf-gcc", "-static", "-mfpu=neon"),
        ("qemu-arm",),
    ),
    Target("RISC-V, 64 bits", ("riscv64-linux-gnu-gcc", "-static"), ("qemu-riscv64",)),
    # qemu-arm calls the host from code of the A profile alone: the encoder is compiled for the
    # microcontroller, the program around it is not.
    Target(
        "Cortex-M4",
        ("arm-none-eabi-gcc", "-march=armv7-a", "-mthumb", "--specs=rdimon.specs"),
        ("qemu-arm",),
        fast=None,
        encoder=("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
    ),
    Target(
        "Cortex-M0",
        ("arm-none-eabi-gcc", "-march=armv7-a", "-mthumb", "--specs=rdimon.specs"),
        ("qemu-arm",),
        fast=None,
        encoder=("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb"),
    ),
)
ARM_COMPILERS = (
    ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
    ("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb"),
    ("clang", "--target=arm-none-eabi", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"),
)


def lacking(*programs: str) -> str | None:
    """The first program that is not here."""
    return next((name for name in programs if shutil.which(name) is None), None)


def add_crops(model: str, images: Path, vectors: Path) -> None:
    """Crops of photographs as further test vectors."""
    import heqcodec
    from heqcodec.eval.folder import image_files, read_pixels
    from heqcodec.export.vectors import pnm
    from heqcodec.models import registry

    rate = registry.mode_of(model) == registry.RATE_MODE
    with (vectors / LISTED).open("a", encoding="ascii", newline="\n") as listed:
        for number, path in enumerate(image_files(images)):
            pixels = np.ascontiguousarray(read_pixels(path)[100:260, 200:360])
            quality, bits = (20, 45, 70)[number % 3], (64, 128, 256, 512)[number % 4]
            options = f"-q {quality}" if rate else f"--bits {bits}"
            coded = (
                heqcodec.encode(pixels, model=model, strip_metadata=True, quality=quality)
                if rate
                else heqcodec.encode(pixels, model=model, strip_metadata=True, bpp=bits / 1024)
            )
            (vectors / f"crop{number}.ppm").write_bytes(pnm(pixels))
            (vectors / f"crop{number}.heq").write_bytes(coded)
            listed.write(f"crop{number}.ppm crop{number}.heq {options}\n")


def add_small(name: str, images: Path, vectors: Path) -> None:
    """Photographs as a classifier sees them, as further test vectors."""
    from heqcodec.eval.folder import image_files, read_pixels
    from heqcodec.export.vectors import pnm
    from heqcodec.models.classifiers import as_seen, load_shipped

    classifier = load_shipped(name)
    with (vectors / EXPECTED).open("a", encoding="ascii", newline="\n") as listed:
        for number, path in enumerate(image_files(images)):
            pixels = as_seen(read_pixels(path))
            scores = classifier.network.scores(pixels[None])[0]
            (vectors / f"small{number}.ppm").write_bytes(pnm(pixels))
            reported = " ".join(map(str, scores.tolist()))
            listed.write(f"small{number}.ppm {classifier.classes[scores.argmax()]} {reported}\n")


def sources_of(folder: Path) -> tuple[str, list[Path]]:
    """The program of an exported folder, and the sources of its library."""
    program = next(name for name in PROGRAMS if (folder / name).exists())
    return program, sorted(folder.glob("heq_*.c"))


def cannot_build(target: Target, folder: Path) -> bool:
    """Is there a compiler without a C library?"""
    probe = folder / "probe.c"
    probe.write_text("#include <stdint.h>\n#include <stdio.h>\nint main(void) { return 0; }\n")
    command = [*target.compiler, str(probe), "-o", str(folder / "probe")]
    return subprocess.run(command, capture_output=True).returncode != 0


def try_target(target: Target, kernel: str, folder: Path) -> str | None:
    """Build and run all vectors. Returns what went wrong."""
    program = folder / "target"
    main_source, library = sources_of(folder)
    flags = (target.fast or ()) if kernel == "FAST" else ()
    options = (*STRICT, "-O2", *flags, f"-DHEQ_KERNEL_{kernel}", "-DHEQ_PACKETS", f"-I{folder}")
    compile_encoder = [*(target.encoder or target.compiler), *options, "-c"]
    commands, objects = [], []
    for source in library:
        made = str(source.with_suffix(".o"))
        objects.append(made)
        commands.append([*compile_encoder, str(source), "-o", made])
        if target.encoder:  # or the linker refuses to join two profiles
            attributes = ["--remove-section", ".ARM.attributes", made]
            commands.append(["arm-none-eabi-objcopy", *attributes])
    main = [*target.compiler, *options, str(folder / main_source), *objects, "-o", str(program)]
    for command in [*commands, main]:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return f"does not build: {done.stderr.strip()[-300:]}"
    run = (*target.emulator, str(program))
    vectors = folder / "vectors"
    return other_scores(run, vectors) if main_source == CLASSIFIER else other_files(run, vectors)


def other_scores(run: tuple[str, ...], vectors: Path) -> str | None:
    """What heqclass says of the images that should not be."""
    wanted = (vectors / EXPECTED).read_text("ascii").splitlines()
    images = [line.split()[0] for line in wanted]
    ran = subprocess.run([*run, *images], capture_output=True, text=True, cwd=vectors)
    if ran.returncode != 0:
        return ran.stderr.strip()[-300:] or str(ran.returncode)
    pairs = zip(wanted, ran.stdout.splitlines(), strict=True)
    return next((f"{reported}: OTHER SCORES" for line, reported in pairs if line != reported), None)


def other_files(run: tuple[str, ...], vectors: Path) -> str | None:
    """The first file of heqenc that is another than it should be."""
    out = vectors / "out.heq"
    for line in (vectors / LISTED).read_text("ascii").splitlines():
        image, expected, *options = line.split()
        out.unlink(missing_ok=True)
        ran = subprocess.run(
            [*run, *options, str(vectors / image), str(out)],
            capture_output=True,
            text=True,
        )
        if ran.returncode != 0:
            return f"{image} {' '.join(options)}: {ran.stderr.strip()[-300:] or ran.returncode}"
        if out.read_bytes() != (vectors / expected).read_bytes():
            return f"{image} {' '.join(options)}: OTHER BYTES"
    return None


def multiplications(compiler: tuple[str, ...], level: str, folder: Path) -> list[str]:
    """Lines of the machine code that multiply or divide, of the scalar kernel."""
    made = folder / "arm.o"
    # clang comes without a C library for ARM; these two functions are all that is needed of one.
    (folder / "freestanding").mkdir(exist_ok=True)
    (folder / "freestanding" / "string.h").write_text(
        "#include <stddef.h>\nvoid *memset(void *, int, size_t);\n"
        "void *memcpy(void *, const void *, size_t);\n"
    )
    system = (f"-I{folder / 'freestanding'}", "-ffreestanding")
    macros = ("-DHEQ_KERNEL_SCALAR", "-DHEQ_PACKETS")
    command = [*compiler, "-std=c99", *macros, level, *system]
    text = ""
    for source in sorted(folder.glob("heq_*.c")):
        subprocess.run(
            [*command, "-c", str(source), "-o", str(made)], check=True, capture_output=True
        )
        text += subprocess.run(
            ["arm-none-eabi-objdump", "-d", str(made)], capture_output=True, text=True, check=True
        ).stdout
    function, found = "", []
    for line in text.splitlines():
        if line.endswith(">:"):
            function = line.split("<")[1][:-2]
        elif FORBIDDEN.search(line):
            found.append(f"{function}: {' '.join(line.split()[2:])}")
    return found


def main(
    model: Annotated[list[str] | None, typer.Option(help="Model; nqe-r and nqe-t by default.")] = (
        None
    ),
    images: Annotated[Path | None, typer.Option(help="Folder whose crops are tried, too.")] = None,
    target: Annotated[str, typer.Option(help="Only those whose name begins so.")] = "",
) -> None:
    """Build, run and compare."""
    from heqcodec.export.c_project import export_c

    failed = False
    for name in model or ["nqe-r", "nqe-t"]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "c"
            export_c(name, folder)
            vectors = folder / "vectors"
            classifies = sources_of(folder)[0] == CLASSIFIER
            if images:
                (add_small if classifies else add_crops)(name, images, vectors)
            listed = (vectors / (EXPECTED if classifies else LISTED)).read_text("ascii")
            count = len(listed.splitlines())
            for one in TARGETS:
                if not one.name.startswith(target):
                    continue
                missing = lacking(one.compiler[0], *one.emulator[:1])
                if missing:
                    typer.echo(f"{name}, {one.name}: skipped, {missing} is not installed")
                    continue
                if cannot_build(one, folder):
                    typer.echo(f"{name}, {one.name}: skipped, its C library is not installed")
                    continue
                for kernel in KERNELS[: 2 if one.fast is None else 3]:
                    wrong = try_target(one, kernel, folder)
                    failed = failed or wrong is not None
                    reported = (
                        wrong
                        or f"{count} {'images, same scores' if classifies else 'files, same bytes'}"
                    )
                    typer.echo(f"{name}, {one.name}, {kernel.lower()}: {reported}")
            for compiler in ARM_COMPILERS:
                missing = lacking(compiler[0], "arm-none-eabi-gcc", "arm-none-eabi-objdump")
                if missing:
                    typer.echo(f"{name}, {' '.join(compiler)}: skipped, {missing} is missing")
                    continue
                for level in LEVELS:
                    found = multiplications(compiler, level, folder)
                    failed = failed or bool(found)
                    reported = f"{len(found)} multiplications or divisions"
                    typer.echo(f"{name}, {' '.join(compiler[:3])} {level}: {reported}")
                    for line in found:
                        typer.echo(f"    {line}")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
