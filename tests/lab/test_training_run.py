"""Training runs: they can be stopped and continued, and their record is complete."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import heqcodec.lab.training.loop as loop_module
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.checkpoint import read_facts
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.run import train
from heqcodec.models.registry import TRANSFORM, VGG
from slow_cases import quick_first
from small_models import write_recipe
from training_runs import FAMILIES, checkpoint_of, stop_after

pytestmark = pytest.mark.usefixtures("light_training")
STEPS = 6
VGG_STAGES = {
    "teacher_steps": 2,
    "distil_steps": 2,
    "teacher_weight": 0.1,
    "float_steps": 1,
    "bsn_at": 0.6,
    "fade_steps": 2,
}
"""Each stage, and each phase of the quantizers, begins or ends between two steps of the run."""


@pytest.mark.parametrize("family", quick_first(reversed(FAMILIES)))
class TestRuns:
    @pytest.fixture
    def run(
        self,
        family: str,
        photographs: Path,
        held_out: Path,
        encoder_file: Path,
        tmp_path: Path,
    ) -> Callable[..., dict[str, Any]]:
        """Train from a small recipe into a folder of the given name."""
        phases = VGG_STAGES if family == VGG else {}
        recipe = write_recipe(tmp_path / "tiny.toml", family, steps=STEPS, **phases)
        given = encoder_file if family == TRANSFORM else None

        def go(out: str, **options: Any) -> dict[str, Any]:
            return train(
                recipe,
                photographs,
                device="cpu",
                out_dir=tmp_path / out,
                held_out_dir=held_out,
                encoder_from=given,
                **options,
            )

        return go

    @pytest.mark.slow
    def test_interrupted_run_ends_where_the_undisturbed_one_does(
        self,
        run: Callable[..., dict[str, Any]],
        family: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        whole = run("whole")
        with monkeypatch.context() as patch:
            # Figures and checkpoints after every step, and a stop by each of the two signals.
            patch.setattr(loop_module, "FIGURES_SECONDS", 0.0)
            patch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
            with patch.context() as inner:
                stop_after(inner, 2, signal.SIGTERM)
                first = run("parts")
            assert first["training"]["steps"] == 2
            assert read_facts(tmp_path / "parts")["step"] == 2
            with patch.context() as inner:
                stop_after(inner, 5, signal.SIGINT)
                with pytest.raises(KeyboardInterrupt):
                    run("parts", resume=True)
            assert read_facts(tmp_path / "parts")["step"] == 5
        last = run("parts", resume=True)
        expected, found = checkpoint_of(tmp_path / "whole"), checkpoint_of(tmp_path / "parts")
        assert expected.keys() == found.keys()
        assert [key for key in expected if not torch.equal(expected[key], found[key])] == []
        for part in ("encoder", "decoder"):
            assert whole[part] == last[part]
        assert whole["held_out"] == last["held_out"]
        with (tmp_path / "parts" / "log.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
        assert all(float(row["psnr_256"]) > 3 for row in rows)
        assert (tmp_path / "parts" / "layers.csv").exists() == (family == VGG)

    @pytest.mark.slow
    def test_finished_run_is_exported_again(
        self,
        run: Callable[..., dict[str, Any]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first = run("out", minutes=0)
        assert first["training"]["steps"] == 0
        assert not (tmp_path / "out" / "checkpoint.safetensors").exists()
        first = run("out")
        stored = checkpoint_of(tmp_path / "out")

        def no_step(self: TrainingLoop) -> torch.Tensor:
            raise AssertionError("a step was made")

        monkeypatch.setattr(TrainingLoop, "_one_step", no_step)
        for file in (tmp_path / "out" / "weights").iterdir():
            file.unlink()
        for options in ({}, {"minutes": 0}, {"minutes": 5.0}):
            again = run("out", resume=True, **options)
            assert again == first
        assert all(torch.equal(stored[k], v) for k, v in checkpoint_of(tmp_path / "out").items())

    @pytest.mark.slow
    def test_minutes_0_exports_an_unfinished_run(
        self,
        run: Callable[..., dict[str, Any]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as patch:
            stop_after(patch, 3, signal.SIGTERM)
            first = run("out")
        before = (tmp_path / "out" / "checkpoint.safetensors").stat().st_mtime_ns
        again = run("out", resume=True, minutes=0)
        assert again == first and again["training"]["steps"] == 3
        assert (tmp_path / "out" / "checkpoint.safetensors").stat().st_mtime_ns == before

    def test_run_is_neither_overwritten_nor_mixed(
        self,
        run: Callable[..., dict[str, Any]],
        family: str,
        tmp_path: Path,
        photographs: Path,
        held_out: Path,
    ) -> None:
        with pytest.raises(HeqError, match=r"no checkpoint .* leave --resume out"):
            run("out", resume=True)
        run("out", minutes=1e-9)
        out = tmp_path / "out"
        assert read_facts(out)["step"] == 1
        with pytest.raises(HeqError, match="go on with --resume, or give another --out"):
            run("out")
        recipe = tmp_path / "tiny.toml"
        with pytest.raises(HeqError, match="begun with other photographs"):
            train(recipe, photographs, out_dir=out, resume=True, minutes=0)
        wider = write_recipe(tmp_path / "wider.toml", family, purenet={"width": 13})
        with pytest.raises(HeqError, match="does not fit the recipe"):
            train(wider, photographs, out_dir=out, held_out_dir=held_out, resume=True, minutes=0)
        other = write_recipe(tmp_path / "other.toml", family, name="other")
        with pytest.raises(HeqError, match=f"begun with the recipe of tiny-{family}, not of other"):
            train(other, photographs, out_dir=out, resume=True, minutes=0)

    def test_record_has_names_and_no_folders(
        self, run: Callable[..., dict[str, Any]], family: str, tmp_path: Path
    ) -> None:
        entry = run("out", minutes=0)
        record = entry["training"]
        given = " --encoder given.safetensors" if family == TRANSFORM else ""
        expected = f"heqcodec train tiny.toml --data photographs --held-out held{given}"
        assert record["command"] == expected
        assert str(tmp_path) not in json.dumps(entry) and record["device"] == "cpu"
        assert record["tiles"] == 3 and record["held_out_images"] == 1
        exported = json.loads((tmp_path / "out" / "weights" / f"{_name(entry)}.json").read_text())
        assert exported == {_name(entry): entry}

    def test_tiles_are_held_out_where_no_folder_is_given(
        self, family: str, photographs: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", family)
        entry = train(recipe, photographs, minutes=0, device="cpu", out_dir=tmp_path / "out")
        assert entry["training"]["tiles"] == 2 and entry["training"]["held_out_images"] == 1


def _name(entry: dict[str, Any]) -> str:
    return str(entry["encoder"]["file"]).removesuffix(".encoder.safetensors")
