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
from heqcodec.base.errors import HeqError, HeqFormatError, HeqUnsupportedError
from heqcodec.lab.classifier import NqeClassifier, export, load_images
from heqcodec.lab.classifier.export import export_classifier
from heqcodec.lab.classifier.networks import save_classifier
from heqcodec.lab.classifier.packed_nqe import pack_nqe
from heqcodec.lab.classifier.recipe import ClassifierRecipe
from heqcodec.models import classifiers as shipped
from heqcodec.nqe_vgg.classifier import IntegerClassifier
from labelled_images import easy_images, some_pixels
from PIL import Image

DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[2] / "../shared/data"))
CIFAR = DATA / "cifar.npz"


@pytest.fixture(scope="module")
def network() -> NqeClassifier:
    """Random weights, shifts alone, three classes."""
    torch.manual_seed(2)
    made = NqeClassifier(3)
    made.train()(torch.from_numpy(some_pixels(8, 32, 0)).permute(0, 3, 1, 2))
    made.switch_to_bsn()
    return made.eval()


@pytest.mark.parametrize("native", [True, False])
def test_packed_network_computes_the_same(network: NqeClassifier, native: bool) -> None:
    packed = pack_nqe(network, native)
    assert packed.bits <= 2**20 and packed.classes == 3
    pixels = some_pixels(6, 32, 5)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    bits = (network.code(batch) > 0).flatten(1).numpy()
    assert np.array_equal(packed.codes(pixels), bits)
    # Each weight is off by half a step at most, and so is the bias.
    logits = network(batch).detach().numpy()
    assert np.abs(packed.scores(pixels) * packed.scale - logits).max() < 257 / 2 * packed.scale
    again = IntegerClassifier.from_tensors(packed.packed())
    assert np.array_equal(again.scores(pixels), packed.scores(pixels))
    assert again.scale == np.float32(packed.scale)


def test_scores_by_hand(network: NqeClassifier) -> None:
    packed = pack_nqe(network)
    pixels = some_pixels(2, 32, 9)
    for code, scores in zip(packed.codes(pixels), packed.scores(pixels), strict=True):
        for weight, bias, score in zip(packed.weight, packed.bias, scores, strict=True):
            signed = (int(w) if bit else -int(w) for w, bit in zip(weight, code, strict=True))
            assert score == bias + sum(signed)
    empty = packed.probabilities(np.empty((0, 32, 32, 3), np.uint8))
    assert empty.shape == (0, 3)


def test_tensors_that_make_no_classifier(network: NqeClassifier) -> None:
    tensors = pack_nqe(network).packed()
    for name, value, reported in (
        ("shifts", None, "shifts"),
        ("head.bias", None, "head.bias"),
        ("head.weight", np.zeros((3, 255), np.int8), "head of a classifier"),
        ("head.scale", np.zeros(1, np.float32), "above 0"),
        ("head.scale", np.zeros(2, np.float32), "above 0"),
    ):
        changed = {k: v for k, v in tensors.items() if k != name}
        if value is not None:
            changed[name] = value
        with pytest.raises(HeqFormatError, match=reported):
            IntegerClassifier.from_tensors(changed)
    classes = 200
    many = {
        "head.weight": np.zeros((classes, 256), np.int8),
        "head.bias": np.zeros(classes, np.int32),
    }
    with pytest.raises(HeqError, match="fewer classes"):
        IntegerClassifier.from_tensors({**tensors, **many})


def test_batch_normalization_cannot_be_packed() -> None:
    with pytest.raises(HeqError, match="nothing but shifts"):
        pack_nqe(NqeClassifier(3))


