"""A decoder in JavaScript, written from docs/FORMAT.md and docs/DECODER.md alone, gives the levels
of heqcodec and its plain pixels."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from file_levels import own_levels
from heqcodec.models import registry
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.rate_decoder import KNOTS
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DECODER = Path(__file__).with_name("page_decoder.mjs")
GOLDEN = ROOT / "tests" / "conformance"
PAGE = (ROOT / "docs" / "DECODER.md").read_text("utf-8")
NODE = shutil.which("node")


def golden_files() -> list[Path]:
    index = json.loads((GOLDEN / "index.json").read_text("utf-8"))
    return [GOLDEN / entry["file"] for entry in index if entry.get("coder") == "device"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of several rows of strips, wider than the 32 columns of patches that are kept."""
    from skimage import data

    folder = tmp_path_factory.mktemp("photographs")
    crop = Image.fromarray(data.astronaut()).crop((60, 20, 316, 180))
    wide = Image.fromarray(np.tile(np.asarray(crop)[:72], (1, 5, 1))[:, :1100])
    made = []
    for name, image, quality in (("steep", crop, 75), ("wide", wide, 45)):
        made.append(folder / f"{name}.heq")
        made[-1].write_bytes(heqcodec.encode(image, quality=quality, coder="device"))
    return made


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_pages_lead_to_levels_and_plain_pixels(photographs: list[Path], tmp_path: Path) -> None:
    files = golden_files() + photographs
    assert len(files) == 12
    jobs = [
        str(path)
        for file in files
        for path in (file, tmp_path / f"{file.stem}.levels", tmp_path / f"{file.stem}.pixels")
    ]
    command = [str(NODE), str(DECODER), str(ROOT / "weights"), *jobs]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for file in files:
        levels = np.fromfile(tmp_path / f"{file.stem}.levels", np.int16)
        assert np.array_equal(levels, own_levels(file)), file.name
        own = heqcodec.decode(file.read_bytes(), decoder="plain")
        given = np.fromfile(tmp_path / f"{file.stem}.pixels", np.uint8).reshape(own.shape)
        assert np.abs(given.astype(int) - own).max() <= 1, file.name
        assert (given == own).mean() > 0.99, file.name


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_decoder_of_the_pages_refuses_damage(tmp_path: Path) -> None:
    data = bytearray((GOLDEN / "colour-nqe-r-device-60.heq").read_bytes())
    data[60] ^= 1
    damaged = tmp_path / "damaged.heq"
    damaged.write_bytes(data)
    command = [str(NODE), str(DECODER), str(ROOT / "weights"), str(damaged), "levels", "pixels"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode and "strip 0 damaged" in done.stderr


def test_the_page_has_the_reach_of_the_networks() -> None:
    radius = {
        name: PurenetConfig(**registry.decoder_weights("nqe-r", name)[1]).radius
        for name in ("strong", "fast")
    }
    assert f"{radius['strong']} pixels\nof strong, {radius['fast']} of fast." in PAGE
    assert f"| rate_weights | R or 1, {KNOTS} |" in PAGE
