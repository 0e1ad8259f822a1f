"""``heqcodec eval run`` over cheap codecs: what it writes, and that it loses and mixes nothing."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import light_codecs
import numpy as np
import pytest
from heqcodec.cli.eval import app
from heqcodec.cli.eval.ladders import read_request
from heqcodec.eval import baselines
from heqcodec.eval.folder import data_hash, image_files, read_pixels
from heqcodec.eval.measure import measure
from heqcodec.eval.rows import read_table
from heqcodec.eval.store import JOURNAL
from PIL import Image
from typer.testing import CliRunner

UNLIKE = ("encode_seconds", "decode_seconds", "encode_peak_bytes", "decode_peak_bytes")
UNLIKE_MEANS = (
    "encode_peak_bytes",
    "decode_peak_bytes",
    "megapixels_per_second_encode",
    "megapixels_per_second_decode",
)
POSIX = pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
Run = Callable[..., Any]


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """A smooth image with some texture."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int32)
    return np.clip(smooth + rng.integers(-9, 10, smooth.shape), 0, 240).astype(np.uint8)


def make_images(folder: Path) -> Path:
    """Three images in colour, one large enough for MS-SSIM, and a grey one."""
    folder.mkdir()
    for seed, (height, width) in enumerate([(176, 168), (64, 96), (40, 33)]):
        Image.fromarray(picture(seed, height, width)).save(folder / f"{seed}.png")
    Image.fromarray(picture(9, 50, 70)[:, :, 0]).save(folder / "grey.png")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_images(tmp_path / "images")


@contextmanager
def light_registry() -> Iterator[None]:
    """Cheap codecs in the place of those that there are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in light_codecs.REPLACED:
            patch.setattr(baselines, name, getattr(light_codecs, name))
        yield


@pytest.fixture
def run(images: Path, tmp_path: Path) -> Iterator[Run]:
    """Run the command on the images in this process; its workers are processes of their own."""

    def call(*options: str, codecs: tuple[str, ...] = ("light-jpeg",), out: str = "out") -> Any:
        named = [word for name in codecs for word in ("--codec", name)]
        folders = ["--data", str(images), "--out", str(tmp_path / out)]
        return CliRunner().invoke(app, ["run", *folders, *named, *options])

    with light_registry():
        yield call


@pytest.fixture(scope="module")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, and the results of light-jpeg on them."""
    folder = tmp_path_factory.mktemp("finished")
    make_images(folder / "images")
    command = ["run", "--data", str(folder / "images"), "--out", str(folder / "out")]
    with light_registry():
        made = CliRunner().invoke(app, [*command, "--codec", "light-jpeg", "--jobs", "1"])
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def finished(finished_folder: Path, images: Path, tmp_path: Path) -> Path:
    """A copy of these results; ``images`` are the same images."""
    return shutil.copytree(finished_folder / "out", tmp_path / "out")


def table(folder: Path) -> list[dict[str, str]]:
    """The rows without what no two runs have alike."""
    with open(folder / "images.csv", newline="") as stream:
        return [
            {name: cell for name, cell in row.items() if name not in UNLIKE}
            for row in csv.DictReader(stream)
        ]


def curve(folder: Path, codec: str) -> dict[str, Any]:
    """The curve of a codec without what no two runs have alike."""
    document = json.loads((folder / f"{codec}.json").read_text())
    for name in ("encoding_time", "decoding_time"):
        del document["results"][name]
    for name in (*UNLIKE_MEANS, "command", "processes"):
        del document["heqcodec"][name]
    return document


def bare(rows: list[Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in asdict(row).items() if k not in UNLIKE} for row in rows]


