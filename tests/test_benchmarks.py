"""The benchmark scripts find what they look for, and measure what they say."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from light_model import LightEncoder
from PIL import Image
from typer.testing import CliRunner

SCRIPTS = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class BatchDependentEncoder(LightEncoder):
    """Wrong in the last patch of every batch of 7."""

    def encode_patches(
        self, patches: np.ndarray, bits: int, arithmetic: str = "float32"
    ) -> np.ndarray:
        codes = super().encode_patches(patches, bits)
        if len(patches) == 7:
            codes[-1] ^= 1
        return codes


class ThreadDependentEncoder(LightEncoder):
    """Wrong in its first patch on two threads."""

    def encode_patches(
        self, patches: np.ndarray, bits: int, arithmetic: str = "float32"
    ) -> np.ndarray:
        import torch

        codes = super().encode_patches(patches, bits)
        codes[0] ^= torch.get_num_threads() == 2
        return codes


class RoundingEncoder(LightEncoder):
    """Wrong where sums are not integers of 64 bits."""

    def encode_patches(
        self, patches: np.ndarray, bits: int, arithmetic: str = "float32"
    ) -> np.ndarray:
        codes = super().encode_patches(patches, bits)
        codes ^= arithmetic != "int64"
        return codes


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    image = pytest.importorskip("skimage.data").chelsea()
    Image.fromarray(image[:100, :150]).save(tmp_path / "colour.png")
    Image.fromarray(image[:64, :200, 1]).save(tmp_path / "grey.png")
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, encoder: LightEncoder, arguments: list[str]
) -> tuple[int, str]:
    import typer

    registry: Any = types.ModuleType("heqcodec.models")
    registry.model_names = lambda mode=None: ["light"]
    registry.load_encoder = lambda name: encoder
    monkeypatch.setitem(sys.modules, "heqcodec.models", registry)
    monkeypatch.setattr(heqcodec, "models", registry, raising=False)
    app = typer.Typer()
    app.command()(load("exactness").main)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_exactness_passes_an_exact_encoder(
    monkeypatch: pytest.MonkeyPatch, photographs: Path
) -> None:
    encoder = LightEncoder()
    code, output = run(monkeypatch, encoder, [str(photographs)])
    assert code == 0
    # 100x150 is 4x5 patches, 64x200 is 2x7.
    assert "2 images, 34 patches" in output and "identical" in output
    assert {1, 7, 14, 20} <= set(encoder.batches)


def test_exactness_sees_a_dependence_on_the_batch(
    monkeypatch: pytest.MonkeyPatch, photographs: Path
) -> None:
    arguments = [str(photographs), "--bits", "256"]
    code, output = run(monkeypatch, BatchDependentEncoder(), arguments)
    # 20 patches are two whole batches of 7 and 14 are two, on each of two thread counts.
    assert code == 1 and "4 DIFFERENT" in output
    assert output.count("batch=7") == 4 and output.count("patches=2,") == 4


def test_exactness_sees_a_dependence_on_threads(
    monkeypatch: pytest.MonkeyPatch, photographs: Path
) -> None:
    arguments = [str(photographs), "--bits", "64"]
    code, output = run(monkeypatch, ThreadDependentEncoder(), arguments)
    assert code == 1 and "6 DIFFERENT" in output
    assert "threads=2" in output and "threads=1" not in output


def test_exactness_sees_a_dependence_on_the_arithmetic(
    monkeypatch: pytest.MonkeyPatch, photographs: Path
) -> None:
    code, output = run(monkeypatch, RoundingEncoder(), [str(photographs), "--bits", "64"])
    assert code == 1 and "1 DIFFERENT" in output and "arithmetic='int64'" in output


def test_speed_counts_the_fastest_turn_and_not_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    speed = load("speed")
    clock = [0.0]
    monkeypatch.setattr(speed, "time", types.SimpleNamespace(perf_counter=lambda: clock[0]))

    def pausing(seconds: list[float]) -> Any:
        turns = iter(seconds)

        def call(_: Any) -> bytes:
            clock[0] += next(turns)
            return b""

        return call

    codecs = {
        "slow": (pausing([0.125, 2.0, 0.5, 1.0]), pausing([9.0, 4.0, 4.0, 8.0])),
        "fast": (pausing([9.0, 0.25, 0.25, 0.25]), pausing([9.0, 0.25, 0.5, 0.25])),
    }
    result = speed.measure(codecs, np.zeros((1000, 2000, 3), np.uint8), repeats=3)
    assert result == {"slow": (4.0, 0.5), "fast": (8.0, 8.0)}


def test_speed_measures_real_jpegs() -> None:
    speed = load("speed")
    for shape in ((40, 50, 3), (40, 50, 1)):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        data = speed.jpeg_encode(pixels)
        assert data[:2] == b"\xff\xd8"
        assert speed.jpeg_decode(data).shape[:2] == shape[:2]
