"""Budgets and small buffers in the exported C: the files of Python, whole whatever comes."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from c_compilers import COMPILERS, build, needs_compiler, sanitized, sanitizer
from command_runner import run
from heqcodec.export.c_project import READERS
from heqcodec.export.vectors import pnm
from heqcodec.file import encoding, rate_control
from slow_cases import quick_first, slow
from small_models import photograph

pytestmark = needs_compiler
SUPPORT = Path(__file__).parents[1] / "support"
PHOTO = np.ascontiguousarray(photograph()[:209, :161])
NOISE = np.random.default_rng(3).integers(0, 256, (160, 320, 3), np.uint8)
QUALITY_45 = 552
FILLED = 0.97
FULL = 0.75  # of a buffer that is too small for a strip
CLOSE = 24


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("budget") / "c"
    assert run("export", "c", "--model", "nqe-r", "--out", folder).exit_code == 0
    return folder


@pytest.fixture(scope="module", params=quick_first(COMPILERS))
def harness(request: pytest.FixtureRequest, exported: Path) -> Path:
    """The harness under the sanitizers of each compiler, of each another kernel."""
    kernel = "FAST" if request.param == "gcc" else "SCALAR"
    flags = [*sanitized(request.param), f"-DHEQ_KERNEL_{kernel}", "-DHEQ_PACKETS"]
    flags += [f"-I{exported}"]
    flags += ["-O1"] if request.param == "clang" else []  # there are many patches to code
    sources = [SUPPORT / "budget_harness.c", exported / "heq_encoder.c"]
    return build(request.param, flags, sources, exported / f"budget-{request.param}")


def coded(
    harness: Path,
    pixels: np.ndarray,
    how: str,
    rows: int,
    budget: int,
    room: int,
    *more: str,
) -> tuple[bytes, int]:
    """The file, and how many strips were not sent."""
    height, width = pixels.shape[:2]
    numbers = (width, height, QUALITY_45, rows, budget, room)
    command = [str(harness), how, *map(str, numbers), *more]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    unsent, coarse = map(int, done.stderr.split())
    assert coarse == 0 or how != "whole" or "progressive" in more
    return done.stdout, unsent


@pytest.mark.parametrize("budget", [180, 2_500, *map(slow, (700, 9_000, 200_000))])
@pytest.mark.parametrize("pixels", [PHOTO, NOISE], ids=["photograph", "noise"])
def test_budgets_give_the_files_of_python(harness: Path, pixels: np.ndarray, budget: int) -> None:
    data, unsent = coded(harness, pixels, "rows", 0, budget, 1 << 17)
    assert data == heqcodec.encode(pixels, budget=budget)
    assert len(data) <= budget and unsent == len(heqcodec.info(data)["unsent_strips"])
    if pixels is PHOTO and budget in (2_500, 9_000):
        assert len(data) >= FILLED * budget


@pytest.mark.parametrize(
    ("budget", "room"), quick_first([(6_000, 900), (6_000, 200), (20_000, 2_048)])
)
def test_a_small_buffer_limits_each_strip(
    harness: Path, monkeypatch: pytest.MonkeyPatch, budget: int, room: int
) -> None:
    limited = functools.partial(rate_control.controlled, strip_room=room)
    monkeypatch.setattr(encoding, "controlled", limited)
    for pixels in (PHOTO, NOISE):
        data, _ = coded(harness, pixels, "whole", 1, budget, room)
        assert data == heqcodec.encode(pixels, budget=budget)
        assert max(_lengths(data)) <= room


@pytest.mark.parametrize("pixels", [NOISE, PHOTO], ids=["noise", "photograph"])
@pytest.mark.parametrize("rows", quick_first([2, 0, 3]))
def test_strips_of_several_rows_are_coded_coarser(
    harness: Path, pixels: np.ndarray, rows: int
) -> None:
    """Where the whole image is there; with enough room the file is that of Python."""
    room = 2_048 if pixels is NOISE else 500
    data, unsent = coded(harness, pixels, "whole", rows, 0, room)
    facts = heqcodec.info(data)
    assert unsent == 0 and facts["unsent_strips"] == [] and facts["strip_rows"] == (rows or 4)
    assert max(facts["steps"]) > QUALITY_45 and max(_lengths(data)) <= room
    assert heqcodec.decode(data, decoder="plain").shape == pixels.shape
    data, _ = coded(harness, pixels, "whole", rows, 0, 1 << 17)
    assert data == heqcodec.encode(pixels, quality=45, strip_rows=rows or None)
    # By rows as they come it cannot be, since those before are gone: patches lose fine detail.
    data, unsent = coded(harness, pixels, "rows", rows or 4, 0, room)
    facts = heqcodec.info(data)
    assert unsent == 0 and set(facts["steps"]) == {QUALITY_45} and max(_lengths(data)) <= room


@pytest.mark.parametrize("how", quick_first(["rows", "whole"]))
def test_noise_and_a_buffer_of_two_kilobytes(harness: Path, how: str) -> None:
    """No strip is lost: each is coded coarser, and the others are what they would be."""
    data, unsent = coded(harness, NOISE, how, 1, 0, 2_048)
    facts = heqcodec.info(data)
    assert unsent == 0 and facts["unsent_strips"] == []
    assert min(facts["steps"]) > QUALITY_45 and max(_lengths(data)) <= 2_048
    assert heqcodec.decode(data, decoder="plain").shape == NOISE.shape
    mixed = NOISE.copy()
    mixed[:64] = 90
    steps = heqcodec.info(coded(harness, mixed, how, 1, 0, 2_048)[0])["steps"]
    assert steps[:2] == [QUALITY_45] * 2 and min(steps[2:]) > QUALITY_45


@pytest.mark.parametrize("pixels", [NOISE, PHOTO], ids=["noise", "photograph"])
@pytest.mark.parametrize("rows", [1, 2])
def test_patches_lose_fine_detail_where_there_is_no_room(
    harness: Path, pixels: np.ndarray, rows: int
) -> None:
    """Of patches that come once: all strips are there, and full, and spelled as any other."""
    room = (2_048 if pixels is NOISE else 300) * rows
    mixed = pixels.copy()
    mixed[:64] = 90
    data, unsent = coded(harness, mixed, "patches", rows, 0, room)
    facts = heqcodec.info(data)
    assert unsent == 0 and set(facts["steps"]) == {QUALITY_45}
    lengths = _lengths(data)
    assert FULL * room < max(lengths) <= room
    whole = heqcodec.encode(mixed, quality=45, strip_rows=rows)
    assert max(_lengths(whole)) > room
    first = 44 + 12 + lengths[0]  # the header and a strip that fits
    assert data[:first] == whole[:first]
    assert heqcodec.unpack(heqcodec.pack(data)) == data
    shown, wanted = (heqcodec.decode(file, decoder="plain").astype(float) for file in (data, whole))
    assert np.abs(shown[:60] - 90).max() <= 1
    means = [
        image[64:128, :128].reshape(4, 16, 8, 16, 3).mean(axis=(1, 3)) for image in (shown, wanted)
    ]
    assert np.abs(means[0] - means[1]).max() < CLOSE


@pytest.mark.parametrize(
    ("kernel", "checks"), quick_first([("SCALAR", False), ("SCALAR", True), ("FAST", True)])
)
def test_a_firmware_says_how_wide_images_are(exported: Path, kernel: str, checks: bool) -> None:
    """It then takes less memory for the row above, and no wider ones."""
    compiler = sanitizer() if checks else COMPILERS[0]
    flags = [*(sanitized(compiler) if checks else []), f"-I{exported}", f"-DHEQ_KERNEL_{kernel}"]
    flags += ["-DHEQ_MAX_WIDTH=161", "-DHEQ_PACKETS"]
    sources = [SUPPORT / "budget_harness.c", exported / "heq_encoder.c"]
    narrow = build(compiler, flags, sources, exported / "budget-narrow")
    for rows in (1, 4):
        data, _ = coded(narrow, PHOTO, "whole", rows, 0, 1 << 17)
        assert data == heqcodec.encode(PHOTO, quality=45, strip_rows=rows)
    wider = [str(narrow), "whole", "162", "32", str(QUALITY_45), "1", "0", "9999"]
    done = subprocess.run(wider, input=NOISE.tobytes(), capture_output=True)
    assert done.returncode == 1 and not done.stdout


def test_coarse_patches_are_counted(harness: Path) -> None:
    """As many as have no level beyond the groups that they were left."""
    command = [str(harness), "patches", "320", "160", str(QUALITY_45), "1", "0"]
    for room, all_of_them in ((1 << 17, 0), (40, 50)):
        done = subprocess.run([*command, str(room)], input=NOISE.tobytes(), capture_output=True)
        assert done.returncode == 0 and done.stderr.split() == [b"0", b"%d" % all_of_them]


def test_a_buffer_of_nothing(harness: Path) -> None:
    data, unsent = coded(harness, PHOTO, "rows", 1, 0, 0)
    assert unsent == 7 and len(heqcodec.info(data)["unsent_strips"]) == 7


@pytest.mark.parametrize("how", quick_first(["rows", "patches", "whole"]))
@pytest.mark.parametrize("rows", [0, 1])
def test_progressive_files_are_those_of_python(harness: Path, how: str, rows: int) -> None:
    for pixels in (PHOTO, NOISE):
        data, unsent = coded(harness, pixels, how, rows, 0, 1 << 17, "progressive")
        assert unsent == 0
        wanted = heqcodec.encode(pixels, quality=45, strip_rows=rows or None, progressive=True)
        assert data == wanted


@pytest.mark.parametrize("tune", ["psnr", "ssim", "texture"])
def test_tuned_files_are_those_of_python(harness: Path, tune: str) -> None:
    number = ("psnr", "ssim", "texture").index(tune)
    data, _ = coded(harness, PHOTO, "rows", 1, 0, 1 << 17, str(number))
    assert data == heqcodec.encode(PHOTO, quality=45, strip_rows=1, tune=tune)  # type: ignore[arg-type]
    budget, _ = coded(harness, PHOTO, "rows", 1, 9_000, 1 << 17, str(number))
    assert budget == heqcodec.encode(PHOTO, budget=9_000, tune=tune)  # type: ignore[arg-type]


def test_there_is_no_fourth_tune(harness: Path) -> None:
    command = [str(harness), "whole", "161", "209", "552", "1", "0", "131072", "3"]
    done = subprocess.run(command, input=PHOTO.tobytes(), capture_output=True)
    assert done.returncode == 1 and not done.stdout


def test_a_small_buffer_leaves_a_progressive_file_coarse(harness: Path) -> None:
    """Of noise the second parts do not fit in full: the first ones do, and show it."""
    data, unsent = coded(harness, NOISE, "whole", 1, 0, 2_048, "progressive")
    lengths = _lengths(data)
    assert unsent == 0 and max(lengths) <= 2_048 and min(lengths[5:]) > FULL * 2_048
    whole = heqcodec.encode(NOISE, quality=45, strip_rows=1, progressive=True)
    assert lengths[:5] == _lengths(whole)[:5] and min(_lengths(whole)[5:]) > 2_048
    shown = heqcodec.decode(data, decoder="plain").astype(float)
    blocks = [image[:160].reshape(20, 8, 40, 8, 3).mean(axis=(1, 3)) for image in (shown, NOISE)]
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.7


def test_heqenc_reads_an_image_twice(exported: Path, tmp_path: Path) -> None:
    sources = [exported / name for name in ("heqenc.c", "heq_encoder.c", *READERS)]
    heqenc = build(COMPILERS[0], [], sources, tmp_path / "heqenc")
    photo, out = tmp_path / "photo.ppm", tmp_path / "out.heq"
    photo.write_bytes(pnm(PHOTO))
    command = [str(heqenc), "-q", "45", "--progressive", str(photo), str(out)]
    subprocess.run(command, check=True)
    assert out.read_bytes() == heqcodec.encode(PHOTO, quality=45, progressive=True)
    tuned = [str(heqenc), "-q", "45", "--tune", "ssim", "-f", str(photo), str(out)]
    subprocess.run(tuned, check=True)
    assert out.read_bytes() == heqcodec.encode(PHOTO, quality=45, tune="ssim")
    wrong = subprocess.run([*tuned[:4], "film", *tuned[5:]], capture_output=True)
    assert wrong.returncode == 2 and b"it takes psnr, ssim or texture" in wrong.stderr
    with subprocess.Popen(
        [*command[:4], "-f", "/dev/stdin", str(out)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as piped:
        said = piped.communicate(pnm(PHOTO))[1].decode()
    assert piped.returncode == 1 and "give a file, not a pipe" in said


def test_a_progressive_file_has_no_budget(harness: Path) -> None:
    command = [str(harness), "whole", "161", "209", "552", "1", "9000", "131072", "progressive"]
    done = subprocess.run(command, input=PHOTO.tobytes(), capture_output=True)
    assert done.returncode == 1 and not done.stdout


def test_room_by_formula_holds_noise(exported: Path, harness: Path) -> None:
    """HEQ_PAYLOAD_MAX is never too little, at the ends of what samples may be."""
    header = (exported / "heq_encoder.h").read_text("utf-8")
    found = re.search(r"define HEQ_PAYLOAD_MAX\(width, quality\) (.*)", header)
    assert found
    formula = re.sub(r"(\d)u", r"\1", found[1])
    random = np.random.default_rng(1)
    kinds = (
        random.choice(np.array([0, 255], np.uint8), (64, 96, 3)),
        random.integers(0, 256, (64, 96, 3), np.uint8),
        np.tile(np.uint8([[0, 255, 0], [255, 0, 255]]), (64, 48, 1)),
    )
    for quality in (1, 20, 45, 70, 100):
        room = eval(formula, {"width": 96, "quality": quality})
        for pixels in kinds:
            command = [str(harness), "patches", "96", "64", str(912 - 8 * quality), "1", "0"]
            done = subprocess.run(
                [*command, str(room)], input=pixels.tobytes(), capture_output=True, check=True
            )
            assert done.stderr.split() == [b"0", b"0"]
            assert max(_lengths(done.stdout)) <= room
    # And is not many times what is needed.
    assert max(_lengths(done.stdout)) > 0 and room < 40 * 96 * 32


def _lengths(data: bytes) -> list[int]:
    """Bytes of the payloads of a file."""
    place, found = 44, []
    while data[place : place + 4] != b"END_":
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        found.append(length)
        place += 12 + length
    return found
