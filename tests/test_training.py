"""Training: recipes, photographs, checkpoints, and that runs can be stopped and continued."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import heqcodec.training.coded_tiles as coded_tiles
import heqcodec.training.loop as loop_module
import heqcodec.training.vgg_task as vgg_task
import numpy as np
import pytest
import torch
from heqcodec import models
from heqcodec.cli.application import app
from heqcodec.errors import HeqError
from heqcodec.models import TRANSFORM, VGG
from heqcodec.nqe.transform_nqe import TransformCodeReader, TransformNqe
from heqcodec.nqe.vgg_integer import IntegerVgg
from heqcodec.patches import split_patches
from heqcodec.purenet.decoder import PurenetDecoder, TransformReader
from heqcodec.training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from heqcodec.training.coded_tiles import code_frames, coded_view
from heqcodec.training.export import export_model
from heqcodec.training.given_weights import write_encoder
from heqcodec.training.install import main as install_main
from heqcodec.training.loop import TrainingLoop
from heqcodec.training.photographs import TILE, load_frames, load_tiles, turned
from heqcodec.training.recipe import Recipe
from heqcodec.training.run import train
from heqcodec.training.transform_task import STEP_FLOOR, TransformTask, border_loss
from heqcodec.training.vgg_task import VggTask
from PIL import Image
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from small_models import (
    photograph,
    randomised,
    small_purenet,
    transform_tensors,
    write_photographs,
    write_recipe,
)
from typer.testing import CliRunner

FAMILIES = (TRANSFORM, VGG)
CPU = torch.device("cpu")
STEPS = 6
RECIPES = sorted((Path(__file__).parents[1] / "weights" / "recipes").glob("*.toml"))


@pytest.fixture(autouse=True)
def one_thread_and_light_calibration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(vgg_task, "CALIBRATION_BATCHES", 2)
    monkeypatch.setattr(vgg_task, "CALIBRATION_PATCHES", 9)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("data") / "photographs")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "held"
    folder.mkdir()
    Image.fromarray(photograph()[300:370, 100:230]).save(folder / "face.png")
    return folder


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "given.safetensors"
    write_encoder(path, transform_tensors())
    return path


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    return np.stack([photograph()[:TILE, :TILE], photograph("chelsea")[:TILE, 100 : 100 + TILE]])


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send this process a signal while a step is under way."""
    one_step = TrainingLoop._one_step

    def counted(self: TrainingLoop) -> torch.Tensor:
        if self.step + 1 == step:
            os.kill(os.getpid(), number)
        return one_step(self)

    monkeypatch.setattr(TrainingLoop, "_one_step", counted)


def run_command(*arguments: str) -> Any:
    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # newer versions keep the streams apart anyway
        runner = CliRunner()
    return runner.invoke(app, list(arguments))


def checkpoint_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def task_of(family: str, tiles: np.ndarray, cache: Path, **changes: Any) -> Any:
    recipe = Recipe.load(write_recipe(cache.parent / "task.toml", family, **changes))
    frames = [tiles[0][:64, :64].copy()]
    if family == VGG:
        return VggTask(recipe, tiles, frames, CPU)
    return TransformTask(
        recipe, tiles, frames, transform_tensors(), CPU, cache, Progress(disable=True)
    )


class TestBorderLoss:
    def test_is_the_square_of_the_log_of_the_excess(self) -> None:
        ramp = torch.arange(96, dtype=torch.float64)
        target = (ramp[None] + ramp[:, None]).expand(1, 3, 96, 96)
        # Steps of 1 everywhere; across the borders of patches steps of 3.
        rough = ramp + 2 * torch.div(ramp, 32, rounding_mode="floor")
        frame = (rough[None] + rough[:, None]).expand(1, 3, 96, 96)
        floor = STEP_FLOOR
        expected = math.log((3 + floor) / (1 + floor)) ** 2
        assert border_loss(frame, target).item() == pytest.approx(expected)
        assert border_loss(target, target).item() == 0
        assert border_loss(target, frame).item() == pytest.approx(expected)


