"""The C compilers that tests use, and how strictly: warnings as errors, and sanitizers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
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
objects_folder = Path()
"""Where `build` keeps what it compiled: one folder of all processes of a session, see conftest."""
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


def sanitizer() -> str:
    """The last compiler whose sanitizers are here; skips the test where none has any."""
    having = [compiler for compiler in COMPILERS if _has_sanitizers(compiler)]
    if not having:
        pytest.skip("no compiler has sanitizers here")
    return having[-1]


@cache
def _has_sanitizers(compiler: str) -> bool:
    """Does a program link with them? clang finds its own in a package apart."""
    command = [compiler, *sanitized(compiler), "-x", "c", "-", "-o", os.devnull]
    return subprocess.run(command, input=b"int main(void) { return 0; }").returncode == 0


def build(compiler: str, flags: list[str], sources: list[Path], program: Path) -> Path:
    """Compile and link strictly; skips the test where the compiler has no sanitizers."""
    if any(flag.startswith("-fsanitize") for flag in flags) and not _has_sanitizers(compiler):
        pytest.skip(f"{compiler} has no sanitizers here")
    objects = [_compiled(compiler, flags, source) for source in sources]
    _run([compiler, *flags, *map(str, objects), "-o", str(program)])
    return program


def _compiled(compiler: str, flags: list[str], source: Path) -> Path:
    """The object file of a source, made once a session: it is named by a hash of the source, of the
    headers beside it and in folders of `-I`, and of the flags."""
    folders = [source.parent, *(Path(flag[2:]) for flag in flags if flag.startswith("-I"))]
    headers = {path.name: path for folder in folders for path in folder.glob("*.h")}
    options = [flag for flag in flags if not flag.startswith("-I")]
    made_of = hashlib.sha256(repr((compiler, options)).encode() + source.read_bytes())
    for name, path in sorted(headers.items()):
        made_of.update(name.encode() + path.read_bytes())
    target = objects_folder / f"{source.stem}-{made_of.hexdigest()[:16]}.o"
    if not target.exists():
        # Another process may compile the same: whoever is later replaces it by its equal.
        own = target.with_suffix(f".{os.getpid()}")
        _run([compiler, *STRICT, *flags, "-c", str(source), "-o", str(own)])
        own.replace(target)
    return target


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
