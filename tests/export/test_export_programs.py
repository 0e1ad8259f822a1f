"""heqenc as a program: nothing that was there is lost, and every error is a sentence."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from c_compilers import COMPILERS, build, needs_compiler
from command_runner import names
from heqcodec.export.c_project import READERS, export_c
from heqcodec.export.vectors import pnm, scene
from slow_cases import quick_first

pytestmark = needs_compiler
PIXELS = scene(70, 50, 3)
BEFORE = b"what was there"
SYSTEM, C99 = "heqenc", "heqenc-c99"


@pytest.fixture(scope="module", params=quick_first([SYSTEM, C99]))
def heqenc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with what the system has for files, and with what C99 has."""
    folder = tmp_path_factory.mktemp("programs") / "c"
    export_c("nqe-t", folder)
    flags = ["-U__unix__", "-U__APPLE__"] if request.param == C99 else []
    sources = [folder / name for name in ("heqenc.c", "heq_encoder.c", *READERS)]
    return build(COMPILERS[0], flags, sources, folder / request.param)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.ppm"
    path.write_bytes(pnm(PIXELS))
    return path


def failure(*command: str | Path) -> tuple[int, str]:
    """Exit code and what is said; nothing may be printed as a result."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("options", [[], ["-f"]])
def test_the_image_itself_is_never_written(heqenc: Path, photo: Path, options: list[str]) -> None:
    code, message = failure(heqenc, *options, photo, photo)
    assert code == 1 and message.count("\n") == 1 and "the image itself" in message
    assert photo.read_bytes() == pnm(PIXELS) and names(photo.parent) == ["photo.ppm"]


def test_another_name_of_the_image_is_known(photo: Path, heqenc: Path) -> None:
    link = photo.parent / "link.ppm"
    link.symlink_to(photo)
    code, message = failure(heqenc, photo, link)
    assert code == 1 and ("the image itself" in message or "there already" in message)
    assert photo.read_bytes() == pnm(PIXELS)


def test_a_file_is_replaced_when_asked_for(heqenc: Path, photo: Path) -> None:
    out = photo.parent / "out.heq"
    out.write_bytes(BEFORE)
    code, message = failure(heqenc, photo, out)
    assert code == 1 and message == f"heqenc: {out}: it is there already; -f replaces it.\n"
    assert out.read_bytes() == BEFORE
    assert failure(heqenc, "-f", photo, out) == (0, "")
    assert out.read_bytes() == heqcodec.encode(PIXELS, model="nqe-t", strip_metadata=True)
    assert names(photo.parent) == ["out.heq", "photo.ppm"]


def test_failures_keep_what_was_there(heqenc: Path, photo: Path) -> None:
    short, out = photo.parent / "short.ppm", photo.parent / "out.heq"
    short.write_bytes(pnm(PIXELS)[:-1])
    out.write_bytes(BEFORE)
    for image, options, said in (
        (short, ["-f"], "it ends before its last row."),
        (photo.parent / "none.ppm", ["-f"], "it cannot be read."),
        (photo.parent, ["-f"], "it cannot be read."),
        (photo, ["-f", "--bits", "65"], "has not that rate"),
        (photo, ["-f", "--gray"], "not every pixel is gray"),
    ):
        code, message = failure(heqenc, *options, image, out)
        assert code == 1 and said in message and message.count("\n") == 1
        assert out.read_bytes() == BEFORE
        assert names(photo.parent) == ["out.heq", "photo.ppm", "short.ppm"]


def test_a_full_disk_keeps_what_was_there(heqenc: Path, photo: Path) -> None:
    out = photo.parent / "out.heq"
    out.write_bytes(BEFORE)
    done = subprocess.run(
        [heqenc, "-f", photo, out],
        capture_output=True,
        text=True,
        restore_signals=False,  # SIGXFSZ stays ignored, so that writing fails
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60)),
    )
    assert done.returncode == 1 and "cannot be written" in done.stderr
    assert out.read_bytes() == BEFORE and names(photo.parent) == ["out.heq", "photo.ppm"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(heqenc: Path, tmp_path: Path, number: int) -> None:
    image, out = tmp_path / "image.ppm", tmp_path / "out.heq"
    out.write_bytes(BEFORE)
    os.mkfifo(image)
    command = [heqenc, "-f", image, out]
    with subprocess.Popen(command) as process, image.open("wb", buffering=0) as stream:
        stream.write(pnm(PIXELS)[:5000])  # it waits for the rest
        while not list(tmp_path.glob("*.part")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait() == -number
    assert out.read_bytes() == BEFORE and names(tmp_path) == ["image.ppm", "out.heq"]


def test_what_is_no_file_is_written_to(heqenc: Path, photo: Path) -> None:
    pipe = photo.parent / "pipe"
    os.mkfifo(pipe)
    if heqenc.name == C99:
        pytest.skip("C99 alone does not know a pipe from a file")
    with subprocess.Popen([heqenc, photo, pipe]) as process:
        assert pipe.read_bytes() == heqcodec.encode(PIXELS, model="nqe-t", strip_metadata=True)
        assert process.wait() == 0
    assert pipe.is_fifo() and names(photo.parent) == ["photo.ppm", "pipe"]
    assert failure(heqenc, photo, photo.parent)[0] == 1  # a folder


def test_help_and_usage_name_every_option(heqenc: Path, photo: Path) -> None:
    done = subprocess.run([heqenc, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    usage = done.stdout.splitlines()[0]
    for option in ("--bits N", "--strip-rows N", "--gray", "-f"):
        assert f"[{option}]" in usage and f"\n  {option} " in done.stdout
    for wrong in (
        ["--slow", photo, "x"],
        [photo],
        ["--bits"],
        [photo, "x", "y"],
        [photo, "--", "-f", "y"],
    ):
        code, message = failure(heqenc, *wrong)
        assert code == 2 and message.splitlines()[1:] == [usage]


def test_names_that_look_like_options(heqenc: Path, photo: Path) -> None:
    done = subprocess.run([heqenc, "--", "photo.ppm", "-f"], cwd=photo.parent)
    assert done.returncode == 0 and (photo.parent / "-f").stat().st_size > 40


@pytest.mark.parametrize("options", [[], ["--gray"]])
def test_gray_in_three_channels(heqenc: Path, tmp_path: Path, options: list[str]) -> None:
    pixels = scene(40, 50, 1).repeat(3, axis=2)
    image, out = tmp_path / "gray.ppm", tmp_path / "out.heq"
    image.write_bytes(pnm(pixels))
    assert failure(heqenc, *options, image, out) == (0, "")
    assert out.read_bytes() == heqcodec.encode(pixels, model="nqe-t", strip_metadata=True)
    back = heqcodec.decode(out)
    assert back.shape == pixels.shape and np.ptp(back, axis=2).max() == 0


def test_one_coloured_pixel_at_the_end_is_colour(heqenc: Path, tmp_path: Path) -> None:
    pixels = scene(40, 50, 1).repeat(3, axis=2)
    pixels[-1, -1, 2] ^= 1
    image, out = tmp_path / "nearly.ppm", tmp_path / "out.heq"
    image.write_bytes(pnm(pixels))
    assert failure(heqenc, image, out) == (0, "")
    assert out.read_bytes() == heqcodec.encode(pixels, model="nqe-t", strip_metadata=True)


def test_gray_from_a_pipe_is_what_the_caller_says(heqenc: Path, tmp_path: Path) -> None:
    pixels = scene(40, 50, 1).repeat(3, axis=2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for options, planes in ([], 3), (["--gray"], 1):
        out = tmp_path / f"{planes}.heq"
        with subprocess.Popen([heqenc, *options, pipe, out]) as process:
            pipe.write_bytes(pnm(pixels))
            assert process.wait() == 0
        assert heqcodec.info(out)["coded_channels"] == planes
