"""Training of classifiers: it learns, goes on where it stopped, and does nothing twice."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier import ClassifierRecipe, load_classifier, training
from heqcodec.lab.classifier.batches import DeviceImages
from heqcodec.lab.classifier.queue import pack, read_list, run_queue
from heqcodec.lab.classifier.run import run_recipe
from heqcodec.lab.training import loop
from heqcodec.quantizers.progressive_guidance import elastic_quantizers
from heqcodec.quantizers.quantized_linear import QuantizedLinear
from labelled_images import easy_images
from safetensors.torch import load_file
from slow_cases import slow
from torch import nn

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
RECIPES = Path(__file__).parents[2] / "weights" / "recipes" / "classify"


class Interruption(Exception):
    """What stops a run in a test."""


def small(name: str = "small", **values: Any) -> ClassifierRecipe:
    common: dict[str, Any] = {
        **{"name": name, "network": "vgg-small", "width": 4, "active": "hwmsb"},
        **{"weights": "heq3", "norm_init": "half-wave", "batch": 16, "learning_rate": 0.05},
        **{"epochs": 2, "fine_epochs": 1, "fine_batch": 32, "warmup": 1.0, "autocast": False},
    }
    return ClassifierRecipe.of({**common, **values})


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("network", ["vgg-small", slow("ornet-11"), slow("muxornet-11")])
def test_learns(network: str, tmp_path: Path) -> None:
    gated = {"active": "binary", "norm_init": "plain", "weight_decay": 0.0}
    values = {"network": network, "epochs": 5, "width": 8}
    values |= {} if network == "vgg-small" else gated
    result = run_recipe(
        small(**values),
        easy_images(),
        CPU,
        tmp_path / "log" / "small",
        tmp_path / "state" / "small",
    )
    assert result is not None
    assert result["accuracy"] >= 80  # a third by chance
    rows = rows_of(tmp_path / "log" / "small" / "log.csv")
    assert [int(row["epoch"]) for row in rows] == list(range(1, 7))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.parametrize(
    "values", [{"ema": 0.9}, slow({}), slow({"optimizer": "adamw", "learning_rate": 1e-3})]
)
def test_interrupted_runs_end_at_the_same_weights(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, images = small(**values), easy_images()

    def run(name: str, report: Any = lambda row: None) -> Any:
        folder = tmp_path / name
        return run_recipe(recipe, images, CPU, folder / "log", folder / "state", report=report)

    def stop(row: dict[str, Any]) -> None:
        # Epoch 2 is in the log, but the checkpoint is from before its last step.
        if row["epoch"] == 2:
            raise Interruption

    whole = run("whole")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Interruption):
        run("parts", stop)
    assert len(rows_of(tmp_path / "parts/log/log.csv")) == 2
    parts = run("parts")
    assert parts["accuracy"] == whole["accuracy"]
    one, two = (load_file(tmp_path / n / "state/final.safetensors") for n in ("whole", "parts"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    logs = [rows_of(tmp_path / n / "log" / "log.csv") for n in ("whole", "parts")]
    assert [r["loss"] for r in logs[0]] == [r["loss"] for r in logs[1]]
    assert len(logs[1]) == 3


def test_checkpoints_of_another_recipe_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)

    def stop(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise Interruption

    with pytest.raises(Interruption):
        run_recipe(small(), easy_images(), CPU, tmp_path / "l", tmp_path / "s", report=stop)
    with pytest.raises(HeqError, match="begun with the recipe of small, not of other"):
        run_recipe(small("other"), easy_images(), CPU, tmp_path / "l", tmp_path / "s")


def test_deadline_stops_before_an_epoch(tmp_path: Path) -> None:
    folders = tmp_path / "log", tmp_path / "state"
    assert run_recipe(small(), easy_images(), CPU, *folders, deadline=0.0) is None
    assert not (tmp_path / "log" / "result.json").exists()


def test_a_start_brings_its_weights(tmp_path: Path) -> None:
    first = small("first", weights="none", epochs=1, fine_epochs=0)
    second = small("second", start="first", start_norms=False, epochs=1, fine_epochs=0)
    out = tmp_path / "out"
    with pytest.raises(HeqError, match="not finished"):
        run_recipe(second, easy_images(), CPU, out / "second", out / "second")
    run_recipe(first, easy_images(), CPU, out / "first", out / "first")
    kept = load_file(out / "first" / "final.safetensors")["blocks.3.conv.weight"]
    images = training.DeviceImages(easy_images(), CPU)
    begun = training.ClassifierTask(second, images, out / "first" / "final.safetensors")
    assert torch.equal(begun.network.blocks[3].conv.latent, kept)


@pytest.mark.slow
def test_nqe_goes_on_with_bit_shifts(tmp_path: Path) -> None:
    common = {"network": "nqe", "width": 0, "weights": "mixed", "fine_epochs": 0, "batch": 32}
    first = small("first", **common, epochs=1)
    second = small(
        "second", **common, epochs=2, start="first", bsn=True, bsn_fade_epochs=1, keep_weights=True
    )
    images = easy_images(32, 12)
    results = run_queue([first, second], images, CPU, tmp_path, tmp_path, report=lambda row: None)
    assert len(results["second"]["shifts"]) == 7
    assert results["second"]["conv_weight_bits"] == 1_004_608
    assert len(results["second"]["weights_sha256"]) == 64


@pytest.mark.slow
def test_queue_skips_what_is_finished_and_leaves_behind_what_fails(tmp_path: Path) -> None:
    one = small("one", epochs=1, fine_epochs=0)
    lost = small("lost", epochs=1, start="nowhere")
    two = small("two", epochs=1, fine_epochs=0, seed=2)
    report: list[str] = []
    packed = tmp_path / "results.tar.gz"

    def run(*recipes: ClassifierRecipe) -> dict[str, Any]:
        report.clear()
        images, out = easy_images(48, 24), tmp_path / "out"
        return run_queue(
            list(recipes), images, CPU, out, tmp_path / "state",
            report=lambda row: report.append(row["name"]), packed=packed,
        )  # fmt: skip

    assert set(run(one, lost)) == {"one"} and report == ["one"]
    assert (tmp_path / "out/lost/error.txt").exists()
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert [r["name"] for r in summary["results"]] == ["one"] and "lost" in summary["failed"]
    results = run(one, two)
    assert set(results) == {"one", "two"} and report == ["two"]
    assert [row["name"] for row in rows_of(tmp_path / "out/epochs.csv")] == ["one", "two"]
    assert packed.stat().st_size > 0
    pack(tmp_path / "out", packed)
    # A recipe of the same name but of other values is another run.
    run(small("one", epochs=1, fine_epochs=0, seed=3))
    assert report == ["one"]


PRECISIONS = read_list(RECIPES / "smoke-precision.toml")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", PRECISIONS, ids=lambda recipe: recipe.name)
def test_methods_of_few_bits_learn(recipe: ClassifierRecipe, tmp_path: Path) -> None:
    images = easy_images()
    changed = replace(recipe, batch=16, epochs=4, keep_weights=True, learning_rate=0.03)
    result = run_recipe(changed, images, CPU, tmp_path / "log", tmp_path / "state")
    assert result is not None
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "log" / "log.csv")]
    assert losses[-1] < 0.9 * losses[0]
    network, classes, _ = load_classifier(tmp_path / "log" / "classifier.safetensors")
    assert len(classes) == 3
    head = network.head
    assert isinstance(head, QuantizedLinear) == recipe.head.startswith("int4")


def test_what_few_bits_refuse(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match="bifurcated needs gradients"):
        small(bifurcated=True)
    with pytest.raises(HeqError, match="has guidance, which needs"):
        run_recipe(small(guidance=True), easy_images(), CPU, tmp_path / "l", tmp_path / "s")


@pytest.mark.slow
def test_a_guided_subnet_is_tested_with_statistics_of_its_own() -> None:
    recipe = small(guidance=True, weights="eqnet", options={"bits": 2, "elastic": True})
    images = DeviceImages(easy_images(), CPU)
    task = training.ClassifierTask(recipe, images)
    task.refresh()
    norm = next(m for m in task.network.modules() if isinstance(m, nn.BatchNorm2d))
    given: list[torch.Tensor] = []
    norm.register_forward_pre_hook(
        lambda module, x: given.append(x[0]) if module.training else None
    )
    task.log_row({training.NET: task.network}, images.steps(recipe.batch), 0.0, 0.0)
    assert len(given) == images.steps(recipe.batch) < training.STATISTICS_BATCHES
    assert norm.running_mean is not None and not norm.training
    expected = torch.stack([x.mean(dim=(0, 2, 3)) for x in given]).mean(0)
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert all(q.precision.bits == 2 for q in elastic_quantizers(task.network))


@pytest.mark.parametrize("kind", ["ptq", "psq", "bhq"])
@pytest.mark.parametrize("bifurcated", [False, True])
def test_quantized_gradients_change_gradients_alone(kind: str, bifurcated: bool) -> None:
    images = training.DeviceImages(easy_images(), CPU)

    def gradients(**values: Any) -> tuple[float, list[torch.Tensor]]:
        task = training.ClassifierTask(small(**values), images)
        loss = task.loss(torch.Generator())
        loss.backward()
        return float(loss.detach()), [p.grad for p in task.network.parameters()]

    plain, wanted = gradients()
    loss, found = gradients(gradients=kind, gradient_bits=8, bifurcated=bifurcated)
    assert loss == plain
    pairs = [(a, b) for a, b in zip(wanted, found, strict=True) if a.ndim == 4]
    assert len(pairs) == 6 and not torch.equal(*pairs[0])
    for exact, rounded in pairs:
        cosine = torch.nn.functional.cosine_similarity(exact.flatten(), rounded.flatten(), dim=0)
        assert cosine > 0.9


@pytest.mark.parametrize("name", ["comparison", "smoke", "ablation-cpu"])
def test_lists_start_from_what_was_run_before(name: str) -> None:
    runs = read_list(RECIPES / f"{name}.toml")
    places = {run.name: place for place, run in enumerate(runs)}
    assert all(not run.start or places[run.start] < places[run.name] for run in runs)


def test_quantiles_differ_in_nothing_else() -> None:
    runs = read_list(RECIPES / "bsn-quantiles.toml")
    assert [run.bsn_quantile for run in runs] == [0.7, 0.8, 0.9, 0.95]
    alike = [replace(run, name="", about="", bsn_quantile=0.9) for run in runs]
    assert all(run == alike[0] for run in alike)


def test_seeds_come_in_rounds(tmp_path: Path) -> None:
    run = '[[run]]\nname = "{}"\nnetwork = "vgg-small"\nepochs = 1\n{}\n'
    runs = run.format("a", "seeds = [4, 2]") + run.format("b", "") + run.format("c", "seeds = [4]")
    (tmp_path / "list.toml").write_text(runs)
    found = read_list(tmp_path / "list.toml")
    assert [item.name for item in found] == ["a-s4", "b", "c-s4", "a-s2"]
    assert [item.seed for item in found] == [4, 1, 4, 2]
    (tmp_path / "odd.toml").write_text(run.format("a", "seeds = 3"))
    with pytest.raises(HeqError, match="seeds of a must be a list"):
        read_list(tmp_path / "odd.toml")


def test_odd_orders_are_told(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('order = ["a"]\n')
    with pytest.raises(HeqError, match="each run once"):
        read_list(tmp_path / "odd.toml")
