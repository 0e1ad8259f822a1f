"""The registry: what ships is whole, and what is missing or damaged is reported in a sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.patch_protocols import FrameDecoder, PatchEncoder
from heqcodec.models import manifest as model_manifest
from heqcodec.models import registry
from small_models import (
    BINARY_INPUTS,
    TRANSFORM_NAME,
    VGG_NAME,
    photograph,
    write_small_weights,
)

SHIPPED = files("heqcodec.weights")
ENTRIES = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))["models"]
NAMES = list(ENTRIES)
PATCH_NAMES = [name for name in NAMES if ENTRIES[name]["family"] != registry.RATE]


def forget() -> None:
    for cached in (registry.manifest, registry._encoder, registry._decoder):
        cached.cache_clear()


def use_weights(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    forget()
    monkeypatch.setattr(model_manifest, "files", lambda package: folder)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "weights"
    write_small_weights(folder)
    return folder


@pytest.fixture
def weights(small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the small models, in the place of the shipped ones."""
    folder = tmp_path / "weights"
    shutil.copytree(small_weights, folder)
    use_weights(monkeypatch, folder)
    yield folder
    forget()


def change_manifest(folder: Path, change: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    forget()


class TestShipped:
    @pytest.fixture(autouse=True)
    def fresh(self) -> None:
        forget()

    def test_default_is_among_the_models(self) -> None:
        assert registry.default_model() in NAMES
        assert registry.model_names()[0] == registry.default_model()
        assert sorted(registry.model_names()) == sorted(NAMES)

    @pytest.mark.parametrize("part", ["encoder", "decoder"])
    @pytest.mark.parametrize("name", NAMES)
    def test_files_are_those_of_the_manifest(self, name: str, part: str) -> None:
        entry = registry.manifest()["models"][name][part]
        data = (SHIPPED / entry["file"]).read_bytes()
        assert len(data) == entry["bytes"]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]

    def test_files_are_a_few_megabytes(self) -> None:
        entries = registry.manifest()["models"].values()
        assert sum(e[part]["bytes"] for e in entries for part in ("encoder", "decoder")) < 2**24

    @pytest.mark.parametrize("name", PATCH_NAMES)
    def test_encoder_keeps_the_protocol_and_the_budget(self, name: str) -> None:
        encoder = registry.load_encoder(name)
        assert isinstance(encoder, PatchEncoder)
        assert tuple(encoder.rates) == (64, 128, 256, 512)
        parts = registry.weight_bits(name)
        assert all(bits > 0 for bits in parts.values())
        assert sum(parts.values()) <= 2**20
        # What is counted is what is stored: the file holds whole bytes and a heading more.
        stored = 8 * registry.manifest()["models"][name]["encoder"]["bytes"]
        assert sum(parts.values()) <= stored

    @pytest.mark.parametrize("name", PATCH_NAMES)
    def test_ids_find_the_model_again(self, name: str) -> None:
        encoder = registry.load_encoder(name)
        assert registry.model_of(encoder.encoder_id, encoder.coder_id) == name
        assert len(encoder.encoder_id) == len(encoder.coder_id) == 8

    @pytest.mark.parametrize("name", PATCH_NAMES)
    def test_decoder_sees_far_enough_and_decodes(self, name: str) -> None:
        pixels = photograph()[64:192, 160:288]
        data = heqcodec.encode(pixels, bpp=0.5, model=name)
        decoder = registry.load_decoder(data[24:32], data[32:40], "cpu")
        assert isinstance(decoder, FrameDecoder)
        assert decoder.radius >= 32  # every patch sees its neighbours
        error = heqcodec.decode(data, device="cpu").astype(float) - pixels
        mean = pixels - pixels.mean(axis=(0, 1))
        assert np.mean(error**2) < np.mean(mean**2) / 2

    @pytest.mark.parametrize("name", PATCH_NAMES)
    def test_record_says_how_it_was_made(self, name: str) -> None:
        entry = registry.manifest()["models"][name]
        record = entry["training"]
        assert (SHIPPED / "recipes" / record["recipe"]).is_file()
        assert 0 < record["steps"] <= record["of_steps"]
        assert len(record["data_sha256"]) == 64 and record["tiles"] > 0
        assert record["held_out_images"] > 0
        assert set(entry["held_out"]) == {f"psnr at {bits} bits" for bits in (64, 128, 256, 512)}
        # Names of files, not of folders on somebody's machine.
        assert "/" not in record["command"] and "\\" not in record["command"]

    def test_description_is_for_json(self) -> None:
        described = json.loads(json.dumps(registry.describe_models()))
        assert [item["name"] for item in described] == registry.model_names()
        assert [item["default"] for item in described] == [True] + [False] * (len(NAMES) - 1)
        for item in described:
            if item["mode"] == "patch":
                assert item["bpp"] == [0.0625, 0.125, 0.25, 0.5]
            assert item["weight_bits"] == sum(item["weight_bits_by_part"].values()) <= 2**20


