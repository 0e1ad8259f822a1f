"""Rows of what sensors deliver in the exported C: the files of Python by each function."""

from __future__ import annotations

import subprocess
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from c_compilers import ARM, build, needs_compiler, sanitized, sanitizer
from c_toolchains import FORBIDDEN, arm_code
from command_runner import run
from heqcodec.export.c_project import READERS
from raw_dumps import KINDS, dump
from slow_cases import quick_first, slow
from small_models import photograph

pytestmark = needs_compiler
SUPPORT = Path(__file__).parents[1] / "support"
PHOTO = np.ascontiguousarray(photograph()[100:177, 60:159])  # three rows of four patches
RATES = {"nqe-r": ("-q 45", {"quality": 45}), "nqe-t": ("--bits 256", {"bpp": 0.25})}


@pytest.fixture(scope="module", params=quick_first(["nqe-r", "nqe-t"]))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers") / request.param
    assert run("export", "c", "--model", request.param, "--out", folder).exit_code == 0
    return folder


@pytest.fixture(scope="module", params=quick_first(["FAST", "SCALAR", "MULTIPLY"]))
def harness(request: pytest.FixtureRequest, exported: Path) -> Path:
    """The harness of readers under the sanitizers, of clang where it is there."""
    compiler = sanitizer()
    flags = [*sanitized(compiler), f"-DHEQ_KERNEL_{request.param}"]
    flags += ["-DHEQ_PACKETS", f"-I{exported}"]
    sources = [SUPPORT / "readers_harness.c"]
    sources += [exported / name for name in ("heq_encoder.c", *READERS)]
    return build(compiler, flags, sources, exported / f"readers-{request.param}")


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_python(exported: Path, harness: Path, kind: str) -> None:
    """As a whole, and by bands of rows in buffers that hold these and what is needed around."""
    rate, options = (552, {"quality": 45}) if exported.name == "nqe-r" else (256, {"bpp": 0.25})
    padding = KINDS.index(kind) % 3 * 6
    data, raw = dump(PHOTO, kind, padding)
    wanted = heqcodec.encode(data, raw=raw, model=exported.name, **options)  # type: ignore[arg-type]
    for how in ("whole", "rows", "patches"):
        done = subprocess.run([harness, how, raw, str(rate)], input=data, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == wanted, how


@pytest.fixture(scope="module")
def heqenc(exported: Path) -> Path:
    compiler = sanitizer()
    flags = [*sanitized(compiler), "-DHEQ_KERNEL_FAST", "-DHEQ_PACKETS", f"-I{exported}"]
    sources = [exported / name for name in ("heqenc.c", "heq_encoder.c", *READERS)]
    return build(compiler, flags, sources, exported / "heqenc-raw")


@pytest.mark.parametrize("size", [(33, 35), *map(slow, [(1, 1), (2, 3), (70, 34)])])
def test_the_program_takes_dumps_of_every_size(
    exported: Path, heqenc: Path, size: tuple[int, int], tmp_path: Path
) -> None:
    option, options = RATES[exported.name]
    for kind in KINDS:
        data, raw = dump(PHOTO[: size[0], : size[1]], kind)
        frame, out = tmp_path / "frame.raw", tmp_path / "out.heq"
        frame.write_bytes(data)
        subprocess.run([heqenc, "-f", *option.split(), "--raw", raw, frame, out], check=True)
        wanted = heqcodec.encode(data, raw=raw, model=exported.name, **options)  # type: ignore[arg-type]
        assert out.read_bytes()[11] in (1, 3)  # it looks for no gray
        if wanted[11] in (1, 3):
            assert out.read_bytes() == wanted, kind


def test_the_program_refuses_what_python_refuses(
    exported: Path, heqenc: Path, tmp_path: Path
) -> None:
    frame, out = tmp_path / "frame.raw", tmp_path / "out.heq"
    frame.write_bytes(bytes(31))
    for raw, code in (
        ("4x:rgb565", 2), ("0x4:rgb565", 2), ("4x4:rgb556", 2), ("4x4:rgb565:limited", 2),
        ("4x4:rgb565:stride=7", 2), ("4x4:srggb8:black=256", 2), ("4x4:srggb9", 2),
        ("4x4:srggb8:gain=0/1/1", 2), ("4x4:srggb16p", 2), ("4x4:nv12:bilinear", 2),
        ("4x4:rgb565", 1), ("4x3:rgb565:stride=11", 1),
    ):  # fmt: skip
        done = subprocess.run([heqenc, "--raw", raw, frame, out], capture_output=True, text=True)
        assert done.returncode == code and "heqenc: " in done.stderr, raw
        assert not out.exists()
        with pytest.raises(heqcodec.HeqError):
            heqcodec.encode(frame, raw=raw)


@pytest.mark.skipif(ARM is None, reason="there is no arm-none-eabi-gcc")
@pytest.mark.parametrize("level", quick_first(["-O2", "-O1", "-O3", "-Os"]))
@pytest.mark.parametrize("source", READERS)
def test_no_multiplication_for_arm(exported: Path, source: str, level: str) -> None:
    if exported.name != "nqe-r":
        pytest.skip("readers are the same for every model")
    made = exported / f"{source}{level}.o"
    text = arm_code(exported / source, made, level)
    assert text.count("\n") > 50
    assert [line for line in text.splitlines() if FORBIDDEN.search(line)] == []
    needed = subprocess.run(
        ["arm-none-eabi-nm", "-u", made], capture_output=True, text=True, check=True
    ).stdout
    assert needed.strip() == ""
