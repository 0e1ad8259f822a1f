"""``heqcodec eval gain``: decoders against the plain inverse, image by image."""

from __future__ import annotations

import csv
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run as run_command
from heqcodec.eval.gain import measure, versions
from heqcodec.eval.metrics import psnr
from PIL import Image
from small_models import photograph


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.fromarray(photograph()[:96, 160:288]).save(tmp_path / "images/astronaut.png")
    Image.fromarray(photograph("chelsea")[64:160, 128:224, 1]).save(tmp_path / "images/gray.png")
    return tmp_path / "images"


def run(*arguments: object) -> tuple[int, str]:
    found = run_command("eval", "gain", *map(str, arguments))
    return found.exit_code, found.output


def test_gain_is_the_difference_of_two_decoded_files(folder: Path) -> None:
    paths = sorted(folder.iterdir())
    found = list(measure(paths, "nqe-r", ["strong", "fast"], [30, 60], False))
    assert len(found) == 2 * 2 * 2
    one = found[3]
    assert (one.image, one.version, one.decoder, one.quality) == (
        "astronaut.png",
        "original",
        "fast",
        60,
    )
    pixels = np.asarray(Image.open(paths[0]))
    data = heqcodec.encode(pixels, quality=60)
    plain = psnr(pixels, heqcodec.decode(data, decoder="plain"))
    assert one.plain == plain and one.bpp == 8 * len(data) / (96 * 128)
    assert one.gain == psnr(pixels, heqcodec.decode(data, decoder="fast")) - plain


def test_ladder_is_seeded_and_what_it_says(folder: Path) -> None:
    pixels = photograph()[:96, 160:288]
    made = dict(versions(pixels, "a.png", True))
    assert list(made) == ["original", *(f"noise {s}" for s in (2, 4, 8))] + [
        f"jpeg {q}" for q in (50, 60, 75, 90)
    ]
    for deviation in (2, 4, 8):
        error = made[f"noise {deviation}"].astype(float) - pixels
        # Samples near black and white are cut off.
        assert 0.85 * deviation < error.std() < 1.05 * deviation
    errors = [psnr(pixels, made[f"jpeg {quality}"]) for quality in (50, 60, 75, 90)]
    assert errors == sorted(errors) and errors[-1] > 33
    again = dict(versions(pixels, "a.png", True))
    assert all((again[name] == made[name]).all() for name in made)
    other = dict(versions(pixels, "b.png", True))
    assert (other["noise 4"] != made["noise 4"]).any()
    gray = dict(versions(pixels[..., :1], "a.png", True))
    assert all(image.shape == (96, 128, 1) for image in gray.values())
    assert [name for name, _ in versions(pixels, "a.png", False)] == ["original"]


def test_command_prints_writes_and_judges(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "gain.csv"
    options = ["--data", folder, "--decoder", "fast", "--quality", "40"]
    code, text = run(*options, "--out", out, "--least", "-5")
    assert code == 0, text
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row["image"] for row in rows] == ["astronaut.png", "gray.png"]
    assert "mean" in text and "Worst: " in text and "fast 40" in text
    assert all(f"{float(row['gain']):+.3f}" in text for row in rows)
    code, text = run(*options, "--least", "9")
    assert code == 1 and "dB below the plain inverse" in text
    code, text = run(*options, "--out", out)
    assert code == 1 and "exists; give another --out" in text
    code, text = run("--data", folder, "--decoder", "plain")
    assert code == 2 and "is not one of strong" in text
    code, text = run("--data", folder, "--model", "nqe-t")
    assert code == 1 and "not of mode rate" in text
