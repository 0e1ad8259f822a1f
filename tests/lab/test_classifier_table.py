"""What is made of runs afterwards: tables, learning curves, latent weights of levels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier import ClassifierRecipe, build_network, save_classifier
from heqcodec.lab.classifier.blocks import weighted_convolutions
from heqcodec.lab.classifier.dither import dither_run, dithered
from heqcodec.lab.classifier.networks import load_latent_state, read_tensors
from heqcodec.lab.classifier.table import write_table
from heqcodec.quantizers import layer_report

ROOT = Path(__file__).parents[2]
LOG = "name,epoch,test_accuracy\n{0},1,40.0\n{0},2,61.5\n"
RESULT = {
    **{"accuracy": 64.0, "test_images": 400, "conv_weight_bits": 1234, "epochs": 2},
    **{"minutes": 0.26, "seed": 1},
}


def write_run(folder: Path, name: str, ended: bool) -> None:
    (folder / name).mkdir()
    (folder / name / "log.csv").write_text(LOG.format(name))
    if ended:
        recipe = {"name": name, "about": f"the network {name}"}
        record = {**RESULT, "name": name, "recipe": recipe}
        (folder / name / "result.json").write_text(json.dumps(record))


def test_table_and_curves(tmp_path: Path) -> None:
    write_run(tmp_path, "zebra", True)
    write_run(tmp_path, "ornet-11", False)
    write_run(tmp_path, "nqe-bsn-90", True)
    table, runs, curves = write_table(tmp_path)
    lines = [line.strip("|\n ").split(" | ") for line in table.read_text().splitlines()]
    # In the order of the shipped list, then by name.
    assert [line[0] for line in lines[2:]] == ["nqe-bsn-90", "ornet-11", "zebra"]
    assert lines[2][2:4] == ["64.00", "2.40"] and lines[2][4].startswith("87.48")
    assert "(61.50)" in lines[3] and "2 of 40, stopped" in lines[3]
    assert lines[4][5:] == ["1,234", "2", "0.3"]
    drawn = curves.read_bytes()
    assert b"<svg" in drawn
    # The same from the file of all runs alone.
    (tmp_path / "alone").mkdir()
    runs.rename(tmp_path / "alone" / runs.name)
    written = write_table(tmp_path / "alone")
    assert [path.name for path in written] == [table.name, runs.name, curves.name]
    assert written[0].read_text() == table.read_text() and written[2].read_bytes() == drawn


def write_seeded(folder: Path, name: str, seed: int, accuracy: float, **recipe: object) -> None:
    called = f"{name}-s{seed}"
    (folder / called).mkdir()
    (folder / called / "log.csv").write_text(LOG.format(called))
    values = {"name": called, "about": name, "seed": seed, **recipe}
    result = {**RESULT, "name": called, "accuracy": accuracy, "seed": seed, "recipe": values}
    (folder / called / "result.json").write_text(json.dumps(result))


def test_seeds_share_a_line(tmp_path: Path) -> None:
    for seed, accuracy in ((2, 61.0), (1, 60.0)):
        write_seeded(tmp_path, "b", seed, accuracy, weights="heq3")
    for seed, accuracy in ((1, 64.0), (2, 67.0)):
        write_seeded(tmp_path, "a", seed, accuracy, weights="twn")
    write_seeded(tmp_path, "c", 1, 50.0, weights="binary")
    path, _ = write_table(tmp_path, "ablation-cpu.toml", "b")
    lines = [line.strip("|\n ").split(" | ") for line in path.read_text().splitlines()]
    assert lines[2] == ["a", "a", "65.50", "64.00, 67.00", "3.00", "1,234", "0.5", "+5.00"]
    assert lines[3][2:5] == ["60.50", "60.00, 61.00", "1.00"]
    assert lines[4][2:5] == ["50.00", "50.00", ""] and lines[4][-1] == "-10.50"
    # The root of (0.5 + 4.5) / 2.
    assert "by 1.58 points" in lines[6][0] and "2 degrees of freedom" in lines[6][0]
    with pytest.raises(HeqError, match="no finished run is called d; there are a, b, c"):
        write_table(tmp_path, "ablation-cpu.toml", "d")


def test_odd_folders(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match="no runs"):
        write_table(tmp_path)
    write_run(tmp_path, "stranger", False)
    with pytest.raises(HeqError, match="no recipe has its name"):
        write_table(tmp_path)
    (tmp_path / "stranger" / "log.csv").write_text("epoch\n1\n")
    with pytest.raises(HeqError, match="cannot be read"):
        write_table(tmp_path)


@pytest.mark.parametrize(
    ("folder", "order"),
    [
        ("classify", "comparison.toml"),
        ("classify-heq", "heq-cpu.toml"),
        ("classify-gates", "gates-cpu.toml"),
        ("classify-ablation", "ablation-cpu.toml"),
    ],
)
def test_kept_table_is_that_of_the_kept_runs(tmp_path: Path, folder: str, order: str) -> None:
    kept = ROOT / "eval" / "results" / folder
    shutil.copy(kept / "runs.json", tmp_path)
    table, *_ = write_table(tmp_path, order)
    assert table.read_text() == (kept / "table.md").read_text()


def test_dither_keeps_order_and_deviation() -> None:
    levels = torch.arange(-2, 3).repeat(1000).to(torch.int8)
    latent = dithered(levels, 0.03, torch.Generator().manual_seed(0))
    assert float(latent.std()) == pytest.approx(0.03)
    assert latent[levels == -1].max() < latent[levels == 0].min()


def test_dithered_runs_have_nearly_the_levels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    values = {"name": "x", "network": "nqe", "epochs": 1, "weights": "mixed"}
    recipe = ClassifierRecipe.of(values)
    network = build_network(recipe, 3)
    save_classifier(network, recipe, tuple("abc"), 32, tmp_path / "classifier.safetensors")
    rows = [f"{row['layer']},{row['sigma']}\n" for row in layer_report(network, 1)]
    (tmp_path / "layers.csv").write_text("layer,sigma\n" + "".join(rows))
    made = dither_run(tmp_path, tmp_path / "out")
    again = build_network(recipe, 3)
    load_latent_state(again, read_tensors(made)[0])
    both = zip(weighted_convolutions(network), weighted_convolutions(again), strict=True)
    for (name, one), (_, two) in both:
        assert (one.weight != two.weight).float().mean() < 0.06, name
        assert float(two.latent.detach().std()) == pytest.approx(
            float(one.latent.detach().std()), rel=1e-3
        )
    (tmp_path / "layers.csv").write_text("layer,sigma\nblocks.9.conv,1\n")
    with pytest.raises(HeqError, match="does not hold"):
        dither_run(tmp_path, tmp_path / "out")
