"""`benchmarks/c_speed.py` and `portability.py` build both kernels, compare bytes, and skip."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from heqcodec.export.vectors import scene
from PIL import Image
from sample_vgg import OTHER, random_encoder
from scripts import load
from typer.testing import CliRunner

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nqe-r", "nqe-t"])
def test_speeds_of_both_kernels(model: str, tmp_path: Path) -> None:
    Image.fromarray(scene(64, 96, 3)).save(tmp_path / "image.png")
    app = typer.Typer()
    app.command()(load("c_speed").main)
    options = ["--model", model, "--repeats", "1", "--compiler", "gcc", "--flags=-O1"]
    # A Python that has nothing installed stands for one without CompressAI.
    options += ["--compressai-python", str(Path(sys.base_prefix) / "bin" / "python3")]
    done = CliRunner().invoke(app, [str(tmp_path), *options])
    assert done.exit_code == 0, done.output
    for row in ("fast", "scalar", "fast, colour and transforms", "scalar, colour and transforms"):
        (line,) = (
            text for text in done.output.splitlines() if text.startswith(f"{model} in C, {row}  ")
        )
        assert float(line.split()[-3]) > 0
    assert "WebP" in done.output and "JPEG" in done.output


@pytest.mark.slow
def test_speed_of_convolutions_and_its_limit(tmp_path: Path) -> None:
    Image.fromarray(scene(40, 70, 3)).save(tmp_path / "image.png")
    speed = load("vgg_speed")
    app = typer.Typer()
    app.command()(speed.main)
    options = ["--side", "32", "--repeats", "1", "--compiler", "gcc", "--flags=-O1"]
    done = CliRunner().invoke(app, [str(tmp_path), *options])
    assert done.exit_code == 0, done.output
    for row in ("nqe-vgg in C, fast", "nqe-vgg in C, scalar", "numpy", "torch, float32"):
        (line,) = (text for text in done.output.splitlines() if text.startswith(row))
        assert float(line.split()[-3]) > 0
    assert "4,324 (1,728, 576, 1,152, 288, 576, 4 by layer; 8,428 if" in done.output
    assert "the fast kernel reaches" in done.output
    other = typer.Typer()
    other.command()(load("c_speed").main)
    done = CliRunner().invoke(other, [str(tmp_path), "--model", "nqe-vgg"])
    assert done.exit_code == 2 and "vgg_speed.py" in done.output


def test_torch_codes_like_the_integers() -> None:
    torch_vgg = load("torch_vgg")
    for own_cuts in (False, True):
        encoder = random_encoder(5, OTHER, own_cuts)
        patches = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
        codes = torch_vgg.TorchVgg(encoder.layers, batch=2).codes(patches)
        np.testing.assert_array_equal(codes, encoder.encode_patches(patches, 512))


@pytest.mark.slow
def test_other_bytes_end_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = load("c_speed")
    Image.fromarray(scene(32, 32, 3)).save(tmp_path / "image.png")
    monkeypatch.setattr(speed, "c_encoder", lambda library, rate: lambda pixels: b"other")
    app = typer.Typer()
    app.command()(speed.main)
    done = CliRunner().invoke(app, [str(tmp_path), "--compiler", "gcc", "--flags=-O0"])
    assert done.exit_code == 1 and "other bytes" in done.output


@pytest.mark.slow
def test_targets_are_built_run_and_compared(tmp_path: Path) -> None:
    portability = load("portability")
    folder = tmp_path / "c"
    from heqcodec.export.c_project import export_c

    export_c("nqe-t", folder)
    here = portability.Target("here", ("gcc",))
    assert not portability.cannot_build(here, folder)
    assert portability.try_target(here, "FAST", folder) is None
    expected = folder / "vectors" / "edges.heq"
    expected.write_bytes(expected.read_bytes()[:-1] + b"?")
    assert "edges.ppm" in portability.try_target(here, "SCALAR", folder)
    broken = portability.Target("broken", ("gcc", "--no-such-option"))
    assert portability.cannot_build(broken, folder)
    assert "does not build" in portability.try_target(broken, "SCALAR", folder)
    assert portability.lacking("gcc", "no-such-program") == "no-such-program"


def test_multiplications_are_found(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("there is no arm-none-eabi-gcc")
    portability = load("portability")
    compiler = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb")
    text = "int twice(int a) { return a + a; }\nint product(int a, int b) { return a * b; }\n"
    (tmp_path / "heq_encoder.c").write_text(text)
    (found,) = portability.multiplications(compiler, "-O2", tmp_path)
    assert found.startswith("product: ")


def test_crops_become_vectors(tmp_path: Path) -> None:
    portability = load("portability")
    images, vectors = tmp_path / "images", tmp_path / "vectors"
    images.mkdir()
    vectors.mkdir()
    Image.fromarray(np.full((300, 400, 3), 9, np.uint8)).save(images / "flat.png")
    (vectors / "list").write_text("")
    portability.add_crops("nqe-r", images, vectors)
    assert (vectors / "list").read_text() == "crop0.ppm crop0.heq -q 20\n"
    assert (vectors / "crop0.heq").read_bytes()[:4] == b"\x89HEQ"
