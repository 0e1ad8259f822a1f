"""Files of a constant rate, of nqe-t and nqe-vgg, by the JavaScript package beside `heqcodec`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.container.reader import ContainerReader
from heqcodec.models import registry
from heqcodec.nqe_t import zones
from heqcodec.nqe_t.encoder import TransformCodeReader
from heqcodec.nqe_vgg.code_reader import POINTS, ClassCodeReader
from slow_cases import quick_first
from web_package import WEB, as_rgba, require_package, rgba_file, run_package

GOLDEN = Path(__file__).resolve().parents[1] / "conformance"
MODELS = ("nqe-t", "nqe-vgg")


def golden_files(model: str) -> list[Path]:
    index = json.loads((GOLDEN / "index.json").read_text("utf-8"))
    return [GOLDEN / entry["file"] for entry in index if entry["model"] == model]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A photograph of each model at two rates, a grey one, and one with damaged strips."""
    from skimage import data

    require_package()
    folder = tmp_path_factory.mktemp("photographs")
    astronaut, camera = data.astronaut()[:250, 100:290], data.camera()[:150, :170, None]
    made = {}
    for model in MODELS:
        whole = heqcodec.encode(astronaut, model=model, bpp=0.25)
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        made[f"{model} low"] = heqcodec.encode(astronaut, model=model, bpp=0.0625)
        made[f"{model} middle"] = whole
        made[f"{model} grey"] = heqcodec.encode(camera, model=model, bpp=0.5)
        made[f"{model} damaged"] = bytes(damaged)
    for name, content in made.items():
        (folder / f"{name}.heq").write_bytes(content)
    return {name: folder / f"{name}.heq" for name in made}


def own_coefficients(path: Path, model: str) -> np.ndarray:
    """As `coefficientsOf` of run_package.mjs has them, float32."""
    encoder: Any = registry.load_encoder(model)
    with path.open("rb") as stream:
        reader = ContainerReader(stream, max_pixels=None)
        header = reader.header
        strips = [reader.read_strip(index) for index in range(header.strip_count)]
        payload = b"".join(strip.payload for strip in strips if strip)
    codes = np.frombuffer(payload, np.uint8).reshape(-1, header.patch_bytes)
    if model == "nqe-vgg":
        points = registry.decoder_weights(model, registry.STRONG)[0][POINTS]
        classes = ClassCodeReader(encoder, points)
        labels = classes.labels(codes)[:, None]
        parts = [labels, classes.coefficients(codes, header.channels)]
    else:
        found = TransformCodeReader(encoder).coefficients(codes, header.channels)
        cells = zones.cell_map()
        fields = (found.low, found.width, found.negative)
        parts = [*(field[cells].T for field in fields), found.reached.T]
    return np.concatenate([part.astype(np.float32) for part in parts], axis=1).reshape(-1)


def assert_same_pixels(given: np.ndarray, own: np.ndarray, name: str, share: float) -> None:
    apart = np.abs(given.astype(int) - as_rgba(own))
    assert apart.max() <= 1, (name, apart.max())
    assert (apart > 0).mean() < share, (name, (apart > 0).mean())


@pytest.mark.parametrize("model", quick_first(reversed(MODELS)))
def test_golden_files_and_photographs(
    photographs: dict[str, Path], tmp_path: Path, model: str
) -> None:
    files = golden_files(model)
    assert len(files) == 20
    files += [photographs[f"{model} {name}"] for name in ("low", "middle", "grey")]
    jobs = [
        {"file": file, "pixels": tmp_path / f"{i}.rgba", "levels": tmp_path / f"{i}.levels"}
        for i, file in enumerate(files)
    ]
    for i, (file, result) in enumerate(zip(files, run_package(jobs), strict=True)):
        assert "error" not in result, (file.name, result)
        found = np.fromfile(tmp_path / f"{i}.levels", np.float32)
        assert np.array_equal(found, own_coefficients(file, model)), file.name
        own = heqcodec.decode(file.read_bytes(), decoder="plain")
        assert result["channels"] == own.shape[2], file.name
        assert_same_pixels(rgba_file(tmp_path / f"{i}.rgba", result), own, file.name, 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_networks(photographs: dict[str, Path], tmp_path: Path, model: str) -> None:
    """By PURENET: golden files of two rates, photographs, one with a lost strip, a region."""
    if not (WEB / "node_modules" / "onnxruntime-web").exists():
        pytest.skip("needs onnxruntime-web (npm ci in web/)")
    golden = [file for file in golden_files(model) if file.stem.endswith(("-64", "-512"))]
    region = (60, 70, 90, 50)
    given: list[tuple[Path, dict[str, Any]]] = [(file, {}) for file in golden]
    given += [(photographs[f"{model} {name}"], {}) for name in ("low", "middle", "grey")]
    given += [(photographs[f"{model} damaged"], {"partial": True})]
    given += [(photographs[f"{model} middle"], {"region": region})]
    jobs = [
        {"file": file, "pixels": tmp_path / f"{i}", "options": {"decoder": "strong", **more}}
        for i, (file, more) in enumerate(given)
    ]
    for i, (job, result) in enumerate(zip(jobs, run_package(jobs), strict=True)):
        file, more = given[i]
        assert "error" not in result, (file.name, result)
        data, part = file.read_bytes(), more.get("region")
        own = heqcodec.decode_partial(data, decoder="strong", region=part, device="cpu")
        assert result["damagedStrips"] == own.damaged_strips, file.name
        given_pixels = rgba_file(job["pixels"], result)
        assert_same_pixels(given_pixels, own.pixels, file.name, 0.01)
        plain = heqcodec.decode_partial(data, decoder="plain", region=part)
        changed = np.abs(own.pixels.astype(int) - plain.pixels).mean()
        assert changed > 0.15 or "pixel" in file.name, (file.name, changed)


@pytest.mark.parametrize("model", MODELS)
def test_damage_and_streams(photographs: dict[str, Path], tmp_path: Path, model: str) -> None:
    file, damaged = photographs[f"{model} middle"], photographs[f"{model} damaged"]
    jobs = [
        {"file": damaged, "pixels": tmp_path / "damaged", "options": {"partial": True}},
        {"file": damaged},
        {"file": file, "pixels": tmp_path / "stream", "stream": 97},
        {"file": file, "options": {"decoder": "fast"}},
        {"file": file, "options": {"slices": 1}},
    ]
    partial, strict, stream, *refused = run_package(jobs)
    own = heqcodec.decode_partial(damaged.read_bytes(), decoder="plain")
    assert len(own.damaged_strips) == 1 and partial["damagedStrips"] == own.damaged_strips
    assert_same_pixels(rgba_file(tmp_path / "damaged", partial), own.pixels, model, 0.001)
    assert strict["error"] == "HeqChecksumError"
    whole = heqcodec.decode(file.read_bytes(), decoder="plain")
    painted = rgba_file(tmp_path / "stream.painted", stream)
    assert_same_pixels(painted, whole, model, 0.001)
    assert [strip["height"] for strip in stream["strips"]] == 7 * [32] + [26]
    assert [result["error"] for result in refused] == ["HeqUnsupportedError", "HeqError"]
