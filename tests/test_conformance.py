"""Golden files: the same bytes out of the encoder, the same pixels out of the decoder."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec import models
from PIL import Image

FOLDER = Path(__file__).parent / "conformance"
INDEX: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))


@pytest.fixture(params=INDEX, ids=lambda entry: str(entry["file"]))
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    entry: dict[str, Any] = request.param
    return entry


def test_file_is_the_golden_one(golden: dict[str, Any]) -> None:
    data = (FOLDER / golden["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == golden["sha256"]


def test_encoder_writes_the_golden_bytes(golden: dict[str, Any]) -> None:
    if golden["model"] not in models.model_names():
        pytest.skip("a model of an earlier version: its files decode, new ones are not made")
    data = heqcodec.encode(
        FOLDER / golden["source"], bpp=golden["bits"] / 1024, model=golden["model"]
    )
    assert hashlib.sha256(data).hexdigest() == golden["sha256"]


def test_decoder_gives_the_golden_pixels(golden: dict[str, Any]) -> None:
    pixels = heqcodec.decode(FOLDER / golden["file"])
    expected = np.asarray(Image.open(FOLDER / golden["pixels"])).reshape(pixels.shape)
    difference = np.abs(pixels.astype(int) - expected.astype(int))
    assert difference.max() <= 1


def test_all_golden_files_are_in_the_index() -> None:
    named = {entry["file"] for entry in INDEX}
    assert named == {path.name for path in FOLDER.glob("*.heq")}


GOLDEN = FOLDER / "colour-nqe-t-256.heq"


def test_every_damage_of_a_golden_file_is_a_typed_error() -> None:
    data = GOLDEN.read_bytes()
    random = np.random.default_rng(1)
    flips = [(int(random.integers(len(data))), int(random.integers(1, 256))) for _ in range(1000)]
    damaged = [data[:length] for length in range(len(data))]
    for place, change in flips:
        flipped = bytearray(data)
        flipped[place] ^= change
        damaged.append(bytes(flipped))
    for changed in damaged:
        begun = time.perf_counter()
        with pytest.raises(heqcodec.HeqError):
            heqcodec.decode(changed)
        assert time.perf_counter() - begun < 1


def test_what_is_intact_of_a_golden_file_decodes() -> None:
    data = GOLDEN.read_bytes()
    whole = heqcodec.decode(data)
    for place in range(50, len(data), 23):
        flipped = bytearray(data)
        flipped[place] ^= 0x55
        result = heqcodec.decode_partial(bytes(flipped))
        assert result.pixels.shape == whole.shape
        assert result.damaged_strips or result.damaged_chunks or result.repaired


def test_damage_stays_within_the_reach_of_the_decoder() -> None:
    tall = np.tile(np.asarray(Image.open(FOLDER / "colour.png").convert("RGB")), (6, 1, 1))
    intact = heqcodec.encode(tall, bpp=0.25)
    whole, told = heqcodec.decode(intact), heqcodec.info(intact)
    data = bytearray(intact)
    data[60] ^= 1
    result = heqcodec.decode_partial(bytes(data))
    assert result.damaged_strips == [0]
    ids = (bytes.fromhex(told[key]) for key in ("encoder_id", "coder_id"))
    decoder = models.load_decoder(*ids)
    far = 32 + decoder.radius
    assert far < len(whole)
    difference = np.abs(result.pixels[far:].astype(int) - whole[far:].astype(int))
    assert difference.max() <= 1
