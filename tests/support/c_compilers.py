"""The C compilers that tests use, and how strictly: warnings as errors, and sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
ARM = shutil.which("arm-none-eabi-gcc")
STRICT = [
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wpedantic",
    "-Werror",
]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")


def sanitized(compiler: str) -> list[str]:
    """Flags of all sanitizers that the sources pass.

    clang finds what gcc does not: pointers that leave the row of an array, and conversions that
    lose a value. Unsigned numbers that wrap are meant to, so `integer` as a whole is not asked for.
    What optimizers do to so many checks takes seconds; the little of it that counts is asked for.
    """
    checks = "address,undefined"
    if compiler == "clang":
        checks += ",implicit-conversion,local-bounds"
    level = "-O0" if compiler == "clang" else "-Og"
    return ["-g1", level, f"-fsanitize={checks}", "-fno-sanitize-recover=all"]


def build(compiler: str, flags: list[str], sources: list[Path], program: Path) -> Path:
    """Compile and link strictly; skips the test where the compiler has no sanitizers."""
    command = [compiler, *STRICT, *flags, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip(f"{compiler} has no sanitizers here")
    assert done.returncode == 0, done.stderr
    return program
