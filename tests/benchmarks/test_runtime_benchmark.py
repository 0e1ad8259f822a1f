"""`benchmarks/runtime.py` counts what is installed, and measures both backends in turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from scripts import SCRIPTS, load
from typer.testing import CliRunner


def test_sizes_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = load("runtime")
    requires = {
        "heqcodec": ["numpy>=1", "rich; extra == 'demo'", 'torch>=2 ; extra == "torch"'],
        "torch": ["sympy>=1", "absent", "filelock; python_version > '3'"],
    }
    monkeypatch.setattr(runtime.metadata, "requires", requires.get)
    monkeypatch.setattr(runtime, "_is_installed", lambda name: name != "absent")
    assert runtime.installed_packages("heqcodec") == {"heqcodec", "numpy"}
    with_torch = runtime.installed_packages("heqcodec", "torch")
    assert with_torch == {"heqcodec", "numpy", "torch", "sympy", "filelock"}
    monkeypatch.undo()
    weights = (SCRIPTS.parent / "weights").glob("*.safetensors")
    assert runtime.package_bytes("heqcodec") > sum(path.stat().st_size for path in weights)
    assert runtime.package_bytes("numpy") > 10_000_000


@pytest.mark.slow
@pytest.mark.usefixtures("light_rate")
def test_both_backends_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = load("runtime")
    image = tmp_path / "image.png"
    samples = np.random.default_rng(2).integers(0, 256, (100, 140, 3), dtype=np.uint8)
    Image.fromarray(samples).save(image)
    commands: list[list[str]] = []
    monkeypatch.setattr(runtime.subprocess, "run", lambda command, **_: commands.append(command))
    app = typer.Typer()
    app.command()(runtime.main)
    result = CliRunner().invoke(app, [str(image), "--repeats", "1"])
    assert result.exit_code == 0, result.output
    chosen = [command[command.index("--backend") + 1] for command in commands]
    assert chosen == ["onnx", "torch"] * 4  # two models, two turns each
    for text in ("cold start", "decode", "light onnx", "light-rate torch"):
        assert text in result.output
