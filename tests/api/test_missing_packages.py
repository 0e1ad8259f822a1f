"""Commands that need more than `pip install heqcodec` say what to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from slow_cases import slow
from without_torch import run_without_torch

COMMAND = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Absent())
sys.argv[0] = "heqcodec"
from heqcodec.cli import main
main()
"""
RECIPES = Path(__file__).parents[2] / "weights" / "recipes"


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", str(RECIPES / "nqe-t.toml"), "--data", "DIR", "--out", "DIR/run"), "train"),
        slow(("export", "onnx", "--out", "DIR/onnx"), "torch"),
        slow(("decode", "--device", "cuda", "FILE", "DIR/out.png"), "torch"),
        slow(("eval", "complexity", "--out", "DIR/tables"), "torch"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_without_torch(arguments: tuple[str, ...], extra: str, tmp_path: Path) -> None:
    if "FILE" in arguments:
        image = tmp_path / "image.png"
        Image.new("RGB", (40, 40), "teal").save(image)
        made = run_without_torch(COMMAND, "encode", str(image), str(tmp_path / "file.heq"))
        assert made.returncode == 0, made.stderr
    expanded = [item.replace("DIR", str(tmp_path)) for item in arguments]
    expanded = [item.replace("FILE", str(tmp_path / "file.heq")) for item in expanded]
    result = run_without_torch(COMMAND, *expanded)
    assert result.returncode == 1, result.stderr
    assert f'pip install "heqcodec[{extra}]"' in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_measuring_needs_torch_only_where_a_network_does(tmp_path: Path) -> None:
    """Also in the processes that measure: no module of the name can be imported in any."""
    blocked, images = tmp_path / "blocked", tmp_path / "images"
    blocked.mkdir()
    images.mkdir()
    (blocked / "torch.py").write_text("raise ImportError('torch is not to be imported')")
    Image.linear_gradient("L").resize((200, 180)).convert("RGB").save(images / "image.png")
    command = [sys.executable, "-c", "from heqcodec.cli import main; main()", "eval", "run"]
    command += ["--data", str(images), "--out", str(tmp_path / "out"), "--jobs", "1"]
    command += ["--codec", "jpeg", "--codec", "heq", "--qualities", "40"]
    environment = {**os.environ, "PYTHONPATH": str(blocked)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for codec in ("jpeg", "heq"):
        document = json.loads((tmp_path / "out" / f"{codec}.json").read_text())
        assert document["results"]["ms-ssim-rgb"][0] > 0.9
        assert document["heqcodec"]["device"] == "cpu"
