"""Commands that need more than `pip install heqcodec` say what to install."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from test_light_runtime import run_without_torch

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
RECIPES = Path(__file__).parents[1] / "weights" / "recipes"


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", str(RECIPES / "nqe-t.toml"), "--data", "DIR", "--out", "DIR/run"), "train"),
        (("export", "onnx", "--out", "DIR/onnx"), "torch"),
        (("decode", "--device", "cuda", "FILE", "DIR/out.png"), "torch"),
        (("eval", "complexity", "--out", "DIR/tables"), "torch"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_without_torch(arguments: tuple[str, ...], extra: str, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    Image.new("RGB", (40, 40), "teal").save(image)
    made = run_without_torch(COMMAND, "encode", str(image), str(tmp_path / "file.heq"))
    assert made.returncode == 0, made.stderr
    told = [item.replace("DIR", str(tmp_path)) for item in arguments]
    told = [item.replace("FILE", str(tmp_path / "file.heq")) for item in told]
    result = run_without_torch(COMMAND, *told)
    assert result.returncode == 1, result.stderr
    assert f'pip install "heqcodec[{extra}]"' in result.stderr
    assert len(result.stderr.splitlines()) == 1
