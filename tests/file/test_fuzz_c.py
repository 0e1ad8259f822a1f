"""The libFuzzer harnesses of the C sources: each builds, and a thousand mutants do no harm."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
RUNS = 1000


def harnesses() -> list[str]:
    named = re.search(r"^C_HARNESSES = (.*)$", (FUZZ / "Makefile").read_text("utf-8"), re.M)
    assert named is not None
    return named[1].split()


def has_libfuzzer(folder: Path) -> bool:
    source = folder / "probe.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)\n"
        "{\n    (void)data;\n    (void)size;\n    return 0;\n}\n"
    )
    command = ["clang", "-fsanitize=fuzzer,address,undefined", source, "-o", folder / "probe"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    if not (shutil.which("clang") and shutil.which("make") and has_libfuzzer(folder)):
        pytest.skip("there is no clang with libFuzzer, or no make")
    return folder / "build"


def make(build: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(FUZZ), f"BUILD={build}", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("harness", harnesses())
def test_a_thousand_mutants(build: Path, harness: str) -> None:
    done = make(build, f"RUNS={RUNS}", f"run-{harness}")
    assert done.returncode == 0, done.stderr[-3000:]
    executed = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    assert executed is not None and int(executed[1]) >= RUNS
    assert not any((build / "crashes").iterdir())


@pytest.mark.slow
def test_mutants_with_mended_checksums_reach_the_coders(build: Path, tmp_path: Path) -> None:
    """A coder that stops at a byte of a strip is found by mutants of golden files."""
    native = FUZZ.parents[1] / "codec" / "native"
    shutil.copytree(native, tmp_path / "native", ignore=shutil.ignore_patterns("*module*"))
    coder = tmp_path / "native" / "heq_device.c"
    was = "    if (strip->failed || strip->room > most) {"
    text = coder.read_text("utf-8")
    assert text.count(was) == 1
    wrong = "    if (strip->room > 1 && strip->in[0] == 0xC5) {\n        __builtin_trap();\n    }\n"
    coder.write_text(text.replace(was, wrong + was), encoding="utf-8")
    words = (f"NATIVE={tmp_path / 'native'}", f"RUNS={100 * RUNS}", "run-decode_file")
    done = make(tmp_path / "build", *words)
    assert done.returncode != 0 and "deadly signal" in done.stderr
    assert list((tmp_path / "build" / "crashes").iterdir())
