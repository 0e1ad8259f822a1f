"""The benchmark scripts find what they look for, and measure what they say."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heqcodec
import heqcodec.models
import numpy as np
import pytest
from light_model import LightEncoder
from PIL import Image
from scripts import load
from typer.testing import CliRunner


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

    registry: Any = types.ModuleType("heqcodec.models.registry")
    registry.model_names = lambda mode=None: ["light"]
    registry.load_encoder = lambda name: encoder
    monkeypatch.setitem(sys.modules, "heqcodec.models.registry", registry)
    monkeypatch.setattr(heqcodec.models, "registry", registry)
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


@pytest.fixture
def small_rate(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A model of variable rate in the registry, and no other."""
    from small_rate_model import only_weights, write_rate_weights

    folder = tmp_path_factory.mktemp("weights")
    write_rate_weights(folder)
    with only_weights(folder, monkeypatch):
        yield


def run_packed(folder: Path, *options: str) -> tuple[int, str]:
    import typer

    app = typer.Typer()
    app.command()(load("packed_exactness").main)
    result = CliRunner().invoke(app, [str(folder), "--quality", "20", *options])
    return result.exit_code, result.output


@pytest.mark.usefixtures("small_rate")
class TestPackedExactness:
    def test_passes_an_exact_codec(self, photographs: Path) -> None:
        code, output = run_packed(photographs)
        assert code == 0, output
        assert "r: 2 images, qualities 20, " in output and "identical" in output
        for what in (
            "batches of 1 patches, threads 1",
            "batches of 7 patches, threads 2",
            "batches of all patches, threads 2",
            "levels by numpy",
            "levels in int64",
            "unpacked",
            "packed again",
            "decoded",
            "device coder in Python",
            "packed decoder in Python",
        ):
            assert what in output
        streams = [
            heqcodec.encode(photographs / name, quality=20, coder="packed")
            for name in ("colour.png", "grey.png")
        ]
        digest = hashlib.sha256(b"".join(streams)).hexdigest()
        assert output.count(f"SHA-256 of all streams {digest}") == 2

    @pytest.mark.slow
    def test_sees_a_dependence_on_the_batch(
        self, photographs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change_levels(monkeypatch, lambda count: count == 7)
        code, output = run_packed(photographs, "--no-decode")
        assert code == 1 and "4 DIFFERENT" in output
        assert output.count("Difference(") == output.count("what='batches of 7 ") == 4
        assert "; decoded" not in output

    @pytest.mark.slow
    def test_sees_a_dependence_on_threads(
        self, photographs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch

        change_levels(monkeypatch, lambda count: torch.get_num_threads() == 2)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            code, output = run_packed(photographs, "--no-decode")
        finally:
            torch.set_num_threads(before)
        assert code == 1 and "6 DIFFERENT" in output
        assert "threads 1'" not in output

    @pytest.mark.slow
    def test_sees_a_dependence_on_the_arithmetic(
        self, photographs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch_levels

        whole = torch_levels.TorchLevels.levels

        def wrong(self: Any, patches: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
            levels, transform_sizes = whole(self, patches, step)
            transform_sizes[3] ^= 1
            return levels, transform_sizes

        monkeypatch.setattr(torch_levels.TorchLevels, "levels", wrong)
        code, output = run_packed(photographs, "--no-decode")
        assert code == 1 and "2 DIFFERENT" in output
        assert output.count("what='levels in int64', amount=1)") == 2

    @pytest.mark.skipif(
        importlib.util.find_spec("heqcodec._native") is None,
        reason="there is but the coder in Python",
    )
    def test_sees_a_difference_of_the_coders(
        self, photographs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from heqcodec.nqe_r.packed_coder import PackedCoder

        encode = PackedCoder.encode

        def longer(self: Any, *strip: Any) -> bytes:
            return encode(self, *strip) + bytes(self._native is None)

        monkeypatch.setattr(PackedCoder, "encode", longer)
        code, output = run_packed(photographs, "--no-decode")
        assert code == 1 and output.count("what='packed coder in Python', amount=1)") == 2

    @pytest.mark.slow
    def test_sees_files_that_do_not_come_back(
        self, photographs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heqcodec, "unpack", lambda data, max_pixels: data)
        monkeypatch.setattr(heqcodec, "decode", lambda data, **options: np.zeros((1, 1, 1)))
        code, output = run_packed(photographs)
        assert code == 1 and "4 DIFFERENT" in output
        assert output.count("what='unpacked'") == output.count("what='decoded'") == 2


def change_levels(monkeypatch: pytest.MonkeyPatch, when: Any) -> None:
    """Let the encoder get a level wrong in calls of some numbers of patches."""
    from heqcodec.nqe_r.encoder import RateNqe

    right = RateNqe.levels

    def wrong(
        self: Any, coefficients: np.ndarray, step: int, *tune: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        levels, transform_sizes = right(self, coefficients, step, *tune)
        if when(len(coefficients)):
            levels[0, 0, 5] ^= 1
        return levels, transform_sizes

    monkeypatch.setattr(RateNqe, "levels", wrong)


@pytest.mark.parametrize("channels", [1, 3])
def test_torch_makes_the_same_levels(channels: int) -> None:
    import torch
    from adversarial import adversarial_patches
    from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
    from sample_cost_layers import random_cost_layer
    from sample_patches import photograph_patches
    from torch_levels import TorchLevels

    tensors = {**stem_tensors(), **random_cost_layer(2)}
    encoder = RateNqe(tensors)
    patches = np.concatenate([photograph_patches(), adversarial_patches(4)])[..., :channels]
    for kind in (torch.int64, torch.float32, torch.float64):
        for step in (0, 300, 552, 900):
            levels, transform_sizes = TorchLevels(tensors, "cpu", kind).levels(patches, step)
            usual = encoder.levels(encoder.coefficients(patches), step)
            np.testing.assert_array_equal(transform_sizes, usual[1])
            np.testing.assert_array_equal(levels, usual[0])


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


def test_a_missing_program_is_a_wrong_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["link", str(tmp_path), "--out", str(tmp_path), "--ssdv", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        load("link").main()
    assert ended.value.code == 2 and "there is no program" in capsys.readouterr().err
