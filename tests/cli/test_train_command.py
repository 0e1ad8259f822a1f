"""``heqcodec train``: what it hands on, and a small run from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command_runner import run
from heqcodec.models.registry import TRANSFORM
from small_models import write_recipe


class TestTrain:
    def test_arguments_reach_the_training(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        calls: list[Any] = []

        def train(*arguments: Path, **options: Any) -> dict[str, Any]:
            calls.append((arguments, options))
            return {"training": {"steps": 7}, "held_out": {"psnr at 64 bits": 25.0}}

        module: Any = ModuleType("heqcodec.lab.training.run")
        module.train = train
        monkeypatch.setitem(sys.modules, "heqcodec.lab.training.run", module)
        recipe, weights, out = (tmp_path / name for name in ("r.toml", "w.safetensors", "o"))
        recipe.touch()
        weights.touch()
        line = ["train", recipe, "--data", tmp_path, "--minutes", "1.5", "--resume"]
        given = ["--held-out", tmp_path, "--encoder", weights, "--start", weights]
        given += ["--coders", tmp_path, "--finish-in", "9"]
        result = run(*line, *given, "--out", out)
        assert result.exit_code == 0
        assert result.stderr == (
            f"Exported to {out / 'weights'} after 7 steps; psnr at 64 bits 25.00 dB.\n"
        )
        options = {
            "minutes": 1.5,
            "device": "auto",
            "resume": True,
            "out_dir": out,
            "held_out_dir": tmp_path,
            "encoder_from": weights,
            "start_from": weights,
            "finish_in": 9.0,
            "coders_from": tmp_path,
        }
        assert calls == [((recipe, tmp_path), options)]

    def test_a_further_worker_exports_nothing_and_says_nothing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        module: Any = ModuleType("heqcodec.lab.training.run")
        module.train = lambda *_, **__: {}
        monkeypatch.setitem(sys.modules, "heqcodec.lab.training.run", module)
        recipe = tmp_path / "r.toml"
        recipe.touch()
        result = run("train", recipe, "--data", tmp_path)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")

    def test_missing_arguments(self, tmp_path: Path) -> None:
        assert run("train", tmp_path / "none.toml", "--data", tmp_path).exit_code == 2
        assert run("train").exit_code == 2


@pytest.mark.usefixtures("light_training")
class TestCommand:
    @pytest.mark.slow
    def test_trains_and_says_where_it_goes_wrong(self, photographs: Path, tmp_path: Path) -> None:
        recipe, out = write_recipe(tmp_path / "t.toml", TRANSFORM), tmp_path / "out"
        command = ["train", str(recipe), "--data", str(photographs), "--out", str(out)]
        result = run(*command, "--minutes", "0", "--device", "cpu")
        assert result.exit_code == 0, result.output
        assert f"Exported to {out / 'weights'} after 0 steps; psnr at 64 bits" in result.stderr
        assert (out / "weights" / "tiny-transform.json").exists()
        for options, message in (
            (["--resume"], "there is no checkpoint"),
            (["--device", "cuda:99"], 'no device "cuda:99" here'),
        ):
            result = run(*command, *options)
            assert result.exit_code == 1 and message in result.stderr
        assert run(*command, "--device", "tpu9").exit_code == 2
