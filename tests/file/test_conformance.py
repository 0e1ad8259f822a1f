"""Golden files: the same bytes out of the encoder, the same pixels out of the decoder."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.models import registry
from PIL import Image
from scripts import load
from slow_cases import quick_first
from small_rate_model import only_weights, write_rate_weights

FOLDER = Path(__file__).parents[1] / "conformance"
MAKE = load("make", FOLDER)
"""The script that makes the golden files."""
INDEX: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))


@pytest.fixture(params=INDEX, ids=lambda entry: str(entry["file"]))
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    entry: dict[str, Any] = request.param
    return entry


def test_file_is_the_golden_one(golden: dict[str, Any]) -> None:
    data = (FOLDER / golden["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == golden["sha256"]


def test_encoder_writes_the_golden_bytes(golden: dict[str, Any]) -> None:
    if golden["model"] not in registry.model_names():
        pytest.skip("a model of an earlier version: its files decode, new ones are not made")
    data = heqcodec.encode(FOLDER / golden["source"], **MAKE.encode_options(golden))
    assert hashlib.sha256(data).hexdigest() == golden["sha256"]


def test_decoder_gives_the_golden_pixels(golden: dict[str, Any]) -> None:
    pixels = heqcodec.decode(FOLDER / golden["file"])
    expected = np.asarray(Image.open(FOLDER / golden["pixels"])).reshape(pixels.shape)
    difference = np.abs(pixels.astype(int) - expected.astype(int))
    assert difference.max() <= 1


def test_all_golden_files_are_in_the_index() -> None:
    named = {entry["file"] for entry in INDEX}
    assert named == {path.name for path in FOLDER.glob("*.heq")}


RATE_INDEX = [entry for entry in INDEX if entry.get("coder") == "packed"]


@pytest.mark.parametrize("entry", RATE_INDEX, ids=lambda entry: str(entry["file"]))
def test_packed_golden_files_unpack_to_those_of_the_device(entry: dict[str, Any]) -> None:
    packed = (FOLDER / entry["file"]).read_bytes()
    device = (FOLDER / entry["file"].replace("-packed-", "-device-")).read_bytes()
    assert heqcodec.unpack(packed) == device and heqcodec.pack(device) == packed


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The weights of a small model of variable rate, and what the script makes with them."""
    weights, made = (tmp_path_factory.mktemp(name) for name in ("weights", "made"))
    write_rate_weights(weights)
    with pytest.MonkeyPatch.context() as patch, only_weights(weights, patch):
        MAKE.main([], made)
    return weights, made


class TestMaking:
    """The script, with a small model of variable rate."""

    @pytest.fixture
    def folder(
        self, made_once: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Path]:
        weights, made = made_once
        with only_weights(weights, monkeypatch):
            yield shutil.copytree(made, tmp_path / "made")

    def test_both_coders_of_every_source(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        each = len(MAKE.sources()) * len(MAKE.QUALITIES) + len(MAKE.TUNED)
        assert len(index) == each * len(MAKE.CODERS)
        for entry in index:
            data = (folder / entry["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]
            facts = heqcodec.info(data)
            assert (facts["quality"], facts["coder"]) == (entry["quality"], entry["coder"])
            assert heqcodec.encode(folder / entry["source"], **MAKE.encode_options(entry)) == data
            pixels = heqcodec.decode(data, device="cpu")
            shown = np.asarray(Image.open(folder / entry["pixels"])).reshape(pixels.shape)
            assert np.abs(shown.astype(int) - pixels.astype(int)).max() <= 1
        assert {entry["source"] for entry in index} == {f"{name}.png" for name in MAKE.sources()}
        shapes = {entry["source"]: Image.open(folder / entry["source"]) for entry in index}
        assert shapes["pixel.png"].size == (1, 1) and shapes["gray.png"].mode == "L"

    def test_again_changes_nothing_and_keeps_what_others_made(self, folder: Path) -> None:
        path = folder / "index.json"
        other = {**INDEX[0], "model": "of-an-earlier-version"}
        shutil.copy(FOLDER / other["file"], folder)
        path.write_text(json.dumps([*json.loads(path.read_text()), other]))
        before = {file.name: file.read_bytes() for file in folder.glob("*.heq")}
        MAKE.main([], folder)
        assert other in json.loads(path.read_text())
        assert before == {file.name: file.read_bytes() for file in folder.glob("*.heq")}

    def test_what_is_made_no_longer_goes(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(MAKE, "QUALITIES", MAKE.QUALITIES[:1])
        monkeypatch.setattr(MAKE, "TUNED", {})
        MAKE.main([], folder)
        left = {entry["file"] for entry in json.loads((folder / "index.json").read_text())}
        assert left == {path.name for path in folder.glob("*.heq")} and len(left) == 2 * len(
            MAKE.sources()
        )

    def test_other_bytes_under_the_same_id_are_an_error(self, folder: Path) -> None:
        path = folder / "colour-r-packed-60.heq"
        data = bytearray(path.read_bytes())
        data[60] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(SystemExit, match=r"colour-r-packed-60\.heq: the encoder writes other"):
            MAKE.main(["r"], folder)


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
        begun = time.process_time()
        with pytest.raises(heqcodec.HeqError):
            heqcodec.decode(changed)
        assert time.process_time() - begun < 1


@pytest.mark.parametrize("every", quick_first([115, 23]))
def test_what_is_intact_of_a_golden_file_decodes(every: int) -> None:
    data = GOLDEN.read_bytes()
    whole = heqcodec.decode(data)
    for place in range(50, len(data), every):
        flipped = bytearray(data)
        flipped[place] ^= 0x55
        result = heqcodec.decode_partial(bytes(flipped))
        assert result.pixels.shape == whole.shape
        assert result.damaged_strips or result.damaged_chunks or result.repaired


def test_damage_stays_within_the_reach_of_the_decoder() -> None:
    tall = np.tile(np.asarray(Image.open(FOLDER / "colour.png").convert("RGB")), (6, 1, 1))
    intact = heqcodec.encode(tall, bpp=0.25, mode="patch")
    whole, description = heqcodec.decode(intact), heqcodec.info(intact)
    data = bytearray(intact)
    data[60] ^= 1
    result = heqcodec.decode_partial(bytes(data))
    assert result.damaged_strips == [0]
    ids = (bytes.fromhex(description[key]) for key in ("encoder_id", "coder_id"))
    decoder = registry.load_decoder(*ids)
    far = 32 + decoder.radius
    assert far < len(whole)
    difference = np.abs(result.pixels[far:].astype(int) - whole[far:].astype(int))
    assert difference.max() <= 1
