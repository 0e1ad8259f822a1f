"""The comparison of quantizers, in seconds: what it writes, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_runner import names, run
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier.images import load_images
from heqcodec.lab.comparison.candidates import CANDIDATES, chosen
from heqcodec.lab.comparison.classifier_task import ClassifierTask
from heqcodec.lab.comparison.codec_task import CodecTask
from heqcodec.lab.comparison.comparison import layer_use
from heqcodec.lab.comparison.results import markdown
from heqcodec.lab.comparison.seeds import merged, seed_deviation
from heqcodec.lab.networks.reduced import ReducedNqe, reduced_layers
from heqcodec.nqe_vgg.layout import VGG_LAYERS
from heqcodec.quantizers import make_quantizer

SMALL = ("--minutes", "0.001", "--width", "4")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Forty images of noise with labels, of which thirty are trained on."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 4, 40, dtype=np.uint8)
    np.savez(tmp_path / "small.npz", images=images, labels=labels, train=30)
    return tmp_path / "small.npz"


class TestNetwork:
    def test_full_width_is_that_of_the_encoder(self) -> None:
        layers = reduced_layers(64)
        assert layers[:-1] == VGG_LAYERS[:-1] and layers[-1].outputs == 16

    def test_seeds_decide(self) -> None:
        first, second, other = (ReducedNqe(4, seed=seed) for seed in (1, 1, 2))
        pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
        assert torch.equal(first(pixels), second(pixels))
        weights = [next(n.reduced_blocks())[1].latent for n in (first, other)]
        assert not torch.equal(*weights)

    @pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda c: c.label)
    def test_every_candidate_has_the_bits_of_its_group(self, candidate) -> None:  # type: ignore[no-untyped-def]
        quantizer = make_quantizer(candidate.name, **candidate.options)
        assert quantizer.bits == candidate.bits

    def test_use_of_levels(self, tiles: np.ndarray) -> None:
        task = CodecTask(tiles, [tiles[0][:64, :64]], 4, torch.device("cpu"), 0)
        network = task.build()
        task.encoder(network).quantize(lambda layer: make_quantizer("heq3"))  # type: ignore[arg-type,return-value]
        for layer, use in zip(reduced_layers(4), layer_use(task, network), strict=True):
            assert sum(use["counts"]) == layer.weights and use["layer"] == layer.name
            fractions = [count / layer.weights for count in use["counts"] if count]
            entropy = -sum(p * math.log2(p) for p in fractions)
            assert use["entropy_ratio"] == pytest.approx(entropy / math.log2(3), abs=1e-3)

    def test_measuring_the_classifier(self, labelled: Path) -> None:
        task = ClassifierTask(load_images(labelled), 4, torch.device("cpu"), 0)
        network = task.build()
        assert 0 <= task.measure(network) <= 100
        assert float(task.loss(network, torch.Generator().manual_seed(1)).detach()) > 0


@pytest.mark.usefixtures("light_training")
class TestCommand:
    @pytest.mark.slow
    def test_what_it_writes(self, photographs: Path, held_out: Path, labelled: Path) -> None:
        out = labelled.parent / "out"
        chosen_ones = ("--quantizer", "heq3", "--quantizer", "bnn++", "--quantizer", "lsq2")
        given = ("--data", photographs, "--held-out", held_out, "--cifar", labelled, "--out", out)
        result = run("eval", "quantizers", *given, *SMALL, *chosen_ones)
        assert result.exit_code == 0, result.stderr
        wanted = ["figures.png", "occupancy-classifier.png", "occupancy-codec.png"]
        assert names(out) == [*wanted, "results.json", "table.md"]
        found = json.loads((out / "results.json").read_text())
        assert found["seed"] == 1 and len(found["data_sha256"]["photographs"]) == 64
        assert str(photographs) not in json.dumps(found) and "--quantizer bnn++" in found["command"]
        labels = [row["label"] for row in found["rows"]]
        assert labels[0] == "full precision" and set(labels[1:]) == {"heq3", "bnn++", "lsq2"}
        assert [row["bits"] for row in found["rows"]] == [32, 1, 2, 2]
        assert all(len(row["codec"]["layers"]) == 7 for row in found["rows"][1:])
        assert (out / "table.md").read_text() == result.stdout
        again = run("eval", "quantizers", *given, *SMALL)
        assert again.exit_code == 1 and "give another --out" in again.stderr

    def test_what_it_refuses(self, photographs: Path, tmp_path: Path) -> None:
        given = ("--data", photographs, "--held-out", photographs, "--out", tmp_path / "o")
        unknown = run("eval", "quantizers", *given, "--quantizer", "heq33")
        assert unknown.exit_code == 1 and "there is no quantizer heq33" in unknown.stderr
        odd = run("eval", "quantizers", *given, "--width", "5")
        assert odd.exit_code == 1 and "the width must be even" in odd.stderr

    def test_labels(self, tmp_path: Path) -> None:
        assert chosen([]) == list(CANDIDATES)
        np.savez(tmp_path / "x.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.zeros(4))
        small = load_images(tmp_path / "x.npz")
        assert len(small.train) == 3 and len(small.test) == 1  # four fifths
        with pytest.raises(HeqError, match="images of 32 x 32 pixels, not of 8 x 8"):
            ClassifierTask(small, 4, torch.device("cpu"), 0)
        (tmp_path / "y.npz").write_bytes(b"no")
        with pytest.raises(HeqError, match=r"images of .*y.npz cannot be read"):
            load_images(tmp_path / "y.npz")


class TestSeeds:
    def test_rounds_become_one_table(self) -> None:
        def row(label: str, bits: int, figure: float) -> dict[str, Any]:
            name = None if bits == 32 else label
            used = [] if bits == 32 else [{"layer": "conv1", "entropy_ratio": 1.0}]
            measured = {"figure": figure, "steps": 10, "seconds": 1.5, "layers": used}
            return {"label": label, "name": name, "bits": bits, "codec": measured}

        first = [row("full precision", 32, 20.0), row("heq3", 2, 18.0), row("twn", 2, 18.5)]
        second = [row("full precision", 32, 21.0), row("heq3", 2, 19.0)]
        rows = merged([first, second], ["codec"])
        assert [r["codec"]["figure"] for r in rows] == [20.5, 18.5, 18.5]
        assert rows[1]["codec"]["figures"] == [18.0, 19.0] and rows[1]["codec"]["seconds"] == 3.0
        # Two pairs one apart: variance 1/2 each.
        assert seed_deviation(rows, "codec") == (pytest.approx(math.sqrt(0.5)), 2)
        table = markdown(rows)
        assert "18.00, 19.00" in table and "0.71 dB (codec;" in table
        assert math.isnan(seed_deviation(merged([first], ["codec"]), "codec")[0])
        assert "by seed" not in markdown(merged([first], ["codec"]))

    @pytest.mark.slow
    @pytest.mark.usefixtures("light_training")
    def test_command(self, photographs: Path, held_out: Path, tmp_path: Path) -> None:
        given = ("--data", photographs, "--held-out", held_out, "--out", tmp_path / "o")
        result = run("eval", "quantizers", *given, *SMALL, "--quantizer", "heq3", "--seeds", "2")
        assert result.exit_code == 0, result.stderr
        found = json.loads((tmp_path / "o" / "results.json").read_text())
        assert found["seeds"] == 2 and "--seeds 2" in found["command"]
        assert all(len(row["codec"]["figures"]) == 2 for row in found["rows"])
        assert "A training varies with its seed by" in result.stdout