class TestRecipe:
    @pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
    def test_of_the_shipped_models(self, path: Path) -> None:
        recipe = Recipe.load(path)
        assert recipe.name in models.model_names() and path.stem.startswith(recipe.name)
        assert len(recipe.rate_weights) == 4

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"stesp": 3, "colour": 1}, "unknown keys colour, stesp; those known are about, "),
            ({"family": "gan"}, "family must be one of transform, vgg"),
            ({"steps": 0}, "steps must be a whole number from 1"),
            ({"steps": "many"}, "steps must be a whole number from 1"),
            ({"batch": 2.5}, "batch must be a whole number"),
            ({"crop": 2}, "crop must be a whole number from 3 to 8"),
            ({"crop": 9}, "crop must be a whole number from 3 to 8"),
            ({"views": 0}, "views must be a whole number from 1 to 8"),
            ({"rate": 0}, "rate must be a number above 0"),
            ({"rate_weights": [1, 1]}, "rate_weights must be 4 numbers"),
            ({"rate_weights": [0, 0, 0, 0]}, "rate_weights must be 4 numbers"),
            ({"rate_weights": 1}, "rate_weights must be 4 numbers"),
            ({"norm_init": "wild"}, "norm_init must be one of balanced, halfwave"),
            ({"rule": "D"}, "rule must be one of A, B, C"),
            ({"average": 1.5}, "average must be a number from 0 to 1"),
            ({"tables_bits": 100}, "tables_bits must be a multiple of 16"),
            ({"name": "a/b"}, "name must be letters"),
            ({"purenet": {"depth": 3}}, "purenet.depth must be one of width, blocks"),
            ({"purenet": {"inputs": 3}}, "purenet.inputs must be one of width, blocks"),
            ({"purenet": {"width": 0}}, "purenet.width must be"),
        ],
        ids=str,
    )
    def test_errors_name_file_and_key(
        self, tmp_path: Path, changes: dict[str, Any], told: str
    ) -> None:
        path = write_recipe(tmp_path / "wrong.toml", TRANSFORM, **changes)
        with pytest.raises(HeqError) as error:
            Recipe.load(path)
        assert str(path) in str(error.value) and told in str(error.value)

    def test_all_faults_are_told_at_once(self, tmp_path: Path) -> None:
        path = write_recipe(tmp_path / "wrong.toml", VGG, crop=1, views=9)
        with pytest.raises(HeqError, match=r"crop must be .*; views must be"):
            Recipe.load(path)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('name = "x"\nfamily = "vgg"\n', "lacks about, steps"),
            ("name =", "cannot be read as a recipe"),
            ("\x00", "cannot be read as a recipe"),
        ],
    )
    def test_what_is_no_recipe(self, tmp_path: Path, text: str, told: str) -> None:
        path = tmp_path / "wrong.toml"
        path.write_text(text)
        with pytest.raises(HeqError, match=told):
            Recipe.load(path)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match="cannot be read as a recipe"):
            Recipe.load(tmp_path / "none.toml")


