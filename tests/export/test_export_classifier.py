"""A classifier as C: the scores of Python, under strict compilers, no forbidden instruction."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from adversarial import adversarial_patches
from c_compilers import ARM, COMPILERS, build, needs_compiler, sanitized
from c_toolchains import FORBIDDEN, arm_code
from command_runner import names, run
from heqcodec.export.vectors import pnm, scene
from heqcodec.models import classifiers
from heqcodec.models.classifiers import ShippedClassifier
from heqcodec.nqe_vgg.classifier import CODE_BITS, IntegerClassifier
from sample_vgg import random_encoder
from slow_cases import quick_first

pytestmark = needs_compiler
HEAD_CLASSES = 7


def some_classifier() -> ShippedClassifier:
    """Random weights and an odd number of classes."""
    random = np.random.default_rng(8)
    weight = random.integers(-127, 128, (HEAD_CLASSES, CODE_BITS)).astype(np.int8)
    bias = random.integers(-(2**20), 2**20, HEAD_CLASSES).astype(np.int32) // 1000
    network = IntegerClassifier(random_encoder(6), weight, bias, 0.01)
    named = tuple(f"kind{index}" for index in range(HEAD_CLASSES))
    return ShippedClassifier("other", network, named, {"protocol": "random", "accuracy": 10.0})


@pytest.fixture(scope="module", params=quick_first(["nqe-bsn", "other"]))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ShippedClassifier, Path]]:
    """The shipped classifier and one that nothing can know, with their folders."""
    folder = tmp_path_factory.mktemp("exported") / "c"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "other":
            made = some_classifier()
            patch.setattr(classifiers, "index", lambda: {"classifiers": {"other": {}}})
            patch.setattr(classifiers, "load_shipped", lambda name: made)
        else:
            made = classifiers.load_shipped("nqe-bsn")
        result = run("export", "c", "--model", request.param, "--out", folder)
        assert result.exit_code == 0, result.stderr
        assert "bytes of weights" in result.stderr
        yield made, folder


def built(folder: Path, compiler: str, flags: list[str], program: str) -> Path:
    sources = [folder / name for name in ("heqclass.c", "heq_classifier.c")]
    return build(compiler, flags, sources, folder / program)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["SCALAR", "FAST"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_scores_are_those_of_python(
    exported: tuple[ShippedClassifier, Path], compiler: str, kernel: str, tmp_path: Path
) -> None:
    classifier, folder = exported
    flags = [*sanitized(compiler), f"-DHEQ_KERNEL_{kernel}"]
    flags += ["-O2"] if kernel == "SCALAR" else []
    program = built(folder, compiler, flags, f"heqclass-{compiler}-{kernel}")
    images = [*adversarial_patches(3, 5)[::4], scene(32, 32, 3), scene(32, 32, 1)]
    files = []
    for index, pixels in enumerate(images):
        files.append(tmp_path / f"{index:02d}.pnm")
        files[-1].write_bytes(pnm(pixels))
    reported = subprocess.run([program, *files], check=True, capture_output=True, text=True).stdout
    assert len(images) > 5 and reported.count("\n") == len(images)
    for line, pixels, file in zip(reported.splitlines(), images, files, strict=True):
        path, name, *scores = line.split()
        wanted = classifier.network.scores(np.asarray(pixels)[None])[0]
        assert path == str(file) and [int(score) for score in scores] == wanted.tolist()
        assert name == classifier.classes[int(wanted.argmax())]


@pytest.mark.parametrize("compiler", quick_first(COMPILERS))
def test_make_test(exported: tuple[ShippedClassifier, Path], compiler: str) -> None:
    folder = exported[1]
    command = ["make", "-C", str(folder), "test", f"CC={compiler}", "CFLAGS=-O0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "all scores as expected" in done.stdout, done.stderr
    expected = folder / "vectors" / "expected"
    kept = expected.read_text()
    expected.write_text(kept.replace("1", "2", 1))
    try:
        assert subprocess.run(command, capture_output=True).returncode != 0
    finally:
        expected.write_text(kept)
        subprocess.run(["make", "-C", str(folder), "clean"], check=True, capture_output=True)


def test_heqclass_says_what_is_wrong(
    exported: tuple[ShippedClassifier, Path], tmp_path: Path
) -> None:
    program = built(exported[1], COMPILERS[0], [], "heqclass-plain")
    good = pnm(scene(32, 32, 3))
    for name, data, reported in (
        ("a", b"", "not a binary PPM"),
        ("b", pnm(scene(31, 32, 3)), "32 x 32 pixels"),
        ("c", good[:-1], "it ends before its last row"),
        ("d", good.replace(b"255", b"65535", 1), "8 bits"),
    ):
        (tmp_path / name).write_bytes(data)
        done = subprocess.run([program, tmp_path / name], capture_output=True, text=True)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"heqclass: {tmp_path / name}: ") and reported in done.stderr
    (tmp_path / "good").write_bytes(good)
    both = subprocess.run([program, tmp_path / "none", tmp_path / "good"], capture_output=True)
    assert both.returncode == 1 and both.stdout.count(b"\n") == 1
    for wrong in ([], ["-x"]):
        done = subprocess.run([program, *wrong], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.endswith("\nusage: heqclass [--] IMAGE...\n")
    reported = subprocess.run([program, "--help"], capture_output=True, text=True)
    assert reported.returncode == 0 and reported.stdout.startswith("usage: heqclass")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([program, tmp_path / "good"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"cannot be written" in done.stderr


@pytest.mark.skipif(ARM is None, reason="there is no arm-none-eabi-gcc")
def test_no_multiplication_for_arm(exported: tuple[ShippedClassifier, Path]) -> None:
    folder = exported[1]
    text = arm_code(folder / "heq_classifier.c", folder / "arm.o", "-O2")
    assert text.count("\n") > 500
    assert [line for line in text.splitlines() if FORBIDDEN.search(line)] == []


def test_files_and_limits(exported: tuple[ShippedClassifier, Path]) -> None:
    classifier, folder = exported
    kept = {"CMakeLists.txt", "Makefile", "heq_classifier.c", "heq_classifier.h"}
    assert kept | {"heq_pnm.h", "heqclass.c", "vectors"} <= set(names(folder))
    header = (folder / "heq_classifier.h").read_text("utf-8")
    code = (folder / "heq_classifier.c").read_text("utf-8")
    assert "@" not in header and f"#define HEQ_CLASSES {classifier.network.classes}" in header
    for was, now in (("<= 131072", "<= 1310"), ("<= HEQ_CLASSIFIER_BYTES", "<= 1000")):
        assert code.count(was) == 1
        small = folder / "small.c"
        small.write_text(code.replace(was, now), encoding="utf-8")
        done = subprocess.run(
            [COMPILERS[0], "-std=c99", "-fsyntax-only", small], capture_output=True, text=True
        )
        assert "negative" in done.stderr
    assert max(map(len, (code + header).splitlines())) <= 100
