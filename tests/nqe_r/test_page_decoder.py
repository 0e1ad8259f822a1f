"""A decoder in JavaScript, written from docs/FORMAT.md and docs/DECODER.md alone, gives the levels
of heqcodec and its plain pixels."""

from __future__ import annotations

import json
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from file_levels import own_levels
from heqcodec.models import registry
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.rate_decoder import KNOTS
from page_decoders import GOLDEN, PAGE, decode_by_page, needs_node, run_page_decoder
from PIL import Image

DECODER = Path(__file__).with_name("page_decoder.mjs")


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


@needs_node
def test_the_pages_lead_to_levels_and_plain_pixels(photographs: list[Path], tmp_path: Path) -> None:
    files = golden_files() + photographs
    assert len(files) == 14
    for file, levels in zip(files, decode_by_page(DECODER, files, tmp_path), strict=True):
        assert np.array_equal(np.fromfile(levels, np.int16), own_levels(file)), file.name


@needs_node
def test_the_decoder_of_the_pages_refuses_damage(tmp_path: Path) -> None:
    data = bytearray((GOLDEN / "colour-nqe-r-device-60.heq").read_bytes())
    data[60] ^= 1
    damaged = tmp_path / "damaged.heq"
    damaged.write_bytes(data)
    done = run_page_decoder(DECODER, damaged, tmp_path / "levels", tmp_path / "pixels")
    assert done.returncode and "strip 0 damaged" in done.stderr


def test_the_page_has_the_reach_of_the_networks() -> None:
    radius = {
        name: PurenetConfig(**registry.decoder_weights("nqe-r", name)[1]).radius
        for name in ("strong", "fast", "best")
    }
    strong, fast, best = radius.values()
    reach = f"{strong} pixels of strong, {fast} of fast, {best} of best"
    assert reach in " ".join(PAGE.split())
    assert f"| rate_weights | R or 1, {KNOTS} |" in PAGE