class TestPhotographs:
    def test_mixed_sizes_and_modes(self, tmp_path: Path) -> None:
        photo = photograph()
        Image.fromarray(photo).save(tmp_path / "c.png")
        Image.fromarray(photo[:300, :300, 0]).save(tmp_path / "b.jpg", quality=95)
        (tmp_path / "deeper").mkdir()
        Image.fromarray(photo[:256, :700]).save(tmp_path / "deeper" / "a.webp", lossless=True)
        Image.fromarray(photo[:255]).save(tmp_path / "flat.png")
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "notes.txt").write_text("no image")
        tiles, _ = load_tiles(tmp_path)
        assert tiles.shape == (1 + 4 + 2, TILE, TILE, 3) and tiles.dtype == np.uint8
        assert (tiles[0] == tiles[0][..., :1]).all()
        np.testing.assert_array_equal(tiles[2], photo[:TILE, TILE:])
        np.testing.assert_array_equal(tiles[3], photo[TILE:, :TILE])
        np.testing.assert_array_equal(tiles[5], photo[:TILE, :TILE])

    def test_hash_follows_names_and_contents(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(photograph()[:TILE, :TILE]).save(path)
        first = load_tiles(tmp_path)[1]
        assert load_tiles(tmp_path)[1] == first
        renamed = path.rename(tmp_path / "b.png")
        second = load_tiles(tmp_path)[1]
        Image.fromarray(photograph()[1 : TILE + 1, :TILE]).save(renamed)
        assert len({first, second, load_tiles(tmp_path)[1]}) == 3

    def test_held_out_frames_are_whole_patches(self, photographs: Path) -> None:
        shapes = [frame.shape for frame in load_frames(photographs)]
        assert shapes == [(256, 512, 3), (288, 448, 3), (96, 96, 3)]

    def test_none_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("no image")
        for load in (load_tiles, load_frames):
            with pytest.raises(HeqError, match="no image below"):
                load(tmp_path)

    def test_all_too_small(self, tmp_path: Path) -> None:
        Image.fromarray(photograph()[:31, :200]).save(tmp_path / "a.png")
        with pytest.raises(HeqError, match="at least 256 x 256 pixels"):
            load_tiles(tmp_path)
        with pytest.raises(HeqError, match="at least 32 x 32 pixels"):
            load_frames(tmp_path)

    def test_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG but no more")
        with pytest.raises(HeqError, match=r"broken\.png"):
            load_tiles(tmp_path)

    def test_views_are_the_eight_of_a_square(self, tiles: np.ndarray) -> None:
        views = [turned(tiles, view)[0] for view in range(8)]
        np.testing.assert_array_equal(views[0], tiles[0])
        square = [
            np.rot90(flip, turns) for flip in (tiles[0], tiles[0][:, ::-1]) for turns in range(4)
        ]
        matches = [[np.array_equal(view, other) for other in square].index(True) for view in views]
        assert sorted(matches) == list(range(8))


class TestCheckpoint:
    def test_round_trip(self, tmp_path: Path) -> None:
        def networks(seed: int) -> dict[str, torch.nn.Module]:
            network = randomised(small_purenet(VGG), seed=seed)
            return {"purenet": network.to(memory_format=torch.channels_last)}  # type: ignore[call-overload]

        def adam(group: dict[str, torch.nn.Module]) -> dict[str, torch.optim.Optimizer]:
            return {key: torch.optim.Adam(net.parameters()) for key, net in group.items()}

        trained, average, generator = networks(1), networks(2), torch.Generator().manual_seed(3)
        optimizers = adam(trained)
        cells = torch.randn(1, 32, 4, 4, generator=generator)
        trained["purenet"](cells, None, torch.tensor([1])).square().mean().backward()
        optimizers["purenet"].step()
        facts = {"step": 1, "minutes": 0.5, "recipe": "x"}
        save_checkpoint(tmp_path, trained, average, optimizers, generator, facts)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
        assert read_facts(tmp_path) == facts

        other, other_average, other_generator = networks(4), networks(5), torch.Generator()
        restored = adam(other)
        load_checkpoint(tmp_path, other, other_average, restored, other_generator)
        for mine, theirs in ((trained, other), (average, other_average)):
            for key, value in mine["purenet"].state_dict().items():
                assert torch.equal(value, theirs["purenet"].state_dict()[key])
        assert torch.equal(generator.get_state(), other_generator.get_state())
        before, after = (group["purenet"].state_dict()["state"] for group in (optimizers, restored))
        assert before.keys() == after.keys()
        for index, state in before.items():
            assert state.keys() == after[index].keys() == {"step", "exp_avg", "exp_avg_sq"}
            for key, value in state.items():
                assert torch.equal(value, after[index][key])
                assert value.stride() == after[index][key].stride()
        # One more step, each on its own, ends at the same place.
        for group, optimizer in ((trained, optimizers), (other, restored)):
            optimizer["purenet"].zero_grad()
            group["purenet"](cells, None, torch.tensor([1])).square().mean().backward()
            optimizer["purenet"].step()
        for key, value in trained["purenet"].state_dict().items():
            assert torch.equal(value, other["purenet"].state_dict()[key])

    def test_missing_and_damaged(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match=r"no checkpoint .* leave --resume out"):
            read_facts(tmp_path)
        (tmp_path / "checkpoint.safetensors").write_bytes(b"\x80\x04K\x01.")  # a pickle
        with pytest.raises(HeqError, match="cannot be read"):
            read_facts(tmp_path)


class TestCodedTiles:
    def test_cache_is_reused_and_right(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiles: np.ndarray
    ) -> None:
        monkeypatch.setattr(coded_tiles, "CHUNK", 1)
        encoder, seen = TransformNqe(transform_tensors()), []
        first = coded_view(encoder, tiles, 5, tmp_path / "coded", seen.append)
        fresh = code_frames(encoder, np.ascontiguousarray(turned(tiles, 5)))
        assert seen == [1, 1]
        damaged = sorted((tmp_path / "coded").iterdir())[1]
        damaged.write_bytes(damaged.read_bytes()[:1000])
        coded = []
        monkeypatch.setattr(
            coded_tiles,
            "code_frames",
            lambda encoder, frames: coded.append(len(frames)) or code_frames(encoder, frames),
        )
        again = coded_view(encoder, tiles, 5, tmp_path / "coded", seen.append)
        assert coded == [1] and seen == [1] * 4  # the damaged file alone
        for view in (first, again):
            np.testing.assert_array_equal(view.base, fresh.base)
            np.testing.assert_array_equal(view.hints, fresh.hints)

    def test_says_what_the_decoder_will_see(self, tiles: np.ndarray) -> None:
        encoder = TransformNqe(transform_tensors())
        frames = tiles[:1, :64, :96]
        coded = code_frames(encoder, frames)
        assert coded.base.shape == (1, 4, 3, 64, 96) and coded.hints.shape == (1, 4, 2, 3, 42)
        reader = TransformReader(TransformCodeReader(encoder))
        patches = split_patches(frames[0])
        for index, bits in enumerate(encoder.rates):
            codes = encoder.encode_patches(patches, bits).reshape(2, 3, bits // 8)
            features = reader.features(codes, bits, 3, np.ones((2, 3), bool))
            assert features.base is not None
            base, hints = coded_tiles.network_inputs(
                torch.from_numpy(coded.base[:, index]), torch.from_numpy(coded.hints[:, index])
            )
            torch.testing.assert_close(base[0], features.base, rtol=0, atol=0.001)
            spread = hints[0].repeat_interleave(4, 1).repeat_interleave(4, 2)
            torch.testing.assert_close(features.cells[192:], 2 * spread - 1)

    def test_cache_of_other_tiles_is_dropped(self, tmp_path: Path) -> None:
        tensors = transform_tensors()
        file = tmp_path / "coded" / "view0_000000.npz"

        def kept(data: str, resume: bool) -> bool:
            folder = coded_tiles.claim_cache(tmp_path / "coded", tensors, {"data": data}, resume)
            there = file.exists()
            assert file.parent == folder
            file.touch()
            return there

        assert not kept("a", False)
        assert kept("a", False) and kept("a", True)
        assert not kept("b", True) and not kept("a", False)
        note = tmp_path / "coded" / "source.json"
        note.unlink()
        assert kept("a", True)  # the checkpoint vouches for it
        note.unlink()
        assert not kept("a", False)


@pytest.mark.parametrize("family", FAMILIES)
class TestRuns:
    @pytest.fixture
    def run(
        self,
        family: str,
        photographs: Path,
        held_out: Path,
        encoder_file: Path,
        tmp_path: Path,
    ) -> Callable[..., dict[str, Any]]:
        """Train from a small recipe into a folder of the given name."""
        phases = {"float_steps": 2, "bsn_at": 0.6} if family == VGG else {}
        recipe = write_recipe(tmp_path / "tiny.toml", family, steps=STEPS, **phases)
        given = encoder_file if family == TRANSFORM else None

        def go(out: str, **options: Any) -> dict[str, Any]:
            return train(
                recipe,
                photographs,
                device="cpu",
                out_dir=tmp_path / out,
                held_out_dir=held_out,
                encoder_from=given,
                **options,
            )

        return go

    def test_interrupted_run_ends_where_the_undisturbed_one_does(
        self,
        run: Callable[..., dict[str, Any]],
        family: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        whole = run("whole")
        with monkeypatch.context() as patch:
            # Figures and checkpoints after every step, and a stop by each of the two signals.
            patch.setattr(loop_module, "FIGURES_SECONDS", 0.0)
            patch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
            with patch.context() as inner:
                stop_after(inner, 2, signal.SIGTERM)
                first = run("parts")
            assert first["training"]["steps"] == 2
            assert read_facts(tmp_path / "parts")["step"] == 2
            with patch.context() as inner:
                stop_after(inner, 5, signal.SIGINT)
                with pytest.raises(KeyboardInterrupt):
                    run("parts", resume=True)
            assert read_facts(tmp_path / "parts")["step"] == 5
        last = run("parts", resume=True)
        expected, found = checkpoint_of(tmp_path / "whole"), checkpoint_of(tmp_path / "parts")
        assert expected.keys() == found.keys()
        assert [key for key in expected if not torch.equal(expected[key], found[key])] == []
        for part in ("encoder", "decoder"):
            assert whole[part] == last[part]
        assert whole["held_out"] == last["held_out"]
        with (tmp_path / "parts" / "log.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
        assert all(float(row["psnr_256"]) > 3 for row in rows)
        assert (tmp_path / "parts" / "layers.csv").exists() == (family == VGG)

    def test_finished_run_is_exported_again(
        self,
        run: Callable[..., dict[str, Any]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first = run("out", minutes=0)
        assert first["training"]["steps"] == 0
        assert not (tmp_path / "out" / "checkpoint.safetensors").exists()
        first = run("out")
        stored = checkpoint_of(tmp_path / "out")

        def no_step(self: TrainingLoop) -> torch.Tensor:
            raise AssertionError("a step was made")

        monkeypatch.setattr(TrainingLoop, "_one_step", no_step)
        for file in (tmp_path / "out" / "weights").iterdir():
            file.unlink()
        for options in ({}, {"minutes": 0}, {"minutes": 5.0}):
            again = run("out", resume=True, **options)
            assert again == first
        assert all(torch.equal(stored[k], v) for k, v in checkpoint_of(tmp_path / "out").items())

    def test_minutes_0_exports_an_unfinished_run(
        self,
        run: Callable[..., dict[str, Any]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as patch:
            stop_after(patch, 3, signal.SIGTERM)
            first = run("out")
        before = (tmp_path / "out" / "checkpoint.safetensors").stat().st_mtime_ns
        again = run("out", resume=True, minutes=0)
        assert again == first and again["training"]["steps"] == 3
        assert (tmp_path / "out" / "checkpoint.safetensors").stat().st_mtime_ns == before

    def test_run_is_neither_overwritten_nor_mixed(
        self,
        run: Callable[..., dict[str, Any]],
        family: str,
        tmp_path: Path,
        photographs: Path,
        held_out: Path,
    ) -> None:
        with pytest.raises(HeqError, match=r"no checkpoint .* leave --resume out"):
            run("out", resume=True)
        run("out", minutes=1e-9)
        out = tmp_path / "out"
        assert read_facts(out)["step"] == 1
        with pytest.raises(HeqError, match="go on with --resume, or give another --out"):
            run("out")
        recipe = tmp_path / "tiny.toml"
        with pytest.raises(HeqError, match="begun with other photographs"):
            train(recipe, photographs, out_dir=out, resume=True, minutes=0)
        wider = write_recipe(tmp_path / "wider.toml", family, purenet={"width": 13})
        with pytest.raises(HeqError, match="does not fit the recipe"):
            train(wider, photographs, out_dir=out, held_out_dir=held_out, resume=True, minutes=0)
        other = write_recipe(tmp_path / "other.toml", family, name="other")
        with pytest.raises(HeqError, match=f"begun with the recipe of tiny-{family}, not of other"):
            train(other, photographs, out_dir=out, resume=True, minutes=0)

    def test_record_has_names_and_no_folders(
        self, run: Callable[..., dict[str, Any]], family: str, tmp_path: Path
    ) -> None:
        entry = run("out", minutes=0)
        record = entry["training"]
        given = " --encoder given.safetensors" if family == TRANSFORM else ""
        expected = f"heqcodec train tiny.toml --data photographs --held-out held{given}"
        assert record["command"] == expected
        assert str(tmp_path) not in json.dumps(entry) and record["device"] == "cpu"
        assert record["tiles"] == 3 and record["held_out_images"] == 1
        exported = json.loads((tmp_path / "out" / "weights" / f"{_name(entry)}.json").read_text())
        assert exported == {_name(entry): entry}

    def test_tiles_are_held_out_where_no_folder_is_given(
        self, family: str, photographs: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", family)
        entry = train(recipe, photographs, minutes=0, device="cpu", out_dir=tmp_path / "out")
        assert entry["training"]["tiles"] == 2 and entry["training"]["held_out_images"] == 1


def _name(entry: dict[str, Any]) -> str:
    return str(entry["encoder"]["file"]).removesuffix(".encoder.safetensors")


class TestLearning:
    @pytest.mark.parametrize(("family", "steps"), [(TRANSFORM, 110), (VGG, 24)])
    def test_steps_lower_the_loss(
        self, family: str, steps: int, tiles: np.ndarray, tmp_path: Path
    ) -> None:
        sizes = {"width": 32, "blocks": 2, "fine_width": 16, "fine_blocks": 1}
        task = task_of(
            family, tiles, tmp_path / "coded", steps=4 * steps, rate=2e-3, warmup=4, purenet=sizes
        )
        facts = {"step": 0, "minutes": 0.0}
        loop = TrainingLoop(task._recipe, task, CPU, tmp_path, facts, Progress(disable=True))
        task.prepare(0)

        def loss() -> float:
            generator = torch.Generator().manual_seed(99)
            with torch.no_grad():
                return float(np.mean([float(task.loss(generator)) for _ in range(4)]))

        before = loss()
        for _ in range(steps):
            loop._one_step()
        assert loss() < (0.98 if family == TRANSFORM else 0.7) * before
        assert loop.step == steps

    @pytest.mark.parametrize("float_steps", [0, 2])
    def test_figures_change_nothing(
        self, float_steps: int, tiles: np.ndarray, tmp_path: Path
    ) -> None:
        task = task_of(VGG, tiles, tmp_path / "coded", float_steps=float_steps)
        with torch.no_grad():
            for block in task.networks["encoder"].quantized_blocks():
                block.latent.mul_(3)  # some beyond 1, where a refresh clamps
        before = {k: v.clone() for k, v in task.networks["encoder"].state_dict().items()}
        figures = task.held_out(task.networks, None)
        assert list(figures) == [64, 128, 256, 512]
        assert all(math.isfinite(value) for value in figures.values())
        shipped = task.held_out(task.networks, None, ship=True)
        assert (shipped != figures) == (float_steps > 0)
        assert task.networks["encoder"].training
        for key, value in task.networks["encoder"].state_dict().items():
            assert torch.equal(value, before[key]), key

    def test_diverged_run_keeps_its_last_checkpoint(
        self, photographs: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", VGG, steps=4, bsn_at=1.0)
        options = {"device": "cpu", "out_dir": tmp_path / "out", "held_out_dir": held_out}
        with monkeypatch.context() as patch:
            stop_after(patch, 1, signal.SIGTERM)
            train(recipe, photographs, **options)
        before = checkpoint_of(tmp_path / "out")
        loss = VggTask.loss
        monkeypatch.setattr(VggTask, "loss", lambda self, random: loss(self, random) * math.nan)
        with pytest.raises(HeqError, match="no number any more at step 4; lower rate"):
            train(recipe, photographs, resume=True, **options)
        write_recipe(recipe, VGG, steps=4, bsn_at=0.5)
        with pytest.raises(HeqError, match=r"at step 2 the .* bit-shift normalization needs"):
            train(recipe, photographs, resume=True, **options)
        after = checkpoint_of(tmp_path / "out")
        assert all(torch.equal(value, after[key]) for key, value in before.items())

    def test_two_interrupts_do_not_wait(
        self, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def impatient(self: TrainingLoop) -> torch.Tensor:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("went on")

        monkeypatch.setattr(TrainingLoop, "_one_step", impatient)
        recipe = write_recipe(tmp_path / "tiny.toml", VGG)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, photographs, device="cpu", out_dir=tmp_path / "out")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class TestExport:
    @pytest.fixture
    def weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """An empty folder that the registry will look into."""
        folder = tmp_path / "installed"
        monkeypatch.setattr(models, "files", lambda package: folder)
        caches = (models.manifest, models._encoder, models._decoder)
        for cached in caches:
            cached.cache_clear()
        yield folder
        for cached in caches:
            cached.cache_clear()

    def test_installed_transform_model_decodes_like_the_network_in_memory(
        self,
        weights: Path,
        photographs: Path,
        held_out: Path,
        encoder_file: Path,
        tmp_path: Path,
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", TRANSFORM, rate=5e-3)
        entry = train(
            recipe,
            photographs,
            device="cpu",
            out_dir=tmp_path / "out",
            held_out_dir=held_out,
            encoder_from=encoder_file,
        )
        assert (
            install_main(
                [str(tmp_path / "out/weights/tiny-transform.json"), "--weights", str(weights)]
            )
            == 0
        )
        assert models.default_model() == "tiny-transform"
        encoder = models.load_encoder("tiny-transform")
        assert isinstance(encoder, TransformNqe)
        assert encoder.encoder_id.hex() == entry["encoder"]["encoder_id"]
        network = small_purenet(TRANSFORM)
        prefix = "average/purenet/"
        stored = checkpoint_of(tmp_path / "out")
        network.load_state_dict(
            {key.removeprefix(prefix): v for key, v in stored.items() if key.startswith(prefix)}
        )
        in_memory = PurenetDecoder(
            TransformReader(TransformCodeReader(encoder)), network, encoder.rates, CPU
        )
        codes = encoder.encode_patches(split_patches(photograph()[:64, 128:224]), 256)
        codes = codes.reshape(2, 3, 32)
        expected = in_memory.decode_frame(codes, 256, 3).astype(int)
        loaded = models.load_decoder(encoder.encoder_id, encoder.coder_id, "cpu")
        found = loaded.decode_frame(codes, 256, 3)
        assert np.abs(expected - found).max() <= 1
        plain = PurenetDecoder(
            TransformReader(TransformCodeReader(encoder)),
            small_purenet(TRANSFORM),
            encoder.rates,
            CPU,
        ).decode_frame(codes, 256, 3)
        assert (expected != plain).any()  # something was learned, and came through

    @pytest.mark.parametrize(
        ("phases", "form"),
        [
            ({"bsn_at": 1.0}, "thresholds"),
            ({"bsn_at": 0.5}, "shift"),
            ({"bsn_at": 1.0, "float_steps": 9}, "thresholds"),
        ],
        ids=["batch-normalization", "bit-shift", "not-quantized-yet"],
    )
    def test_vgg_export_codes_like_the_graph(
        self, phases: dict[str, float], form: str, tiles: np.ndarray, tmp_path: Path
    ) -> None:
        task = task_of(VGG, tiles, tmp_path / "coded", steps=3, **phases)
        facts = {"step": 0, "minutes": 0.0}
        loop = TrainingLoop(task._recipe, task, CPU, tmp_path, facts, Progress(disable=True))
        for _ in range(3):
            loop._one_step()
        exported = IntegerVgg.from_tensors(task.encoder_tensors(loop.averages))
        assert exported.form == form
        patches = split_patches(tiles[0])[::3]
        graph = task.settled(loop.averages, ship=True)
        assert not graph.training and not graph.is_floating
        with torch.inference_mode():
            code = graph(torch.from_numpy(patches).permute(0, 3, 1, 2))
        np.testing.assert_array_equal(exported.codes(patches), (code > 0).numpy())
        assert 0.01 < exported.codes(patches).mean() < 0.99

    def test_install_replaces_retires_and_chooses(
        self, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        exported = []
        tensors = transform_tensors()
        reordered = {**tensors, "order": tensors["order"][::-1]}
        models_made = (("a", "one", tensors), ("b", "two", tensors), ("c", "one", reordered))
        for out, name, encoder in models_made:
            network = small_purenet(TRANSFORM)
            export_model(tmp_path / out, name, TRANSFORM, "for tests", encoder, network, {}, {})
            exported.append(str(tmp_path / out / f"{name}.json"))
        target = ["--weights", str(weights)]
        assert [install_main([exported[0], *target]), install_main([exported[1], *target])] == [
            0,
            0,
        ]
        assert models.model_names() == ["one", "two"]
        ids = models.load_encoder("one")
        assert install_main([exported[1], *target, "--default"]) == 0
        assert install_main([exported[2], *target, "--retire", "0.1.0"]) == 0
        for cached in (models.manifest, models._encoder, models._decoder):
            cached.cache_clear()
        assert models.model_names() == ["two", "one"]
        assert models.load_encoder("one").coder_id != ids.coder_id
        # "two" was made with the tables that "one" had: their files can still be read.
        assert models.model_of(ids.encoder_id, ids.coder_id) == "two"
        key = f"{ids.encoder_id.hex()}-{ids.coder_id.hex()}"
        assert models.manifest()["retired"] == {key: "0.1.0"}
        assert sorted(path.suffix for path in weights.iterdir()) == [".json"] + 4 * [".safetensors"]
        capsys.readouterr()
        (tmp_path / "c" / "one.purenet.safetensors").write_bytes(b"other")
        assert install_main([exported[2], *target]) == 1
        assert "is not the file that" in capsys.readouterr().err
        (tmp_path / "other.json").write_text("[1]")
        assert install_main([str(tmp_path / "other.json"), *target]) == 1
        assert "is not what heqcodec writes" in capsys.readouterr().err
        assert install_main([str(tmp_path / "none.json"), *target]) == 1


class TestContinuing:
    def test_from_an_encoder_and_a_decoder_that_exist(
        self, photographs: Path, held_out: Path, encoder_file: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", TRANSFORM, rate=5e-3)
        options: dict[str, Any] = {
            "device": "cpu",
            "held_out_dir": held_out,
            "encoder_from": encoder_file,
        }
        first = train(recipe, photographs, out_dir=tmp_path / "a", **options)
        made = tmp_path / "a" / "weights"
        other = write_recipe(tmp_path / "tiny.toml", TRANSFORM, tables_seed=5, seed=8)
        options |= {
            "encoder_from": made / "tiny-transform.encoder.safetensors",
            "start_from": made / "tiny-transform.purenet.safetensors",
        }
        second = train(other, photographs, minutes=0, out_dir=tmp_path / "b", **options)
        assert second["encoder"] == first["encoder"]
        # The start is stored in float16 already, so nothing is rounded a second time.
        assert second["decoder"] == first["decoder"]
        assert second["training"]["command"].endswith(
            "--encoder tiny-transform.encoder.safetensors "
            "--start tiny-transform.purenet.safetensors"
        )

    def test_errors_of_given_weights(
        self, photographs: Path, held_out: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "t.toml", TRANSFORM)
        options: dict[str, Any] = {"minutes": 0, "device": "cpu", "held_out_dir": held_out}
        purenet = tmp_path / "purenet.safetensors"
        save_file(small_purenet(TRANSFORM).state_dict(), purenet)
        for index, wrong in enumerate((recipe, purenet)):
            with pytest.raises(HeqError, match="cannot be read as an encoder"):
                train(
                    recipe,
                    photographs,
                    out_dir=tmp_path / f"b{index}",
                    encoder_from=wrong,
                    **options,
                )
        vgg = write_recipe(tmp_path / "v.toml", VGG)
        with pytest.raises(HeqError, match="trains its own encoder"):
            train(vgg, photographs, out_dir=tmp_path / "c", encoder_from=purenet, **options)
        with pytest.raises(HeqError, match="holds no PURENET of the recipe's sizes"):
            train(vgg, photographs, out_dir=tmp_path / "c", start_from=purenet, **options)
        assert not (tmp_path / "c" / "checkpoint.safetensors").exists()

    def test_resumed_run_keeps_its_encoder(
        self, photographs: Path, held_out: Path, encoder_file: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "t.toml", TRANSFORM)
        options: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out, "out_dir": tmp_path}
        first = train(recipe, photographs, minutes=1e-9, **options)  # fits one
        again = train(recipe, photographs, minutes=0, resume=True, **options)
        assert first["training"]["steps"] == 1 and again == first
        with pytest.raises(HeqError, match="begun with another encoder"):
            train(recipe, photographs, resume=True, encoder_from=encoder_file, **options)


class TestCommand:
    def test_trains_and_says_where_it_goes_wrong(self, photographs: Path, tmp_path: Path) -> None:
        recipe, out = write_recipe(tmp_path / "t.toml", TRANSFORM), tmp_path / "out"
        command = ["train", str(recipe), "--data", str(photographs), "--out", str(out)]
        result = run_command(*command, "--minutes", "0", "--device", "cpu")
        assert result.exit_code == 0, result.output
        assert f"Exported to {out / 'weights'} after 0 steps; psnr at 64 bits" in result.stderr
        assert (out / "weights" / "tiny-transform.json").exists()
        for options, told in (
            (["--resume"], "there is no checkpoint"),
            (["--device", "tpu9"], 'no device "tpu9" here'),
        ):
            result = run_command(*command, *options)
            assert result.exit_code == 1 and told in result.stderr
