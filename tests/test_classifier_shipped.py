"""The classifier that ships: its packed weights, and ``heqcodec classify``."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import heqcodec
import numpy as np
import pytest
import torch
from command_runner import run
from heqcodec.classifier import NqeClassifier, export, load_images, shipped
from heqcodec.classifier.export import export_classifier
from heqcodec.classifier.networks import save_classifier
from heqcodec.classifier.packed_nqe import LEVELS, pack_levels, pack_nqe, unpack_levels, unpack_nqe
from heqcodec.classifier.recipe import ClassifierRecipe
from heqcodec.errors import HeqError, HeqUnsupportedError
from labelled_images import some_pixels
from PIL import Image

DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[1] / "../shared/data"))
CIFAR = DATA / "cifar.npz"


@pytest.fixture(scope="module")
def network() -> NqeClassifier:
    """Random weights, shifts alone, three classes."""
    torch.manual_seed(2)
    made = NqeClassifier(3)
    made.train()(torch.from_numpy(some_pixels(8, 32, 0)).permute(0, 3, 1, 2))
    made.switch_to_bsn()
    return made.eval()


@pytest.mark.parametrize("bits", LEVELS)
def test_levels_there_and_back(bits: int) -> None:
    levels = np.random.default_rng(bits).choice(LEVELS[bits], 77)
    packed = pack_levels(levels, bits)
    assert packed.dtype == np.uint8 and len(packed) == -(-77 * bits // 8)
    assert np.array_equal(unpack_levels(packed, bits, 77), levels)
    with pytest.raises(HeqError, match="levels"):
        pack_levels(np.array([1, 9]), bits)
    with pytest.raises(HeqError, match="are not"):
        unpack_levels(packed[1:], bits, 77)


def test_levels_by_hand() -> None:
    assert pack_levels(np.array([-2, 2, 0]), 3).tolist() == [0b00010001, 0]
    assert pack_levels(np.array([-1, 0, 1]), 2).tolist() == [0b00011000]
    assert pack_levels(np.array([1, -1, 1]), 1).tolist() == [0b10100000]
    with pytest.raises(HeqError, match="no level"):
        unpack_levels(np.array([0b11000000], np.uint8), 2, 2)


def test_packed_network_computes_the_same(network: NqeClassifier) -> None:
    tensors = pack_nqe(network)
    assert sum(t.size for name, t in tensors.items() if "levels" in name) == 1_004_608 // 8
    again = unpack_nqe(tensors)
    pixels = torch.from_numpy(some_pixels(4, 32, 5)).permute(0, 3, 1, 2)
    assert torch.equal(again.code(pixels), network.code(pixels))
    assert torch.equal(again(pixels), network(pixels))
    del tensors["shifts"]
    with pytest.raises(HeqError, match="shifts"):
        unpack_nqe(tensors)


def test_batch_normalization_cannot_be_packed() -> None:
    with pytest.raises(HeqError, match="nothing but shifts"):
        pack_nqe(NqeClassifier(3))


def test_export_lists_what_it_packs(network: NqeClassifier, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = {"name": "x", "network": "nqe", "epochs": 1, "weights": "mixed"}
    recipe = ClassifierRecipe.of(values)
    save_classifier(network, recipe, ("a", "b", "c"), 32, folder / "classifier.safetensors")
    facts = dict.fromkeys(export.KEPT, "told")
    (folder / "result.json").write_text(json.dumps({**facts, "weights_sha256": "other"}))
    with pytest.raises(HeqError, match="not those"):
        export_classifier(folder, "one", tmp_path)
    digest = hashlib.sha256((folder / "classifier.safetensors").read_bytes()).hexdigest()
    (folder / "result.json").write_text(json.dumps({**facts, "weights_sha256": digest}))
    entry = export_classifier(folder, "one", tmp_path)
    assert entry["bytes"] == (tmp_path / "one.classifier.safetensors").stat().st_size
    export_classifier(folder, "two", tmp_path)
    listed = json.loads((tmp_path / "classifiers.json").read_text())
    assert listed["default"] == "one" and set(listed["classifiers"]) == {"one", "two"}


def test_shipped_classifier() -> None:
    classifier = shipped.load_shipped()
    assert classifier.facts["accuracy"] == 85.92 and len(classifier.classes) == 10
    shares = classifier.probabilities(some_pixels(3, 32, 1))
    assert shares.shape == (3, 10) and shares.dtype == np.float32
    assert np.allclose(shares.sum(1), 1, atol=1e-5)
    assert [norm.shift for norm in classifier.network.norms] == classifier.facts["shifts"]
    with pytest.raises(HeqError, match="uint8 pixels"):
        classifier.probabilities(np.zeros((1, 32, 32, 3)))
    with pytest.raises(HeqUnsupportedError, match='no classifier "best"'):
        shipped.load_shipped("best")


def test_damaged_weights_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "files", lambda package: tmp_path)
    monkeypatch.setattr(shipped, "index", shipped.index.__wrapped__)
    load = shipped.load_shipped.__wrapped__
    with pytest.raises(HeqError, match="install heqcodec again"):
        load()
    facts = {"file": "n.safetensors", "sha256": "0" * 64, "classes": []}
    listed = {"default": "n", "classifiers": {"n": facts}}
    (tmp_path / "classifiers.json").write_text(json.dumps(listed))
    with pytest.raises(HeqError, match="cannot be read"):
        load()
    (tmp_path / "n.safetensors").write_bytes(b"anything")
    with pytest.raises(HeqError, match="damaged: SHA-256"):
        load()


def test_as_seen_shows_white_through_what_is_transparent() -> None:
    grey = np.full((40, 60, 1), 100, np.uint8)
    assert (shipped.as_seen(grey) == 100).all()
    clear = np.concatenate([grey, np.zeros_like(grey)], axis=2)
    assert (shipped.as_seen(clear) == 255).all()
    half = np.concatenate([grey, grey, grey, np.full_like(grey, 51)], axis=2)
    assert (shipped.as_seen(half) == 224).all()
    assert shipped.as_seen(half).shape == (32, 32, 3)


def test_command_prints_class_and_probability(photo: Path) -> None:
    result = run("classify", photo)
    assert result.exit_code == 0, result.stderr
    line = result.stdout.strip()
    assert line.startswith(f"{photo}: ") and "100x70, centre square, Lanczos to 32x32" in line
    told = json.loads(run("classify", photo, "--json").stdout)
    assert told["class"] in shipped.load_shipped().classes
    assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert max(told["probabilities"].values()) == told["probability"]
    assert told["classifier"] == "nqe-bsn"
    assert "85.92 %" in run("classify", "-v", photo).stderr


def test_command_takes_folders_and_goes_on_after_a_bad_file(photo: Path) -> None:
    Image.new("RGB", (32, 32), "blue").save(photo.with_name("small.png"))
    photo.with_name("broken.png").write_bytes(b"no image")
    result = run("classify", photo.parent, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [Path(item["input"]).name for item in told["files"]] == ["photo.png", "small.png"]
    assert told["files"][1]["seen"] == "all of it"
    assert "broken.png" in told["failed"][0]["error"] and "1 of 3 files failed" in result.stderr


def test_command_decodes_heq_files(coded: Path, tmp_path: Path) -> None:
    Image.fromarray(heqcodec.decode(coded)).save(tmp_path / "decoded.png")
    told = [json.loads(run("classify", path, "--json").stdout) for path in (
        coded, tmp_path / "decoded.png",
    )]  # fmt: skip
    assert told[0]["probabilities"] == told[1]["probabilities"]


@pytest.mark.data
@pytest.mark.skipif(not CIFAR.exists(), reason="needs cifar.npz in HEQCODEC_DATA")
def test_accuracy_on_a_few_images() -> None:
    images = load_images(CIFAR)
    classifier = shipped.load_shipped()
    assert images.digest() == classifier.facts["images_sha256"]
    best = classifier.probabilities(images.test[:500]).argmax(1)
    # Two standard deviations of 500 images around 85.92 %.
    assert 0.828 <= (best == images.test_labels[:500]).mean() <= 0.890
