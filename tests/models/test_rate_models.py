"""The registry of models of variable rate: manifest, ids, defaults; light parts in its classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.rate_protocols import RateDecoder, RateEncoder, StripCoder
from heqcodec.container.header import Coder
from heqcodec.models import manifest as model_manifest
from heqcodec.models import registry
from heqcodec.nqe_r import coders
from heqcodec.purenet import backends
from heqcodec.purenet.self_ensemble import SelfEnsemble
from light_rate_model import (
    LightDeviceCoder,
    LightPackedCoder,
    LightRateDecoder,
    LightRateEncoder,
)
from safetensors.numpy import save
from sample_rate_files import PHOTO

SHARED = {"stem.a": np.arange(3, dtype=np.int8), "device.b": np.arange(5, dtype=np.uint16)}
PACKED = {"c": np.arange(7, dtype=np.int16)}
NETWORK = {"d": np.arange(4, dtype=np.float16)}


def stored(folder: Path, file: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    data = save(tensors)
    (folder / file).write_bytes(data)
    return {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def rate_entry(folder: Path) -> dict[str, Any]:
    """An entry of the manifest; encoder and device coder share a file, as in a device."""
    shared = stored(folder, "r.encoder.safetensors", SHARED)
    packed = stored(folder, "r.packed.safetensors", PACKED)
    return {
        "family": "rate",
        "about": "for tests",
        "default_quality": 42,
        "encoder": {**shared, "prefix": "stem.", "encoder_id": b"lightrat".hex()},
        "coders": {
            "device": {**shared, "prefix": "device.", "coder_id": b"lightdev".hex()},
            "packed": {**packed, "coder_id": b"lightpak".hex()},
        },
        "decoder": {
            **stored(folder, "r.purenet.safetensors", NETWORK),
            "config": {"width": 3},
            "parameters": 4,
        },
        "training": {},
        "held_out": {},
    }


def patch_entry(name: str) -> dict[str, Any]:
    ids = {"encoder_id": name.encode().hex(), "coder_id": "00" * 8}
    return {"family": "vgg", "encoder": ids, "decoder": {}}


@pytest.fixture
def given_parts() -> dict[str, Any]:
    """What the makers of parts were given."""
    return {}


@pytest.fixture
def weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_parts: dict[str, Any]
) -> Iterator[Path]:
    """A folder of weights with a model of variable rate, the default, and two others."""
    manifest = {
        "default": "r",
        "models": {"q": patch_entry("qqqqqqqq"), "p": patch_entry("pppppppp")},
        "retired": {"0123456789abcdef-0001020304050607": "0.1.3"},
    }
    manifest["models"]["r"] = rate_entry(tmp_path)  # type: ignore[index]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    def make_encoder(tensors: Any) -> LightRateEncoder:
        given_parts["encoder"] = dict(tensors)
        return LightRateEncoder()

    def make_device_coder(tables: Any) -> LightDeviceCoder:
        given_parts["DEVICE"] = dict(tables)
        return LightDeviceCoder()

    def make_packed_coder(tables: Any) -> LightPackedCoder:
        given_parts["PACKED"] = dict(tables)
        return LightPackedCoder()

    def load_network(tensors: Any, config: Any, device: str, backend: str) -> Any:
        given_parts["network"] = config, device
        return SimpleNamespace(radius=0, hints=0)

    def make_decoder(encoder: Any, tensors: Any, network: Any) -> LightRateDecoder:
        given_parts["views"] = len(network.views) if isinstance(network, SelfEnsemble) else 1
        return LightRateDecoder()

    monkeypatch.setattr(backends, "load_network", load_network)

    family = replace(
        registry.FAMILIES["rate"], make_encoder=make_encoder, make_decoder=make_decoder
    )
    monkeypatch.setitem(registry.FAMILIES, "rate", family)
    for kind, make in ((Coder.DEVICE, make_device_coder), (Coder.PACKED, make_packed_coder)):
        monkeypatch.setitem(coders._BY_NUMBER, kind, replace(coders._BY_NUMBER[kind], make=make))
    monkeypatch.setattr(model_manifest, "files", lambda package: tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for cached in (registry.manifest, registry._encoder, registry._strip_coder, registry._decoder):
        cached.cache_clear()


def change_manifest(folder: Path, change: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    forget()


@pytest.mark.usefixtures("weights")
class TestRegistry:
    def test_names_and_defaults(self, weights: Path) -> None:
        assert registry.model_names() == ["r", "p", "q"]
        assert registry.model_names("rate") == ["r"] and registry.model_names("patch") == ["p", "q"]
        assert [registry.default_model(mode) for mode in ("auto", "rate", "patch")] == [
            "r",
            "r",
            "p",
        ]
        assert registry.default_quality("r") == 42
        change_manifest(weights, lambda manifest: manifest.update(defaults={"patch": "q"}))
        assert registry.default_model("patch") == "q"
        change_manifest(weights, lambda manifest: manifest.update(default="p"))
        assert [registry.default_model(mode) for mode in ("auto", "rate", "patch")] == [
            "p",
            "r",
            "p",
        ]
        change_manifest(weights, lambda manifest: manifest["models"].pop("r"))
        with pytest.raises(HeqUnsupportedError, match="no model of mode rate"):
            registry.default_model("rate")

    def test_parts_get_their_tensors(self, given_parts: dict[str, Any]) -> None:
        assert isinstance(registry.load_rate_encoder("r"), RateEncoder)
        assert isinstance(registry.load_strip_coder("r", Coder.DEVICE), StripCoder)
        assert isinstance(registry.load_strip_coder("r", Coder.PACKED), StripCoder)
        assert isinstance(registry.load_rate_decoder("r", "cpu"), RateDecoder)
        assert set(given_parts["encoder"]) == {"a"} and set(given_parts["DEVICE"]) == {"b"}
        assert np.array_equal(given_parts["PACKED"]["c"], PACKED["c"])
        assert given_parts["network"] == ({"width": 3}, "cpu")
        assert registry.load_strip_coder("r", 2) is registry.load_strip_coder("r", Coder.DEVICE)
        assert registry.load_rate_encoder("r") is registry.load_rate_encoder("r")

    def test_further_decoders_by_name(self, weights: Path, given_parts: dict[str, Any]) -> None:
        with pytest.raises(HeqUnsupportedError, match='"r" has no decoder "fast"; choose one of s'):
            registry.load_rate_decoder("r", "cpu", "fast")
        part = {**stored(weights, "fast", {"e": np.ones(2)}), "config": {"width": 1}}
        change_manifest(weights, lambda made: made["models"]["r"].update(decoders={"fast": part}))
        strong = registry.load_rate_decoder("r", "cpu")
        assert registry.load_rate_decoder("r", "cpu", "strong") is strong
        assert given_parts["network"][0] == {"width": 3}
        registry.load_rate_decoder("r", "cpu", "fast")
        assert given_parts["network"][0] == {"width": 1} and given_parts["views"] == 1
        for name, views in (("best", 4), ("best-2", 2), ("best-8", 8)):
            assert registry.load_rate_decoder("r", "cpu", name) is not strong
            assert given_parts["network"][0] == {"width": 3} and given_parts["views"] == views

    def test_views_of_a_best_decoder_with_weights_of_its_own(
        self, weights: Path, given_parts: dict[str, Any]
    ) -> None:
        part = {**stored(weights, "best", {"e": np.ones(2)}), "config": {"width": 4}}
        change_manifest(weights, lambda made: made["models"]["r"].update(decoders={"best": part}))
        for name, views in (("best", 4), ("best-2", 2), ("best-8", 8)):
            registry.load_rate_decoder("r", "cpu", name)
            assert given_parts["network"][0] == {"width": 4} and given_parts["views"] == views
        registry.load_rate_decoder("r", "cpu", "strong")
        assert given_parts["network"][0] == {"width": 3} and given_parts["views"] == 1

    def test_files_find_their_model(self) -> None:
        for coder in (b"lightdev", b"lightpak"):
            assert registry.model_of_file(b"lightrat", coder) == "r"
        with pytest.raises(HeqUnsupportedError, match="no model here reads"):
            registry.model_of_file(b"lightrat", bytes(8))
        with pytest.raises(HeqUnsupportedError, match=r"heqcodec==0\.1\.3"):
            registry.model_of_file(bytes.fromhex("0123456789abcdef"), bytes(range(8)))

    def test_modes_do_not_mix(self) -> None:
        with pytest.raises(HeqUnsupportedError, match='"r" is of mode rate, not of mode patch'):
            registry.load_encoder("r")
        for load in (registry.load_rate_encoder, registry.load_rate_decoder):
            with pytest.raises(HeqUnsupportedError, match='"p" is of mode patch'):
                load("p")
        with pytest.raises(HeqUnsupportedError, match='no model "x"'):
            registry.load_strip_coder("x", Coder.DEVICE)

    @pytest.mark.parametrize("part", ["encoder", "device", "packed"])
    def test_other_ids_than_the_manifest_s(self, weights: Path, part: str) -> None:
        def swap(manifest: dict[str, Any]) -> None:
            entry = manifest["models"]["r"]
            entry = entry["encoder"] if part == "encoder" else entry["coders"][part]
            entry["encoder_id" if part == "encoder" else "coder_id"] = "00" * 8

        change_manifest(weights, swap)
        with pytest.raises(HeqError, match="do not give the ids"):
            if part == "encoder":
                registry.load_rate_encoder("r")
            else:
                registry.load_strip_coder("r", Coder[part.upper()])

    def test_damaged_weights(self, weights: Path) -> None:
        path = weights / "r.packed.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
        with pytest.raises(HeqError, match=r"r\.packed\.safetensors are damaged"):
            registry.load_strip_coder("r", Coder.PACKED)

    def test_description(self, weights: Path) -> None:
        change_manifest(weights, lambda manifest: [manifest["models"].pop(name) for name in "pq"])
        (described,) = json.loads(json.dumps(registry.describe_models()))
        assert (described["mode"], described["default_quality"]) == ("rate", 42)
        assert described["device_coder_id"] == b"lightdev".hex()
        assert described["weight_bits_by_part"] == {"transform": 1024, "tables": 64}

    def test_files_from_end_to_end(self) -> None:
        data = heqcodec.encode(PHOTO)
        facts = heqcodec.info(data)
        assert (facts["mode"], facts["model"], facts["quality"]) == ("rate", "r", 42)
        assert heqcodec.unpack(heqcodec.pack(data)) == data
        assert heqcodec.decode(data, device="cpu").shape == PHOTO.shape


def test_without_a_model_of_variable_rate_its_options_are_refused(
    weights: Path,
) -> None:
    change_manifest(weights, lambda manifest: manifest.update(default="p"))
    change_manifest(weights, lambda manifest: manifest["models"].pop("r"))
    for option in ({"quality": 50}, {"target_size": 9}, {"mode": "rate"}, {"coder": "packed"}):
        with pytest.raises(HeqUnsupportedError, match="patch-constant files only"):
            heqcodec.encode(PHOTO, **option)  # type: ignore[arg-type]


def test_a_patch_model_beside_one_of_variable_rate(weights: Path) -> None:
    change_manifest(weights, lambda manifest: manifest.update(default="p"))
    with pytest.raises(HeqError, match="choose mode='rate'"):
        heqcodec.encode(PHOTO, quality=50, mode="patch")
    assert heqcodec.info(heqcodec.encode(PHOTO, quality=50))["quality"] == 50
    assert heqcodec.info(heqcodec.encode(PHOTO, mode="rate"))["quality"] == 42