def test_export_lists_what_it_packs(network: NqeClassifier, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = {"name": "x", "network": "nqe", "epochs": 1, "weights": "mixed"}
    recipe = ClassifierRecipe.of(values)
    save_classifier(network, recipe, ("a", "b", "c"), 32, folder / "classifier.safetensors")
    images = easy_images(3, 8)
    facts = {**dict.fromkeys(export.KEPT, "text"), "accuracy": 50.0}
    facts["images_sha256"] = images.digest()
    (folder / "result.json").write_text(json.dumps({**facts, "weights_sha256": "other"}))
    with pytest.raises(HeqError, match="not those"):
        export_classifier(folder, images, "one", tmp_path)
    digest = hashlib.sha256((folder / "classifier.safetensors").read_bytes()).hexdigest()
    (folder / "result.json").write_text(json.dumps({**facts, "weights_sha256": digest}))
    with pytest.raises(HeqError, match="not the images"):
        export_classifier(folder, easy_images(3, 8, 9), "one", tmp_path)
    entry = export_classifier(folder, images, "one", tmp_path)
    assert entry["bytes"] == (tmp_path / "one.classifier.safetensors").stat().st_size
    best = pack_nqe(network).scores(images.test).argmax(axis=1)
    assert entry["accuracy"] == round(100 * (best == images.test_labels).mean(), 3)
    assert entry["accuracy_of_run"] == 50.0
    export_classifier(folder, images, "two", tmp_path)
    listed = json.loads((tmp_path / "classifiers.json").read_text())
    assert listed["default"] == "one" and set(listed["classifiers"]) == {"one", "two"}


def test_shipped_classifier() -> None:
    classifier = shipped.load_shipped()
    assert len(classifier.classes) == 10 and classifier.network.bits == classifier.facts["bits"]
    probabilities = classifier.probabilities(some_pixels(3, 32, 1))
    assert probabilities.shape == (3, 10) and probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    # x * 2^-k steps up at quarters; behind the last layer there is the sign alone.
    shifts = [item.shift + 2 for item in classifier.network.encoder.layers[:-1]]
    assert shifts == classifier.facts["shifts"][:-1]
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
    (reported,) = json.loads(run("classify", photo, "--json").stdout)["files"]
    assert reported["class"] in shipped.load_shipped().classes
    assert sum(reported["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert max(reported["probabilities"].values()) == reported["probability"]
    assert reported["classifier"] == "nqe-bsn"
    quiet = run("classify", "--quiet", photo)
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    verbose = run("classify", "-v", photo).stderr
    assert f"{shipped.load_shipped().facts['accuracy']:.2f} %" in verbose and "Kernel: " in verbose


def test_command_takes_folders_and_goes_on_after_a_bad_file(photo: Path) -> None:
    Image.new("RGB", (32, 32), "blue").save(photo.with_name("small.png"))
    photo.with_name("broken.png").write_bytes(b"no image")
    result = run("classify", photo.parent, "--json")
    assert result.exit_code == 1
    reported = json.loads(result.stdout)
    assert [Path(item["input"]).name for item in reported["files"]] == ["photo.png", "small.png"]
    assert reported["files"][1]["seen"] == "all of it"
    assert "broken.png" in reported["failed"][0]["error"] and "1 of 3 files failed" in result.stderr


def test_command_decodes_heq_files(coded: Path, tmp_path: Path) -> None:
    Image.fromarray(heqcodec.decode(coded)).save(tmp_path / "decoded.png")
    result = run("classify", coded, tmp_path / "decoded.png", "--json")
    first, second = json.loads(result.stdout)["files"]
    assert first["probabilities"] == second["probabilities"]


@pytest.mark.data
@pytest.mark.skipif(not CIFAR.exists(), reason="needs cifar.npz in HEQCODEC_DATA")
def test_accuracy_on_a_few_images() -> None:
    images = load_images(CIFAR)
    classifier = shipped.load_shipped()
    assert images.digest() == classifier.facts["images_sha256"]
    best = classifier.probabilities(images.test[:500]).argmax(1)
    expected = classifier.facts["accuracy"] / 100
    spread = (expected * (1 - expected) / len(best)) ** 0.5
    assert abs((best == images.test_labels[:500]).mean() - expected) <= 2 * spread
