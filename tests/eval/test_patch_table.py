"""``heqcodec eval patch-table``: its figures, files and errors, over a JPEG in the codec's place.

The table must be right whatever the codec is, so a known one stands in for it here: Pillow's
JPEG, whose bytes and pixels each test can make again on its own.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import heqcodec
import heqcodec.models
import numpy as np
import pytest
from command_runner import run
from heqcodec.base.errors import HeqError
from heqcodec.eval import blockiness, folder, metrics, patch_table, report
from PIL import Image

QUALITY = {0.0625: 5, 0.125: 15, 0.25: 30, 0.5: 60}


def jpeg(pixels: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def pixels_of(data: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


@pytest.fixture(autouse=True)
def jpeg_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(image: np.ndarray, bpp: float, mode: str, model: str) -> bytes:
        assert mode == "patch"
        if bpp not in QUALITY:
            raise HeqError(f"no rate of {bpp}")
        return jpeg(image, QUALITY[bpp] + (model == "better"))

    def load_encoder(name: str) -> Any:
        if name not in ("plain", "better"):
            raise HeqError(f"no model named {name}")
        return types.SimpleNamespace(encoder_id=name.encode(), coder_id=bytes(8))

    registry: Any = types.ModuleType("heqcodec.models.registry")
    registry.model_names = lambda mode=None: ["plain", "better"]
    registry.load_encoder = load_encoder
    registry.describe_models = lambda: [{"name": "plain", "weights": np.int64(7)}]
    monkeypatch.setitem(sys.modules, "heqcodec.models.registry", registry)
    monkeypatch.setattr(heqcodec.models, "registry", registry)
    monkeypatch.setattr(heqcodec, "encode", encode, raising=False)
    monkeypatch.setattr(heqcodec, "decode", pixels_of, raising=False)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A photograph, a grey one too small for MS-SSIM, and files that are not test images."""
    data = pytest.importorskip("skimage.data")
    path = tmp_path / "images"
    path.mkdir()
    Image.fromarray(data.astronaut()[:200, :176]).save(path / "b.png")
    Image.fromarray(data.camera()[:100, :90]).save(path / "a.PNG")
    (path / "notes.txt").write_text("not an image")
    (path / ".hidden.png").write_bytes(b"not an image")
    return path


def table(images: Path, out: Path, *options: str) -> Any:
    """The result of the command."""
    return run("eval", "patch-table", "--data", images, "--out", out, *options)


def test_every_figure_is_of_the_file(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = table(images, out, "--model", "better", "--bpp", "0.5", "--bpp", "0.25")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((out / "patch-table.csv").open()))
    assert [(r["rate"], r["image"]) for r in rows] == [
        ("0.5", "a.PNG"), ("0.5", "b.png"), ("0.25", "a.PNG"), ("0.25", "b.png"),
    ]  # fmt: skip
    for row in rows:
        original = pixels_of((images / row["image"]).read_bytes())
        data = jpeg(original, QUALITY[float(row["rate"])] + 1)
        assert int(row["bytes"]) == len(data)
        assert float(row["bpp"]) * original.shape[0] * original.shape[1] == 8 * len(data)
        decoded = pixels_of(data)
        assert float(row["psnr"]) == metrics.psnr(original, decoded)
        assert float(row["border_ratio"]) == blockiness.relative_border_step_ratio(
            original, decoded
        )
        if row["image"] == "b.png":
            assert float(row["ms_ssim"]) == metrics.ms_ssim(original, decoded)
        else:
            assert row["ms_ssim"] == ""
        assert float(row["encode_seconds"]) > 0 and float(row["decode_seconds"]) > 0


def test_the_json_is_a_curve_in_compressais_schema(images: Path, tmp_path: Path) -> None:
    assert table(images, tmp_path).exit_code == 0
    rows = list(csv.DictReader((tmp_path / "patch-table.csv").open()))
    for model in ("plain", "better"):
        document = json.loads((tmp_path / f"{model}.json").read_text())
        assert model in document["name"] and document["description"]
        results = document["results"]
        assert set(results) == {
            "bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time",
        }  # fmt: skip
        assert results["bpp"] == sorted(results["bpp"])
        for k, rate in enumerate(QUALITY):
            own = [r for r in rows if r["model"] == model and float(r["rate"]) == rate]
            assert results["bpp"][k] == pytest.approx(np.mean([float(r["bpp"]) for r in own]))
            assert results["psnr-rgb"][k] == pytest.approx(np.mean([float(r["psnr"]) for r in own]))
            # One of the two images is too small for it: there is no mean of both.
            assert results["ms-ssim-rgb"][k] is None
        extra = document["heqcodec"]
        assert extra["model"]["encoder_id"] == model.encode().hex()
        assert extra["data"]["images"] == 2
        assert extra["versions"]["numpy"] == np.__version__
        assert extra["command"].split()[0] == "heqcodec"
    assert json.loads((tmp_path / "plain.json").read_text())["heqcodec"]["model"]["weights"] == 7


