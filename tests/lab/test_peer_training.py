"""Training peers: recipes, falling losses, and runs that stop and go on."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_runner import run
from heqcodec.base.errors import HeqError
from heqcodec.eval.peers.factorized import Factorized
from heqcodec.eval.peers.load import ARCHITECTURES, build, load_peer
from heqcodec.lab.peers.recipe import SIZES, PeerRecipe
from heqcodec.lab.peers.run import train_peer
from heqcodec.lab.peers.training import PeerTask
from heqcodec.lab.training.loop import TrainingLoop
from rich.progress import Progress
from safetensors.torch import load_file
from small_models import photograph, write_photographs
from torch.nn import functional as F

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SMALL: dict[str, dict[str, int]] = {
    "factorized": {"width": 8, "latents": 12},
    "mean-scale": {"width": 8, "latents": 12},
    "mcucoder": {"width": 8},
}
RECIPES = sorted((Path(__file__).parents[2] / "lab/peers/recipes").glob("*.toml"))


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    return np.stack([photograph()[:256, :256], photograph("chelsea")[:256, 100:356]])


def small_recipe(architecture: str, **changes: Any) -> PeerRecipe:
    values: dict[str, Any] = {"lmbda": 0.01, "batch": 2, "crop": 64, "steps": 6, "warmup": 1}
    values |= {"learning_rate": 1e-3, "sizes": SMALL[architecture], **changes}
    return PeerRecipe(name="tiny", architecture=architecture, about="for tests", **values)


def write_recipe(path: Path, architecture: str, **changes: Any) -> Path:
    recipe = small_recipe(architecture, **changes)
    reported = {key: value for key, value in vars(recipe).items() if key != "sizes"}
    if architecture == "mcucoder":
        del reported["lmbda"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in reported.items()]
    lines += ["[sizes]", *(f"{key} = {value}" for key, value in recipe.sizes.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loop_of(recipe: PeerRecipe, tiles: np.ndarray, folder: Path) -> TrainingLoop:
    task = PeerTask(recipe, tiles, [tiles[0][:70, :100].copy()], CPU)
    facts = {"step": 0, "minutes": 0.0}
    return TrainingLoop(task, CPU, folder, facts, Progress(disable=True))


class TestRecipe:
    @pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
    def test_of_this_package(self, path: Path) -> None:
        recipe = PeerRecipe.load(path)
        assert recipe.name == path.stem
        network = build(recipe.architecture, recipe.sizes)
        assert network.sizes == recipe.sizes

    def test_rates_are_compressais(self) -> None:
        weights = [
            PeerRecipe.load(path).lmbda for path in RECIPES if path.stem[:10] == "factorized"
        ]
        assert weights == [0.0018, 0.0067, 0.025]

    def test_sizes_are_known_for_all_architectures(self) -> None:
        assert set(SIZES) == set(ARCHITECTURES)
        for name, sizes in SIZES.items():
            assert tuple(build(name, SMALL[name]).sizes) == sizes

    @pytest.mark.parametrize("architecture", list(SMALL))
    def test_comes_back_from_a_file(self, tmp_path: Path, architecture: str) -> None:
        path = write_recipe(tmp_path / "r.toml", architecture)
        lmbda = 0.0 if architecture == "mcucoder" else 0.01
        assert PeerRecipe.load(path) == small_recipe(architecture, lmbda=lmbda)

    @pytest.mark.parametrize(
        ("changes", "reported"),
        [
            ({"stesp": 3}, "unknown keys stesp; those known are about, architecture"),
            ({"architecture": "vae"}, "architecture must be one of factorized, mean-scale"),
            ({"architecture": 3}, "architecture must be one of"),
            ({"steps": 0}, "steps must be a whole number from 1"),
            ({"steps": True}, "steps must be a whole number from 1"),
            ({"crop": 100}, "crop must be 64, 128, 192 or 256"),
            ({"lmbda": -1}, "lmbda must be a number above 0"),
            ({"learning_rate": "fast"}, "learning_rate must be a number above 0"),
            ({"ema": 1.5}, "ema must be a number from 0 to 1"),
            ({"bfloat16": 1}, "bfloat16 must be true or false"),
            ({"name": "a/b"}, "name must be letters"),
            ({"sizes": {"depth": 3}}, "sizes.depth must be one of width, latents"),
            ({"sizes": {"width": 0}}, "sizes.width must be"),
            ({"sizes": 3}, "sizes must be a table"),
        ],
        ids=str,
    )
    def test_errors_name_file_and_key(
        self, tmp_path: Path, changes: dict[str, Any], reported: str
    ) -> None:
        values = {"name": "x", "architecture": "factorized", "about": "x", "steps": 1, "lmbda": 0.1}
        sizes = changes.get("sizes", {})
        values |= {key: value for key, value in changes.items() if key != "sizes"}
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        text += f"sizes = {sizes}\n" if not isinstance(sizes, dict) else "[sizes]\n"
        text += "".join(f"{key} = {value}\n" for key, value in sizes.items()) if sizes != 3 else ""
        path = tmp_path / "wrong.toml"
        path.write_text(text)
        with pytest.raises(HeqError) as error:
            PeerRecipe.load(path)
        assert str(path) in str(error.value) and reported in str(error.value)

    def test_a_rate_needs_its_weight(self, tmp_path: Path) -> None:
        path = tmp_path / "r.toml"
        path.write_text('name = "x"\narchitecture = "factorized"\nabout = "x"\nsteps = 1\n')
        with pytest.raises(HeqError, match="lmbda must be given"):
            PeerRecipe.load(path)
        path.write_text('name = "x"\n')
        with pytest.raises(HeqError, match="lacks architecture, about, steps"):
            PeerRecipe.load(path)


class TestTask:
    def test_loss_is_compressais(self, tiles: np.ndarray) -> None:
        """lmbda 255^2 MSE + bits per pixel, with the noise of the generator."""
        task = PeerTask(small_recipe("factorized", bfloat16=False), tiles, [], CPU)
        reported = task.loss(torch.Generator().manual_seed(7))
        generator = torch.Generator().manual_seed(7)
        frames = task.batch(generator)
        coded = task.network(frames, generator)
        bits = -torch.log2(coded.likelihoods[0]).sum() / (2 * 64 * 64)
        expected = 0.01 * 255**2 * F.mse_loss(coded.frames, frames) + bits
        torch.testing.assert_close(reported, expected)

    def test_batches_are_crops_of_tiles(self, tiles: np.ndarray) -> None:
        task = PeerTask(small_recipe("factorized", crop=256, batch=16), tiles, [], CPU)
        batch = (task.batch(torch.Generator().manual_seed(0)) * 255).round().byte()
        views = {
            np.ascontiguousarray(np.rot90(tile[:, ::flip], turn)).tobytes()
            for tile in tiles
            for flip in (1, -1)
            for turn in range(4)
        }
        seen = {crop.permute(1, 2, 0).contiguous().numpy().tobytes() for crop in batch}
        assert seen <= views and len(seen) > 4
        assert batch.is_contiguous(memory_format=torch.channels_last)

    def test_bfloat16_is_near_float32(self, tiles: np.ndarray) -> None:
        losses = []
        for rounding in (False, True):
            task = PeerTask(small_recipe("factorized", bfloat16=rounding), tiles, [], CPU)
            losses.append(float(task.loss(torch.Generator().manual_seed(7)).detach()))
        assert losses[0] != losses[1]
        assert losses[1] == pytest.approx(losses[0], rel=0.01)

    @pytest.mark.parametrize("architecture", list(SMALL))
    def test_figures_change_nothing(self, tiles: np.ndarray, architecture: str) -> None:
        # 70 x 100 is no multiple of anything, so that padding is in it.
        task = PeerTask(small_recipe(architecture), tiles, [tiles[0][:70, :100].copy()], CPU)
        before = {key: value.clone() for key, value in task.network.state_dict().items()}
        figures = task.held_out(task.network, None)
        assert task.network.training
        for key, value in task.network.state_dict().items():
            assert torch.equal(value, before[key]), key
        assert (figures.bpp > 0) == (architecture != "mcucoder")
        assert 0 < figures.psnr < 30 and figures.loss > 0

    def test_figures_are_of_whole_frames(self, tiles: np.ndarray) -> None:
        """Without padding, bits and errors are those of the plain network."""
        frame = tiles[0][:64, :96].copy()
        task = PeerTask(small_recipe("factorized"), tiles, [frame], CPU)
        task.network.settle_quantiles()
        with torch.no_grad():
            truth = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
            coded = task.network(truth)
        shown = (coded.frames * 255).round().clamp(0, 255)
        error = float(((shown - truth * 255) ** 2).mean())
        figures = task.held_out(task.network, None)
        assert figures.bpp == pytest.approx(float(coded.bits_per_pixel()), rel=1e-4)
        assert figures.psnr == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


class TestLoop:
    @pytest.mark.slow
    @pytest.mark.parametrize("architecture", list(SMALL))
    def test_the_loss_falls(self, tiles: np.ndarray, tmp_path: Path, architecture: str) -> None:
        peaks = {"learning_rate": 2e-3, "density_learning_rate": 3e-2}
        loop = loop_of(small_recipe(architecture, steps=80, **peaks), tiles[:1], tmp_path)
        losses = [float(loop._one_step()) for _ in range(60)]
        assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])

    def test_quantiles_follow_their_own_loss(self, tiles: np.ndarray, tmp_path: Path) -> None:
        recipe = small_recipe("factorized", learning_rate=1e-12, aux_learning_rate=0.5, steps=100)
        loop = loop_of(recipe, tiles, tmp_path)
        network = loop.task.networks["peer"]
        assert isinstance(network, Factorized)
        first = float(network.entropy_bottleneck.loss().detach())
        transforms = [value.detach().clone() for value in network.transforms()]
        for _ in range(20):
            loop._one_step()
        assert float(network.entropy_bottleneck.loss().detach()) < first - 20
        for value, before in zip(network.transforms(), transforms, strict=True):
            torch.testing.assert_close(value.detach(), before, atol=1e-9, rtol=0)

    def test_a_loss_that_is_no_number_is_told(self, tiles: np.ndarray, tmp_path: Path) -> None:
        loop = loop_of(small_recipe("factorized"), tiles, tmp_path)
        with torch.no_grad():
            loop.task.networks["peer"].transforms()[0].fill_(float("nan"))
        loop._one_step()
        with pytest.raises(HeqError, match="no number any more"):
            loop.save()


class TestRun:
    @pytest.mark.slow
    @pytest.mark.parametrize("architecture", list(SMALL))
    def test_interrupted_is_as_uninterrupted(
        self,
        architecture: str,
        photographs: Path,
        held_out: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", architecture)
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        record = train_peer(recipe, photographs, whole, held_out, device="cpu")
        assert record["training"]["steps"] == 6

        one_step = TrainingLoop._one_step

        def stopped(self: TrainingLoop) -> torch.Tensor:
            if self.step + 1 == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return one_step(self)

        with monkeypatch.context() as patch:
            patch.setattr(TrainingLoop, "_one_step", stopped)
            record = train_peer(recipe, photographs, parts, held_out, device="cpu")
        assert record["training"]["steps"] == 3
        # The state of torch's own generator must not matter.
        torch.manual_seed(99)
        train_peer(recipe, photographs, parts, held_out, device="cpu", resume=True)
        for name in ("checkpoint.safetensors", "weights/tiny.safetensors"):
            one, other = load_file(whole / name), load_file(parts / name)
            assert one.keys() == other.keys()
            for key, value in one.items():
                assert torch.equal(value, other[key]), key

    def test_export(self, photographs: Path, held_out: Path, tmp_path: Path) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", "factorized", ema=0.0)
        reported = train_peer(recipe, photographs, tmp_path / "run", held_out, device="cpu")
        weights = tmp_path / "run" / "weights"
        record = json.loads((weights / "tiny.json").read_text())
        assert record == reported
        data = (weights / "tiny.safetensors").read_bytes()
        assert record["sha256"] == hashlib.sha256(data).hexdigest()
        assert record["bytes"] == len(data)
        training = record["training"]
        assert training["command"].startswith("heqcodec eval train-peer tiny.toml --data photogr")
        assert str(tmp_path) not in json.dumps(record)
        assert training["recipe_sha256"] == hashlib.sha256(recipe.read_bytes()).hexdigest()
        assert (training["seed"], training["steps"], training["tiles"]) == (1, 6, 3)
        network, extra = load_peer(weights / "tiny.safetensors")
        assert not extra and not network.training
        assert network.sizes == SMALL["factorized"]
        assert record["parameters"] == sum(value.numel() for value in network.parameters())
        # Quantiles are settled, and the weights are otherwise those of the last step.
        assert float(network.auxiliary_loss().detach()) < 0.05  # type: ignore[union-attr]
        checkpoint = load_file(tmp_path / "run" / "checkpoint.safetensors")
        key = "g_a.0.weight"
        torch.testing.assert_close(
            network.state_dict()[key], checkpoint[f"network/peer/{key}"].contiguous()
        )
        rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
        assert [row["step"] for row in rows] == ["6"]
        assert float(rows[0]["held_out_psnr"]) == pytest.approx(
            record["held_out"]["psnr"], abs=1e-3
        )
        frame = tiles_psnr(network, held_out)
        assert frame == pytest.approx(record["held_out"]["psnr"], abs=2e-3)

    def test_start_from_another_rate(
        self, photographs: Path, held_out: Path, tmp_path: Path
    ) -> None:
        first = write_recipe(tmp_path / "tiny.toml", "factorized")
        train_peer(first, photographs, tmp_path / "a", held_out, device="cpu")
        weights = tmp_path / "a/weights/tiny.safetensors"
        again = write_recipe(tmp_path / "again.toml", "factorized", lmbda=0.02)
        record = train_peer(
            again,
            photographs,
            tmp_path / "b",
            held_out,
            minutes=0,
            device="cpu",
            start_from=weights,
        )
        assert record["training"]["command"].endswith("--held-out held --start tiny.safetensors")
        one, other = load_file(weights), load_file(tmp_path / "b/weights/tiny.safetensors")
        for key, value in one.items():
            torch.testing.assert_close(value, other[key], atol=1e-3, rtol=1e-3)
        wide = write_recipe(
            tmp_path / "wide.toml", "factorized", sizes={"width": 10, "latents": 12}
        )
        with pytest.raises(HeqError, match="give weights of the same kind"):
            train_peer(wide, photographs, tmp_path / "c", held_out, start_from=weights)

    def test_runs_are_not_mixed(self, photographs: Path, held_out: Path, tmp_path: Path) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", "factorized", steps=1)
        out = tmp_path / "run"
        with pytest.raises(HeqError, match="no checkpoint"):
            train_peer(recipe, photographs, out, held_out, resume=True)
        train_peer(recipe, photographs, out, held_out, device="cpu")
        with pytest.raises(HeqError, match="go on with --resume"):
            train_peer(recipe, photographs, out, held_out)
        others = tmp_path / "others"
        write_photographs(others)
        (others / "b.png").unlink()
        with pytest.raises(HeqError, match="begun with other photographs"):
            train_peer(recipe, others, out, held_out, resume=True)
        other = tmp_path / "other.toml"
        other.write_text(recipe.read_text().replace('"tiny"', '"other"'))
        with pytest.raises(HeqError, match="begun with the recipe of tiny, not of other"):
            train_peer(other, photographs, out, held_out, resume=True)

    @pytest.mark.slow
    def test_command(self, photographs: Path, tmp_path: Path) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", "mcucoder", steps=2)
        arguments = ["eval", "train-peer", recipe, "--data", photographs, "-j", "1"]
        result = run(*arguments, "--out", tmp_path / "run")
        assert result.exit_code == 0, result.output
        assert (tmp_path / "run/weights/tiny.safetensors").is_file()
        assert (tmp_path / "run/log.csv").is_file()
        result = run(*arguments, "--out", tmp_path / "run")
        assert result.exit_code == 1


def tiles_psnr(network: Any, folder: Path) -> float:
    """PSNR of the only photograph of a folder, coded by hand."""
    from heqcodec.lab.training.photographs import load_frames

    (frame,) = load_frames(folder)
    truth = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        decoded = network(truth).frames
    shown = (decoded * 255).round().clamp(0, 255)
    error = float(((shown - truth * 255) ** 2).mean())
    return float(10 * np.log10(255**2 / error))