@pytest.mark.usefixtures("weights")
class TestSmall:
    @pytest.mark.parametrize("name", [TRANSFORM_NAME, VGG_NAME])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_encodes_and_decodes(self, name: str, channels: int) -> None:
        pixels = photograph()[:40, :70, :channels]
        data = heqcodec.encode(pixels, bpp=0.25, model=name)
        decoded = heqcodec.decode(data, device="cpu")
        assert decoded.shape == (40, 70, channels) and decoded.dtype == np.uint8

    def test_default_comes_first(self) -> None:
        assert registry.model_names() == [TRANSFORM_NAME, VGG_NAME]
        assert heqcodec.info(heqcodec.encode(np.zeros((5, 5), np.uint8)))

    def test_models_are_loaded_once(self) -> None:
        encoder = registry.load_encoder(VGG_NAME)
        assert registry.load_encoder(VGG_NAME) is encoder
        ids = encoder.encoder_id, encoder.coder_id
        assert registry.load_decoder(*ids, "cpu") is registry.load_decoder(*ids, "cpu")

    def test_unknown_name(self) -> None:
        with pytest.raises(HeqUnsupportedError) as error:
            registry.load_encoder("nqe-x")
        assert str(error.value) == (
            f'there is no model "nqe-x"; the models here are {TRANSFORM_NAME}, {VGG_NAME}.'
        )

    def test_unknown_id(self) -> None:
        assert registry.model_of(bytes(8), bytes(8)) is None
        with pytest.raises(
            HeqUnsupportedError, match="no model here reads encoder 0000000000000000"
        ):
            registry.load_decoder(bytes(8), bytes(8))

    def test_encoder_with_the_tables_of_another(self) -> None:
        encoder = registry.load_encoder(TRANSFORM_NAME)
        with pytest.raises(HeqUnsupportedError, match="newer heqcodec"):
            registry.load_decoder(encoder.encoder_id, bytes(8))

    def test_retired_id_names_the_version_that_reads_it(self, weights: Path) -> None:
        old = bytes.fromhex("0123456789abcdef"), bytes(range(8))
        key = f"{old[0].hex()}-{old[1].hex()}"
        change_manifest(weights, lambda manifest: manifest["retired"].update({key: "0.1.3"}))
        with pytest.raises(HeqUnsupportedError, match=r"pip install heqcodec==0\.1\.3"):
            registry.load_decoder(*old)

    @pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99"])
    def test_unknown_device(self, device: str) -> None:
        data = heqcodec.encode(np.zeros((5, 5), np.uint8))
        with pytest.raises(HeqUnsupportedError, match=f'no device "{device}" here'):
            heqcodec.decode(data, device=device)


class TestDamage:
    @pytest.mark.parametrize("name", [TRANSFORM_NAME, VGG_NAME])
    def test_flipped_bit_in_an_encoder(self, weights: Path, name: str) -> None:
        path = weights / f"{name}.encoder.safetensors"
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
        with pytest.raises(HeqError, match=rf"{path.name} are damaged.*install heqcodec again"):
            registry.load_encoder(name)

    @pytest.mark.parametrize("cut", [0, 7, 1000])
    def test_cut_decoder(self, weights: Path, cut: int) -> None:
        path = weights / f"{TRANSFORM_NAME}.purenet.safetensors"
        data = heqcodec.encode(np.zeros((5, 5), np.uint8))
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(HeqError, match=rf"{path.name} are damaged"):
            heqcodec.decode(data)

    def test_missing_file(self, weights: Path) -> None:
        (weights / f"{VGG_NAME}.encoder.safetensors").unlink()
        with pytest.raises(HeqError, match=r"cannot be read .*install heqcodec again"):
            registry.load_encoder(VGG_NAME)

    def test_weights_that_give_other_ids(self, weights: Path) -> None:
        def swap(manifest: dict[str, Any]) -> None:
            manifest["models"][VGG_NAME]["encoder"]["encoder_id"] = "00" * 8

        change_manifest(weights, swap)
        with pytest.raises(HeqError, match="do not give the ids of the manifest"):
            registry.load_encoder(VGG_NAME)

    def test_encoder_over_the_budget(self, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoder = registry.load_encoder(VGG_NAME)
        monkeypatch.setattr(type(encoder), "weight_bits", lambda self: {"all": 2**20 + 1})
        with pytest.raises(HeqError, match="more than 1048576"):
            registry.describe_models()

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "{}", '{"default": "a", "models": {}}', '{"default": [], "models": {}}'],
    )
    def test_manifest_that_is_none(self, weights: Path, text: str) -> None:
        (weights / "manifest.json").write_text(text)
        forget()
        with pytest.raises(HeqError, match=r"manifest .* install heqcodec again"):
            registry.load_encoder(VGG_NAME)

    def test_no_manifest(self, weights: Path) -> None:
        (weights / "manifest.json").unlink()
        forget()
        with pytest.raises(HeqError, match=r"manifest .* install heqcodec again"):
            heqcodec.encode(np.zeros((5, 5), np.uint8))


def test_transform_encoder_needs_no_torch(small_weights: Path) -> None:
    program = (
        "import sys, pathlib, numpy, heqcodec\n"
        "from heqcodec.models import registry as models\n"
        f"heqcodec.models.manifest.files = lambda package: pathlib.Path({str(small_weights)!r})\n"
        "data = heqcodec.encode(numpy.zeros((40, 40, 3), numpy.uint8), bpp=0.25)\n"
        "assert len(data) > 4 * 32\n"
        "assert 'torch' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_decoder_of_a_binary_code_has_no_base(small_weights: Path) -> None:
    manifest = json.loads((small_weights / "manifest.json").read_text())
    config = manifest["models"][VGG_NAME]["decoder"]["config"]
    assert config["inputs"] == BINARY_INPUTS and config["has_base"] is False
