"""Codecs that tell their cost, speeds, tables, and `heqcodec eval complexity` itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clock import Clock
from command_runner import run
from heqcodec.eval.complexity import speed
from heqcodec.eval.complexity.candidate import Candidate, Networks
from heqcodec.eval.complexity.frame import noise_frame
from heqcodec.eval.complexity.speed import Speed, measure_speeds, ratio
from heqcodec.eval.complexity.tables import (
    NETWORKS_ONLY,
    REFERENCE,
    document,
    markdown,
    remarks,
    speed_table,
    work_tables,
)
from heqcodec.eval.complexity.work import Cost, Stage, Work
from heqcodec.models import registry
from PIL import Image

pytestmark = pytest.mark.usefixtures("one_thread")

FRAME = noise_frame(128, 64)


class SlowCodec:
    """Takes half a second to encode and an eighth to decode; its files have 100 bytes."""

    name, about, suffix = "slow", "sleeps", ".slow"
    reason: str | None = None
    cost: Any = None

    def __init__(self, pause: Callable[[float], None] = lambda seconds: None) -> None:
        self.pause = pause

    def missing(self) -> str | None:
        return self.reason

    def prepare(self) -> None:
        pass

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        self.pause(0.5)
        path.write_bytes(bytes(100))

    def decode(self, path: Path) -> np.ndarray:
        self.pause(0.125)
        assert path.stat().st_size == 100
        return np.zeros((1, 1, 3), dtype=np.uint8)


def candidate(name: str, codec: Any = None, networks: Networks | None = None) -> Candidate:
    stage = Stage("encoder", 1000, Work(additions=2.5, shifts=1500), 77)
    return Candidate(Cost(name, "about", "note", [stage], {"x": 1.0}), networks, codec, 1.0)


class TestSpeed:
    def test_measures_files_and_networks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        monkeypatch.setattr(speed, "time", clock)
        networks = Networks(lambda: clock.pause(0.25), lambda: clock.pause(2.0))
        pair = [candidate("a", SlowCodec(clock.pause)), candidate("b", None, networks)]
        reported: list[str] = []
        files, nets = measure_speeds(pair, FRAME, 3, tmp_path, reported.append)
        assert reported == ["a", "b"] * 4
        size = FRAME.shape[0] * FRAME.shape[1] / 1e6
        assert (files.files_encode, files.files_decode) == (size / 0.5, size / 0.125)
        assert files.bpp == 800 / (128 * 64) and files.networks_encode is None
        assert nets.files_encode is None and nets.bpp is None
        assert (nets.networks_encode, nets.networks_decode) == (size / 0.25, size / 2.0)

    def test_ratio(self) -> None:
        assert ratio(Speed(files_encode=6.0), Speed(files_encode=4.0), "files_encode") == 1.5
        assert ratio(Speed(files_encode=6.0), Speed(), "files_encode") is None
        assert ratio(Speed(), Speed(files_encode=4.0), "files_encode") is None


class TestTables:
    pair = (candidate("mine"), candidate(REFERENCE))
    speeds = (Speed(1.0, 2.0, 3.0, 4.0, 0.25), Speed(2.0, 2.0))

    def test_work(self) -> None:
        encoder, coder, decoder = work_tables(self.pair)
        assert encoder.rows[0] == ("mine", "1,000", "2.5 add, 1.5 k shift", "-", "77")
        assert set(coder.rows[0][1:]) == set(decoder.rows[0][1:]) == {"-"}

    def test_speed(self) -> None:
        table = speed_table(self.pair, self.speeds)
        assert table.rows[0] == ("mine", "0.250", "1 (0.50x)", "2 (1.00x)", "3", "4")
        assert table.rows[1] == (REFERENCE, "-", "2 (1.00x)", "2 (1.00x)", "-", "-")

    def test_says_when_ratios_are_of_networks_only(self) -> None:
        assert NETWORKS_ONLY in remarks(self.pair, self.speeds)
        assert NETWORKS_ONLY not in remarks(self.pair, [])
        whole = (self.speeds[0], Speed(1.0, 1.0, 1.0, 1.0, 0.3))
        assert NETWORKS_ONLY not in remarks(self.pair, whole)

    def test_markdown_has_a_cell_for_each_heading(self) -> None:
        for table in (*work_tables(self.pair), speed_table(self.pair, self.speeds)):
            lines = markdown(table).splitlines()
            assert lines[0] == f"## {table.title}"
            assert {line.count("|") for line in lines[2:]} == {len(table.headings) + 1}

    def test_document(self) -> None:
        reported = json.loads(document(self.pair, self.speeds, {"rounds": 3}))
        assert reported["rounds"] == 3 and reported["reference"] == REFERENCE
        mine = reported["codecs"][0]
        assert mine["stages"][0]["work"]["additions"] == 2.5
        assert mine["megapixels_per_second"]["files_decode"] == 4.0
        assert mine["ratio"] == {
            "networks_encode": 0.5,
            "networks_decode": 1.0,
            "files_encode": None,
            "files_decode": None,
        }
        assert "ratio" not in json.loads(document(self.pair, [], {}))["codecs"][0]

    @pytest.mark.parametrize(
        ("value", "reported"),
        [(0.125, "0.125"), (715.0, "715"), (42176.0, "42.2 k"), (1.5e5, "150 k")],
    )
    def test_numbers(self, value: float, reported: str) -> None:
        assert Work(multiply_accumulates=value).text() == f"{reported} MAC"
        assert Work().text() == "0"


class TestCommand:
    @pytest.mark.slow
    def test_counts_and_times(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        image = tmp_path / "noise.png"
        Image.fromarray(pixels).save(image)
        out = tmp_path / "out"
        arguments = ["eval", "complexity", "--image", image, "-j", "1", "--out", out]
        result = run(*arguments, "--rounds", "1")
        assert result.exit_code == 0, result.output
        # Counting takes minutes on a photograph: each codec is named when its turn comes.
        for name in ("nqe-r", "nqe-vgg", REFERENCE, "mcucoder"):
            assert f"counting {name}." in result.stderr
        reported = json.loads((out / "complexity.json").read_text())
        names = [codec["name"] for codec in reported["codecs"]]
        assert set(names) >= {*registry.model_names("patch"), REFERENCE, "mbt2018-mean", "mcucoder"}
        assert any(name.startswith("patch-") for name in names)
        assert str(tmp_path) not in json.dumps(reported)
        assert reported["command"] == "heqcodec eval complexity --image noise.png --rounds 1"
        for codec in reported["codecs"]:
            speed = codec["megapixels_per_second"]
            assert speed["files_encode"] or speed["networks_encode"], codec["name"]
        text = (out / "complexity.md").read_text()
        # Tables are whole on a terminal of any width.
        rows = [line for line in text.splitlines() if line.startswith("| nqe-r |")]
        assert len(rows) == 4 and "…" not in result.stdout
        for row in rows:
            cells = [cell.strip() for cell in row.split("|")[1:-1]]
            assert any(all(cell in line for cell in cells) for line in result.stdout.splitlines())
        assert "## Encoder" in text and "## Megapixels a second" in text
        again = run(*arguments)
        assert again.exit_code == 1


class TestClassical:
    def test_reads_costs_of_those_that_tell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from heqcodec.eval.baselines.patch.cost import EncoderCost
        from heqcodec.eval.complexity import classical

        reported = SlowCodec()
        reported.cost = EncoderCost(64.5, 70.0, 4096, "The transform.")
        absent = SlowCodec()
        absent.cost, absent.reason = reported.cost, "it is not installed."
        codecs = {"reported": reported, "plain": SlowCodec(), "absent": absent}
        monkeypatch.setattr(classical, "codec_names", lambda: list(codecs))
        monkeypatch.setattr(classical, "make_codec", codecs.__getitem__)
        (found,) = classical.classical_candidates()
        assert found.codec is reported and found.setting == 0.25
        stage = found.cost.stage("encoder")
        assert stage == Stage("encoder", None, Work(multiplications=64.5, additions=70.0), 4096)
        assert found.cost.note.endswith("The transform.")
        (encoder, _, decoder) = work_tables([found])
        assert encoder.rows[0] == ("slow", "?", "64.5 mul, 70 add", "-", "4,096")
        assert decoder.rows[0] == ("slow", "-", "-", "-")
