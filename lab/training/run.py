"""A training run from recipe and photographs to exported weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.models.registry import STRONG
from heqcodec.nqe_r.coders import CODERS
from heqcodec.purenet.dequantizer import PLACES
from heqcodec.purenet.device import find_device
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from .class_task import ClassTask, fit_class_encoder
from .coded_tiles import claim_cache
from .export import RateParts, export_decoder, export_model
from .fit_rate_coders import Coders, fit_coders
from .given_weights import encoder_ids, read_encoder, read_purenet, read_tables, write_tensors
from .loop import TrainingLoop
from .photographs import load_frame_groups
from .rate_task import RateTask, fit_rate_encoder
from .recipe import RECIPES, ClassRecipe, RateRecipe, Recipe, TransformRecipe, VggRecipe
from .run_start import (
    begin_training,
    progress_columns,
    run_origin,
    training_record,
)
from .tasks import ModelTask, purenet_of
from .transform_task import TransformTask, fit_encoder
from .vgg_task import VggTask

ENCODER_FILE = "encoder.safetensors"
PLACES_FILE = "places.safetensors"
"""Of a run for variable rate: its reconstruction points."""


def train(
    recipe_path: Path,
    data_dir: Path,
    minutes: float | None = None,
    device: str = "auto",
    resume: bool = False,
    out_dir: Path = Path("heqcodec-training"),
    held_out_dir: Path | None = None,
    encoder_from: Path | None = None,
    start_from: Path | None = None,
    finish_in: float | None = None,
    coders_from: Path | None = None,
) -> dict[str, Any]:
    """Train a model and export it to ``out_dir / "weights"``.

    Args:
        recipe_path: a TOML file, see `Recipe`.
        data_dir: photographs to train on.
        minutes: stop (and export) after so long; the schedule itself goes by the recipe's steps.
            0 exports what there is.
        device: "auto", "cpu", "cuda" or "cuda:1".
        resume: go on from the checkpoint in ``out_dir``; a finished run is exported again.
        out_dir: for checkpoints, cached codes, ``log.csv``, ``layers.csv`` and weights.
        held_out_dir: photographs for the held-out figures; some training tiles if None.
        encoder_from: safetensors of a fitted transform encoder, to train a decoder for files that
            exist already; fitted on ``data_dir`` if None.
        start_from: safetensors of a PURENET of the same sizes to start from; without effect on a
            run that is resumed.
        finish_in: shape the schedule so that it ends after so many minutes, where the recipe's
            steps would take longer: on a machine that is rented, say.
        coders_from: a folder of ``NAME.device.safetensors`` and ``NAME.packed.safetensors``, read
            at the end in place of fitting coders: those of the encoder that is given, so that
            files that exist already can be read.

    Returns:
        The manifest entry of the exported model, or of the exported decoder alone; nothing of a
        further worker, see `heqcodec.lab.training.workers`.

    Raises:
        HeqError: recipe, images, weights or checkpoint cannot be used or do not belong together,
            there is a checkpoint and ``resume`` is false, or the training diverged.
        KeyboardInterrupt: after SIGINT; a checkpoint has been written.
    """
    recipe = Recipe.load(recipe_path)
    where = find_device(device)
    if encoder_from and isinstance(recipe, VggRecipe):
        families = [family for family, kind in RECIPES.items() if kind is not VggRecipe]
        raise HeqError(
            f"{recipe_path} trains its own encoder; an encoder can be given to recipes of the "
            f"families {' and '.join(families)}."
        )
    begun = begin_training(out_dir, recipe.name, resume, data_dir, held_out_dir)
    facts, tiles, frames, data_hash = begun
    with Progress(*progress_columns(), console=Console(stderr=True)) as progress:
        task: ModelTask
        if isinstance(recipe, TransformRecipe):
            tensors = _fitted_encoder(out_dir, encoder_from, tiles, recipe, resume, progress)
            cache = claim_cache(out_dir / "coded", tensors, begun.source, resume)
            task = TransformTask(recipe, tiles, frames, tensors, where, cache, progress)
        elif isinstance(recipe, ClassRecipe):
            tensors = _fitted_encoder(out_dir, encoder_from, tiles, recipe, resume, progress)
            task = ClassTask(recipe, tiles, frames, tensors, where)
        elif isinstance(recipe, RateRecipe):
            tensors = _fitted_encoder(out_dir, encoder_from, tiles, recipe, resume, progress)
            groups = load_frame_groups(held_out_dir) if held_out_dir else {"": frames}
            kept = out_dir / PLACES_FILE
            start = None if resume else start_from
            places = read_tables(kept)[PLACES] if resume and kept.exists() else None
            task = RateTask(recipe, tiles, groups, tensors, where, start, places)
            # A network learned with these: a run that is resumed must not fit others.
            write_tensors(kept, {PLACES: task.places})
        else:
            assert isinstance(recipe, VggRecipe)
            task = VggTask(recipe, tiles, frames, where)
            if floats := task.float_layers():
                progress.console.print(
                    f"The quantizers of {', '.join(floats)} work in floating point only: this run "
                    "trains and measures, but its encoder cannot be exported."
                )
        if start_from and not resume and not isinstance(recipe, RateRecipe):
            read_purenet(start_from, purenet_of(task.networks))
        given = {
            "--data": data_dir,
            "--held-out": held_out_dir,
            "--encoder": encoder_from,
            "--start": start_from,
            "--coders": coders_from,
        }
        numbers = [] if finish_in is None else [f"--finish-in {finish_in:g}"]
        origin = run_origin("heqcodec train", recipe_path, given, where, numbers)
        facts.setdefault("origin", origin)
        loop = TrainingLoop(task, where, out_dir, facts, progress, finish_in)
        if resume:
            loop.load()
        loop.go(minutes)
        loop.workers.close()
    if not loop.workers.first:
        return {}
    figures = task.held_out(loop.measured, None, ship=True)
    reached = loop.step, recipe.steps, loop.minutes
    photographs = len(tiles), len(frames), data_hash
    training = training_record(recipe_path, reached, recipe.seed, photographs, facts["origin"])
    held_out = {task.figure_name.format(key): round(value, 3) for key, value in figures.items()}
    rate_parts = None
    if isinstance(task, RateTask) and isinstance(recipe, RateRecipe):
        if recipe.decoder != STRONG:
            return export_decoder(
                out_dir / "weights",
                recipe.name,
                recipe.decoder,
                task.encoder.encoder_id,
                purenet_of(loop.measured),
                task.places,
                training,
                held_out,
            )
        coders = (
            _given_coders(coders_from, recipe.name)
            if coders_from
            else _rate_coders(out_dir, task, tiles, recipe, resume)
        )
        rate_parts = RateParts(task.places, coders, recipe.default_quality)
    try:
        encoder = task.encoder_tensors(loop.measured)
    except HeqError as error:
        measured = ", ".join(f"{key} {value:.2f}" for key, value in held_out.items())
        raise HeqError(
            f"the run in {out_dir} has been trained ({measured}), but cannot be exported: {error}"
        ) from error
    return export_model(
        out_dir / "weights",
        recipe.name,
        recipe.family,
        recipe.about,
        encoder,
        purenet_of(loop.measured),
        training,
        held_out,
        rate_parts,
        task.points if isinstance(task, ClassTask) else None,
    )


def _given_coders(folder: Path, name: str) -> Coders:
    return {kind: read_tables(folder / f"{name}.{kind}.safetensors") for kind in CODERS}


def _rate_coders(
    out_dir: Path, task: RateTask, tiles: NDArray[np.uint8], recipe: RateRecipe, resume: bool
) -> Coders:
    """The coders of this run's encoder: fitted once, and kept."""
    kept = {kind: out_dir / f"{kind}.safetensors" for kind in CODERS}
    if resume and all(path.exists() for path in kept.values()):
        return {kind: read_tables(path) for kind, path in kept.items()}
    console = Console(stderr=True)
    coders = fit_coders(
        task.encoder, tiles, recipe.tables_seed, recipe.coder_iterations, console.print
    )
    for kind, tables in coders.items():
        write_tensors(kept[kind], tables)
    return coders


def _fitted_encoder(
    out_dir: Path,
    given: Path | None,
    tiles: NDArray[np.uint8],
    recipe: TransformRecipe | RateRecipe | ClassRecipe,
    resume: bool,
    progress: Progress,
) -> dict[str, NDArray[Any]]:
    """The encoder that this run codes with: given, or fitted once, and kept."""
    kept = out_dir / ENCODER_FILE
    if not (resume and kept.exists()):
        if given:
            tensors = read_encoder(given, recipe.family)
        elif isinstance(recipe, TransformRecipe):
            tensors = fit_encoder(tiles, recipe)
        elif isinstance(recipe, ClassRecipe):
            tensors = fit_class_encoder(tiles, recipe, progress)
        else:
            tensors = fit_rate_encoder(tiles, recipe, progress.console.print)
        write_tensors(kept, tensors)
        return tensors
    tensors = read_encoder(kept, recipe.family)
    if given and encoder_ids(tensors, recipe.family) != encoder_ids(
        read_encoder(given, recipe.family), recipe.family
    ):
        raise HeqError(
            f"the run in {out_dir} was begun with another encoder than {given}; leave --encoder "
            "out, or give another --out."
        )
    return tensors
