"""Encoding and decoding without torch: nothing imports it, and both backends show one picture."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.models import registry
from heqcodec.purenet import backends
from heqcodec.purenet.backends import choose_backend
from PIL import Image
from slow_cases import quick_first, slow
from small_models import photograph
from without_torch import run_without_torch

DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[3] / "shared" / "data"))
NAMES = registry.model_names()


def decoders_of(name: str) -> list[str]:
    return [registry.STRONG, *registry.manifest()["models"][name].get("decoders", {})]


@pytest.mark.parametrize("name", quick_first(NAMES))
def test_encode_and_decode_import_no_torch(name: str, tmp_path: Path) -> None:
    pixels = photograph()[100:170, 200:300]
    np.save(tmp_path / "pixels.npy", pixels)
    code = f"""
import heqcodec, numpy, sys
from pathlib import Path
folder = Path(sys.argv[1])
data = heqcodec.encode(numpy.load(folder / "pixels.npy"), model={name!r})
(folder / "out.heq").write_bytes(data)
for decoder in {decoders_of(name)!r}:
    numpy.save(folder / decoder, heqcodec.decode(data, decoder=decoder))
assert "onnxruntime" in sys.modules
assert "torch" not in sys.modules
"""
    result = run_without_torch(code, str(tmp_path))
    assert result.returncode == 0, result.stderr
    data = (tmp_path / "out.heq").read_bytes()
    assert data == heqcodec.encode(pixels, model=name)
    for decoder in decoders_of(name):
        shown = np.load(tmp_path / f"{decoder}.npy").astype(int)
        by_torch = heqcodec.decode(data, backend="torch", device="cpu", decoder=decoder)
        assert np.abs(shown - by_torch).max() <= 1


@pytest.mark.parametrize(
    "arguments",
    [("encode", "--help"), *map(slow, [("demo", "--out", "OUT"), ("models",), ("pack", "--help")])],
)
def test_commands_need_no_torch(arguments: tuple[str, ...], tmp_path: Path) -> None:
    expanded = [str(tmp_path / "out.png") if item == "OUT" else item for item in arguments]
    code = "import sys\nsys.argv[0] = 'heqcodec'\nfrom heqcodec.cli import main\nmain()"
    result = run_without_torch(code, *expanded)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_classify_needs_no_torch(tmp_path: Path) -> None:
    Image.fromarray(photograph()[:64, :64]).save(tmp_path / "photo.png")
    code = "import sys\nsys.argv[0] = 'heqcodec'\nfrom heqcodec.cli import main\nmain()"
    result = run_without_torch(code, "classify", str(tmp_path / "photo.png"), "--json")
    assert result.returncode == 0, result.stderr
    assert result.stdout == run("classify", tmp_path / "photo.png", "--json").stdout


@pytest.fixture(scope="module")
def kodak_crops() -> list[np.ndarray]:
    """A colourful crop, a grey one and one of many edges, of sides that are no multiples of 32."""
    files = [DATA / "kodak" / f"kodim{number:02}.png" for number in (23, 4, 8)]
    if not all(file.is_file() for file in files):
        pytest.skip("the photographs are not there; set HEQCODEC_DATA")
    crops = [np.asarray(Image.open(file))[150:310, 200:390] for file in files]
    return [crops[0], crops[1][..., 1:2], crops[2]]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_backends_agree_on_photographs(name: str, kodak_crops: list[np.ndarray]) -> None:
    for pixels in kodak_crops:
        for options in settings_of(name):
            data = heqcodec.encode(pixels, model=name, **options)
            for decoder in decoders_of(name):
                shown = [
                    heqcodec.decode(data, backend=backend, decoder=decoder, device="cpu")
                    for backend in ("onnx", "torch")
                ]
                apart = np.abs(shown[0].astype(int) - shown[1])
                assert apart.max() <= 1
                # Only where a sample falls between two integers.
                assert (apart > 0).mean() < 1e-3


def settings_of(name: str) -> list[dict[str, Any]]:
    if registry.mode_of(name) == registry.RATE_MODE:
        return [{"quality": 20}, {"quality": 70}]
    return [{"bpp": 0.0625}, {"bpp": 0.5}]


class TestChoice:
    def test_onnx_unless_a_device_is_asked_for(self) -> None:
        assert choose_backend("auto", "auto") == choose_backend("auto", "cpu") == "onnx"
        assert choose_backend("auto", "cuda") == choose_backend("torch", "cpu") == "torch"
        assert choose_backend("onnx", "cpu") == "onnx"

    def test_torch_where_onnxruntime_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backends, "is_installed", lambda package: package == "torch")
        assert choose_backend("auto", "auto") == "torch"

    def test_neither(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backends, "is_installed", lambda package: False)
        for backend, device, who in (
            ("torch", "auto", "the backend torch"),
            ("auto", "cuda:1", 'device "cuda:1"'),
        ):
            with pytest.raises(HeqUnsupportedError, match=rf"^{who} needs .*heqcodec\[torch\]"):
                choose_backend(backend, device)
        with pytest.raises(
            HeqUnsupportedError, match=r"^the network needs .* by the decoder plain"
        ):
            choose_backend("auto", "cpu")

    def test_impossible_ones(self) -> None:
        with pytest.raises(HeqUnsupportedError, match='on the CPU, not on device "cuda"'):
            choose_backend("onnx", "cuda")
        with pytest.raises(HeqError, match="choose one of auto, onnx, torch"):
            choose_backend("tf", "cpu")

    def test_missing_onnxruntime_is_told(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        data = heqcodec.encode(photograph()[:32, :32], bpp=0.25, mode="patch")
        registry._decoder.cache_clear()
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(HeqUnsupportedError, match="needs the package onnxruntime"):
            heqcodec.decode(data, backend="onnx")
        shown = heqcodec.decode(data)  # by torch
        monkeypatch.undo()
        assert np.abs(shown.astype(int) - heqcodec.decode(data, backend="onnx")).max() <= 1

    def test_command(self, tmp_path: Path) -> None:
        source = tmp_path / "in.heq"
        source.write_bytes(heqcodec.encode(photograph()[:40, :50], bpp=0.25, mode="patch"))
        for backend in ("onnx", "torch"):
            target = tmp_path / f"{backend}.png"
            assert run("decode", source, target, "--backend", backend).exit_code == 0
        result = run("decode", source, tmp_path / "x.png", "--backend", "onnx", "--device", "cuda")
        assert result.exit_code == 1 and "backend onnx runs on the CPU" in result.stderr
        result = run("decode", source, tmp_path / "x.png", "--backend", "gpu")
        assert result.exit_code == 2