class TestResults:
    def test_are_of_real_files(self, run: Run, images: Path, tmp_path: Path) -> None:
        result = run("--jobs", "2", codecs=("light-noise", "light-jpeg"))
        assert result.exit_code == 0, result.output
        rows = read_table(tmp_path / "out" / "images.csv")
        expected = []
        for codec in (light_codecs.LightJpeg(), light_codecs.LightNoise()):
            for setting in codec.settings:
                for path in image_files(images):
                    np.random.seed(0)
                    coded = tmp_path / f"here{codec.suffix}"
                    expected.append(measure(codec, setting, path.name, read_pixels(path), coded))
        assert bare(rows) == bare(expected)
        document = json.loads((tmp_path / "out" / "light-jpeg.json").read_text())
        points = [[row for row in rows if row.codec == "light-jpeg"][i : i + 4] for i in (0, 4, 8)]
        assert document["results"]["bpp"] == [
            pytest.approx(np.mean([row.bpp for row in point])) for point in points
        ]
        assert document["heqcodec"]["settings"] == [5.0, 20.0, 60.0]
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "images.csv",
            "light-jpeg.json",
            "light-noise.json",
        ]
        assert "light-noise" in result.stdout
        assert f"{document['results']['psnr-rgb'][2]:.2f}" in result.stdout

    def test_say_how_they_were_made(self, run: Run, images: Path, tmp_path: Path) -> None:
        run("--jobs", "1", "--setting", "light-jpeg=30", codecs=("light-jp*",))
        text = (tmp_path / "out" / "light-jpeg.json").read_text()
        own = json.loads(text)["heqcodec"]
        assert own["command"] == (
            "heqcodec eval run --data images --codec 'light-jp*' --setting light-jpeg=30 "
            "--out out --jobs 1"
        )
        assert own["data"] == {"images": 4, "sha256": data_hash(image_files(images))}
        assert own["codec_version"] == "light 1"
        assert own["seed"] == 0
        assert (own["threads"], own["processes"]) == (1, 1)
        assert {"python", "heqcodec", "numpy"} <= set(own["versions"])
        assert str(tmp_path) not in text

    def test_of_checkpoints_are_named_without_their_folder(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("25")
        result = run("--jobs", "1", codecs=(f"light-jpeg@{tmp_path / 'mine.txt'}",))
        assert result.exit_code == 0, result.output
        text = (tmp_path / "out" / "light-jpeg-mine.json").read_text()
        own = json.loads(text)["heqcodec"]
        assert own["settings"] == [25.0]
        assert "--codec light-jpeg@mine.txt" in own["command"]
        assert str(tmp_path) not in text

    def test_files_and_images_can_be_kept(self, run: Run, finished: Path) -> None:
        """Also when the rows are there already: then for the files' sake alone."""
        before = table(finished)
        result = run("--keep")
        assert result.exit_code == 0, result.output
        assert table(finished) == before
        codec = light_codecs.LightJpeg()
        for row in read_table(finished / "images.csv"):
            coded = finished / "files" / "light-jpeg" / f"{row.setting:g}" / f"{row.image}.jpg"
            decoded = finished / "decoded" / "light-jpeg" / f"{row.setting:g}" / row.image
            assert coded.stat().st_size == row.bytes
            assert np.array_equal(codec.decode(coded), np.asarray(Image.open(decoded)))
        written = (finished / "images.csv").read_bytes()
        assert "12 of 12" in run("--keep").output
        assert (finished / "images.csv").read_bytes() == written

    @pytest.mark.slow
    def test_one_thread_is_one_thread(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        result = run("--jobs", "1", codecs=("light-threads", "light-many-threads"))
        assert result.exit_code == 1
        assert "light-threads at 5, 20, 60: 1 threads, 1." in result.output
        assert re.search(r"light-many-threads at 5, 20, 60: \d+ threads, 3\.", result.output)
        assert os.environ["OMP_NUM_THREADS"] == "3"


class TestGoingOn:
    def test_what_is_finished_is_not_run_again(self, run: Run, finished: Path) -> None:
        before = (finished / "images.csv").read_bytes()
        result = run()
        assert result.exit_code == 0
        assert "12 of 12 measurements are there already" in result.output
        assert (finished / "images.csv").read_bytes() == before
        assert run(codecs=("light-noise", "light-jpeg")).exit_code == 0
        lines = (finished / "images.csv").read_bytes().splitlines()
        assert before.splitlines() == lines[: len(before.splitlines())]
        assert len(lines) == 1 + 12 + 8

    def test_nothing_is_mixed(
        self, run: Run, images: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = (finished / "images.csv").read_bytes()
        result = run("--qualities", "5,30")
        assert result.exit_code == 1
        assert "light-jpeg at quality 5 20 60, not 5 30; add -f" in result.output
        monkeypatch.setenv(light_codecs.VERSION, "light 2")
        result = run()
        assert result.exit_code == 1
        assert "light-jpeg by light 1, not light 2; add -f" in result.output
        assert (finished / "images.csv").read_bytes() == before
        assert run("-f").exit_code == 0
        document = json.loads((finished / "light-jpeg.json").read_text())
        assert document["heqcodec"]["codec_version"] == "light 2"
        Image.fromarray(picture(7, 40, 40)).save(images / "more.png")
        result = run("-f")
        assert result.exit_code == 1
        assert "give the same --data, or another --out." in result.output

    @pytest.mark.slow
    @POSIX
    def test_killed_at_random_moments_it_gives_the_same(
        self, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(light_codecs.SLOWNESS, "0.03")
        assert start(images, tmp_path / "undisturbed", *TWO_CODECS).wait(300) == 0
        out = tmp_path / "killed"
        chance = random.Random()
        lines = []
        for _ in range(3):
            process = start(images, out, *TWO_CODECS)
            before = journal_lines(out)
            moment = before + chance.randint(2, 6)
            while journal_lines(out) < moment and process.poll() is None:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(300)
            lines.append(journal_lines(out))
        assert lines[0] > 2
        assert lines == sorted(lines)
        assert start(images, out, *TWO_CODECS).wait(300) == 0
        assert table(out) == table(tmp_path / "undisturbed")
        for codec in ("light-jpeg", "light-noise"):
            assert curve(out, codec) == curve(tmp_path / "undisturbed", codec)
        names = [path.name for path in out.iterdir()]
        assert sorted(names) == sorted(path.name for path in (tmp_path / "undisturbed").iterdir())
        kept = sorted(str(path.relative_to(out)) for path in out.rglob("*.*g"))
        assert len(kept) == 2 * 20

    @pytest.mark.slow
    @POSIX
    def test_ctrl_c_ends_it_cleanly(
        self, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(light_codecs.SLOWNESS, "0.2")
        process = start(images, tmp_path / "out", *TWO_CODECS)
        while journal_lines(tmp_path / "out") < 4:
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert said.splitlines()[-1] == "heqcodec: Interrupted."
        kept = journal_lines(tmp_path / "out") - 3
        found = re.search(r"heqcodec: (\d+) of 20 measurements are kept", said)
        assert found
        # A row may have got to the disk as the key was hit.
        assert kept - 1 <= int(found[1]) <= kept
        assert "Traceback" not in said
        assert [path.name for path in (tmp_path / "out").glob(".*")] == []


TWO_CODECS = ("--codec", "light-jpeg", "--codec", "light-noise", "--jobs", "2", "--keep")


def start(images: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own."""
    command = [sys.executable, light_codecs.__file__, "eval", "run"]
    folders = ["--data", str(images), "--out", str(out)]
    return subprocess.Popen(
        [*command, *folders, *options],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def journal_lines(out: Path) -> int:
    """How many lines the journal has; the first is of the data, then one for each codec."""
    try:
        return (out / JOURNAL).read_bytes().count(b"\n")
    except OSError:
        return 0


class TestFailures:
    def test_missing_codecs_are_skipped(self, run: Run, tmp_path: Path) -> None:
        result = run("--setting", "light-jpeg=5", codecs=("light-absent", "light-jpeg"))
        assert result.exit_code == 0
        said = "light-absent is skipped: install the library of light-absent."
        assert said in result.output
        assert (tmp_path / "out" / "light-jpeg.json").exists()
        assert not (tmp_path / "out" / "light-absent.json").exists()
        result = run(codecs=("light-absent",), out="none")
        assert result.exit_code == 1
        assert said in result.output
        assert not (tmp_path / "none").exists()

    def test_images_that_fail_do_not_stop_the_others(
        self, run: Run, images: Path, tmp_path: Path
    ) -> None:
        for blue in range(3):
            red = np.full((40, 50, 3), (255, 0, blue), np.uint8)
            Image.fromarray(red).save(images / f"red{blue}.png")
        (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
        result = run("--setting", "light-jpeg=10,20", "--jobs", "2", "-v")
        assert result.exit_code == 1
        said = " ".join(result.output.split())
        assert "8 measurements failed:" in said
        assert "red0.png, light-jpeg at 10, 20: it codes nothing that is red." in said
        assert "red1.png, light-jpeg at 10, 20: ValueError: a bug of the codec" in said
        assert "red2.png, light-jpeg at 10, 20: the process that coded it was ended by" in said
        assert "broken.png, light-jpeg at 10, 20:" in said
        assert 'raise ValueError("a bug of the codec")' in said
        rows = read_table(tmp_path / "out" / "images.csv")
        assert [(row.setting, row.image) for row in rows] == [
            (setting, name)
            for setting in (10.0, 20.0)
            for name in ("0.png", "1.png", "2.png", "grey.png")
        ]
        assert (tmp_path / "out" / JOURNAL).exists()
        # The curve is of the images that are whole.
        document = json.loads((tmp_path / "out" / "light-jpeg.json").read_text())
        assert document["heqcodec"]["images"] == [4, 4]
        failed = ["broken.png", "red0.png", "red1.png", "red2.png"]
        assert document["heqcodec"]["without"] == failed
        assert f"light-jpeg is the mean of 4 of 8 images, without {', '.join(failed)}." in said
        assert document["results"]["bpp"][0] == pytest.approx(
            np.mean([row.bpp for row in rows if row.setting == 10.0])
        )
        # Without the files that failed, the same results are the whole ones.
        for name in failed:
            (images / name).unlink()
        result = run("--setting", "light-jpeg=10,20", "--jobs", "2")
        assert result.exit_code == 0, result.output
        assert "8 of 8 measurements are there already" in result.output
        own = json.loads((tmp_path / "out" / "light-jpeg.json").read_text())["heqcodec"]
        assert (own["images"], own["without"]) == ([4, 4], [])
        assert own["data"] == {"images": 4, "sha256": data_hash(image_files(images))}
        assert not (tmp_path / "out" / JOURNAL).exists()

    def test_a_mean_of_ms_ssim_that_small_images_lack_is_not_shown(
        self, run: Run, images: Path, tmp_path: Path
    ) -> None:
        """Images of the fixture are small; one that is not does not stand for all."""
        Image.fromarray(picture(3, 200, 176)).save(images / "large.png")
        result = run("--setting", "light-jpeg=10", "--jobs", "1")
        assert result.exit_code == 0, result.output
        document = json.loads((tmp_path / "out" / "light-jpeg.json").read_text())
        assert document["results"]["ms-ssim-rgb"] == [None]
        assert "light-jpeg has no mean of MS-SSIM: there are images with a side" in result.output
        assert any(row.ms_ssim for row in read_table(tmp_path / "out" / "images.csv"))
        assert "has no mean of PSNR" not in result.output

    def test_a_mean_of_psnr_that_lossless_images_lack_is_not_shown(
        self, run: Run, images: Path, tmp_path: Path
    ) -> None:
        Image.new("RGB", (64, 64), (128, 128, 128)).save(images / "flat.png")
        result = run("--setting", "light-jpeg=10", "--jobs", "1")
        assert result.exit_code == 0, result.output
        document = json.loads((tmp_path / "out" / "light-jpeg.json").read_text())
        assert document["results"]["psnr-rgb"] == [None]
        assert "light-jpeg has no mean of PSNR at some settings" in result.output
        assert ",inf," not in (tmp_path / "out" / "images.csv").read_text()

    def test_a_codec_that_cannot_be_loaded_is_tried_once(self, run: Run) -> None:
        result = run("--jobs", "1", codecs=("light-unready", "light-jpeg"))
        assert result.exit_code == 1
        assert "0.png, light-unready at 5, 20, 60: its weights are not here." in result.output
        assert "12 measurements failed" in result.output

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--codec", "gif"), "There is no codec gif; choose from light-jpeg, light-noise"),
            (("--setting", "light-noise=1"), "light-noise is not among the codecs of this run,"),
            (("--setting", "light-jpeg"), "not of the form CODEC=V,V"),
            (("--setting", "light-jpeg=5,x"), "'5,x' is not a list of numbers"),
            (("--qualities", "nan"), "'nan' is not a list of numbers"),
            (("--rates", "0.5"), "no codec of this run takes a bpp."),
            (("--setting", "light-jpeg=5", "--setting", "light-jpeg=9"), "is given twice"),
        ],
    )
    def test_wrong_commands(self, run: Run, options: tuple[str, ...], said: str) -> None:
        result = run(*options)
        assert result.exit_code == 2
        assert said in " ".join(result.output.replace("│", " ").split())

    @pytest.mark.usefixtures("run")
    def test_settings_by_kind(self) -> None:
        """--setting before --rates and --qualities, and these before the codec's own."""
        patterns = ["light-*"]
        request = read_request(patterns, ["light-unready=9,8"], "0.75", "7,7,3")
        settings = {ladder.codec.name: ladder.settings for ladder in request.ladders}
        assert settings == {
            "light-jpeg": (7.0, 3.0),
            "light-noise": (0.75,),
            "light-absent": (7.0, 3.0),
            "light-unready": (9.0, 8.0),
            "light-threads": (7.0, 3.0),
            "light-many-threads": (7.0, 3.0),
        }
        own = read_request(patterns, [], "0.75", None).ladders[0].settings
        assert own == (5.0, 20.0, 60.0)
        assert request.maker("light-noise").name == "light-noise"

    def test_a_folder_without_images(self, run: Run, images: Path) -> None:
        for path in images.iterdir():
            path.unlink()
        result = run()
        assert result.exit_code == 1
        assert "holds no image" in result.output