def test_earlier_results_are_kept_without_force(images: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text("earlier")
    result = table(images, tmp_path, "--bpp", "0.25")
    assert result.exit_code == 1 and "plain.json exists" in result.output
    assert (tmp_path / "plain.json").read_text() == "earlier"
    assert not (tmp_path / "patch-table.csv").exists()
    assert table(images, tmp_path, "--bpp", "0.25", "-f").exit_code == 0
    assert json.loads((tmp_path / "plain.json").read_text())["heqcodec"]["rates"] == [0.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bpp", "0.3"], "no rate of 0.3"),
        (["--data", "absent"], "absent is not a folder"),
    ],
)
def test_bad_requests_get_one_sentence_and_exit_1(
    images: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = table(images, tmp_path / "out", *options)
    assert result.exit_code == 1
    assert message in result.output and "Traceback" not in result.output


def test_an_unknown_model_is_a_wrong_command(images: Path, tmp_path: Path) -> None:
    result = table(images, tmp_path / "out", "--model", "absent")
    assert result.exit_code == 2 and "'absent' is not one of plain, better." in result.output


def test_a_file_that_cannot_be_read_costs_the_others_nothing(images: Path, tmp_path: Path) -> None:
    options = ("--bpp", "0.25", "--model", "plain")
    assert table(images, tmp_path, *options).exit_code == 0
    whole = json.loads((tmp_path / "plain.json").read_text())
    (images / "c.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    result = table(images, tmp_path, *options, "-f")
    assert result.exit_code == 1
    assert "1 images are not among these:" in result.stderr and "c.png" in result.stderr
    document = json.loads((tmp_path / "plain.json").read_text())
    assert document["results"]["psnr-rgb"] == whole["results"]["psnr-rgb"]
    assert document["heqcodec"]["images"] == [2]
    (images / "a.PNG").unlink()
    (images / "b.png").unlink()
    result = table(images, tmp_path, *options, "-f")
    assert result.exit_code == 1 and "No image could be read: " in result.output


def test_the_table_keeps_its_digits_on_a_narrow_terminal(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (images / "a.PNG").unlink()
    result = table(images, tmp_path)
    assert result.exit_code == 0 and "…" not in result.stdout
    for row in csv.DictReader((tmp_path / "patch-table.csv").open()):
        line = [f"{float(row['bpp']):.4f}", f"{float(row['psnr']):.2f}"]
        line += [f"{float(row['ms_ssim']):.4f}", f"{float(row['border_ratio']):.3f}"]
        assert any(all(cell in row for cell in line) for row in result.stdout.splitlines())


def test_a_decoder_that_changes_the_shape_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heqcodec, "decode", lambda data: pixels_of(data)[:-1])
    with pytest.raises(HeqError, match="came back as"):
        patch_table.measure_image("x.png", np.zeros((40, 40, 3), np.uint8), "plain", 0.25)


def test_measures_that_are_not_defined_stay_empty() -> None:
    flat = np.full((20, 20, 3), 128, np.uint8)
    result = patch_table.measure_image("flat.png", flat, "plain", 0.5)
    assert result.psnr is result.ms_ssim is result.border_ratio is None
    assert "inf" not in report.csv_text([result])
    text = report.compressai_json("plain", patch_table.summarize([result]), "", {})
    assert json.loads(text)["results"]["psnr-rgb"] == [None]


def test_data_hash_is_that_of_the_sha256sum_listing(images: Path) -> None:
    files = folder.image_files(images)
    listing = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files
    )
    assert folder.data_hash(files) == hashlib.sha256(listing.encode()).hexdigest()
    with (images / "b.png").open("ab") as file:
        file.write(b"\0")
    assert folder.data_hash(files) != hashlib.sha256(listing.encode()).hexdigest()


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(HeqError, match="holds no image"):
        folder.image_files(tmp_path)
