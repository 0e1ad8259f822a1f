"""``python -m heqcodec.lab.classifier.queue LIST.toml --data cifar.npz --out DIR --minutes M``.

Recipes one after another on one device, in the order of the list, which is that of importance.
What is finished is skipped, what was interrupted goes on, what fails is noted and left behind.
"""

from __future__ import annotations

import math
import sys
import tarfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from heqcodec.base.errors import HeqError
from heqcodec.base.files import replaced_file, write_json
from heqcodec.lab.training.log_rows import append_rows
from heqcodec.lab.training.recipe_values import tomllib
from heqcodec.purenet.device import find_device

from .batches import DeviceImages
from .command_options import Data, Device, Minutes, Out, State, console, reported_errors
from .images import LabelledImages, load_images
from .recipe import ClassifierRecipe
from .run import RESULT, WEIGHTS, run_recipe
from .train import say_row

SUMMARY, EPOCHS, ERROR = "summary.json", "epochs.csv", "error.txt"


def read_list(path: Path) -> list[ClassifierRecipe]:
    """The recipes of a list, in its order.

    The list is TOML: ``recipes``, file names beside the list; and ``run`` tables, recipes in place,
    whose key ``base`` names a recipe file whose values they change. A table's ``seeds`` makes a run
    NAME-sN of each seed N; all runs of a list's first seeds come before those of the second, so
    that a list that is cut short has whole rounds. ``order`` may name the runs in another order
    than recipes first, tables after.

    Raises:
        HeqError: the list or a recipe cannot be read, or two have one name.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        recipes = [ClassifierRecipe.load(path.parent / name) for name in values.get("recipes", [])]
        rounds: dict[int, list[ClassifierRecipe]] = {}
        for table in values.get("run", []):
            base = {}
            if "base" in table:
                file = path.parent / table.pop("base")
                base = tomllib.loads(file.read_text(encoding="utf-8"))
            for place, seeded in enumerate(_of_each_seed({**base, **table})):
                recipe = ClassifierRecipe.of(seeded, f"{path}, {table.get('name')}")
                rounds.setdefault(place, []).append(recipe)
        recipes += [recipe for place in sorted(rounds) for recipe in rounds[place]]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HeqError(f"the list {path} cannot be read: {error}.") from error
    named = {recipe.name: recipe for recipe in recipes}
    if len(named) != len(recipes):
        raise HeqError(f"two recipes of {path} have one name.")
    order = values.get("order", list(named))
    if sorted(order) != sorted(named):
        odd = sorted(set(order) ^ set(named))
        raise HeqError(f"order in {path} must name each run once; see {', '.join(odd)}.")
    return [named[name] for name in order]


def _of_each_seed(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The values of a table, once for each of its ``seeds``."""
    if "seeds" not in values:
        return [values]
    seeds = values.pop("seeds")
    if not isinstance(seeds, list) or not seeds:
        raise HeqError(f"seeds of {values.get('name')} must be a list of whole numbers.")
    return [{**values, "name": f"{values.get('name')}-s{seed}", "seed": seed} for seed in seeds]


def run_queue(
    recipes: list[ClassifierRecipe],
    images: LabelledImages,
    device: torch.device,
    out: Path,
    state: Path,
    deadline: float = math.inf,
    report: Callable[[dict[str, Any]], None] = say_row,
    packed: Path | None = None,
) -> dict[str, Any]:
    """Run recipes one after another.

    Args:
        recipes: in order; one that starts from another must come after it.
        images: to train and test all of them on.
        device: where.
        out: for logs and results, a folder for each run; all epochs in ``epochs.csv``, written as
            they end, and all results in ``summary.json``.
        state: for checkpoints, a folder for each run.
        deadline: when to stop, in the units of ``time.monotonic``.
        report: gets each epoch's row.
        packed: a ``.tar.gz`` of ``out``, written again after each run.

    Returns:
        Name -> result, of those that are finished.
    """
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    on_device: dict[int, DeviceImages] = {}
    out.mkdir(parents=True, exist_ok=True)

    def note(row: dict[str, Any]) -> None:
        append_rows(out / EPOCHS, [row])
        report(row)

    for recipe in recipes:
        if time.monotonic() >= deadline:
            break
        if recipe.padding not in on_device:
            on_device[recipe.padding] = DeviceImages(images, device, recipe.padding)
        folder = out / recipe.name
        try:
            result = run_recipe(
                recipe,
                on_device[recipe.padding],
                device,
                folder,
                state / recipe.name,
                deadline,
                note,
            )
        except (HeqError, RuntimeError) as error:
            # One bad recipe, or one that does not fit the device, must not cost the others.
            failed[recipe.name] = " ".join(str(error).split())[:300]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
            console.print(f"{recipe.name} failed: {failed[recipe.name]}", highlight=False)
            continue
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
        if result is None:
            break
        results[recipe.name] = result
        _write_summary(out / SUMMARY, results, failed)
        if packed:
            pack(out, packed)
    _write_summary(out / SUMMARY, results, failed)
    if packed:
        pack(out, packed)
    return results


def _write_summary(path: Path, results: dict[str, Any], failed: dict[str, str]) -> None:
    write_json(path, {"results": list(results.values()), "failed": failed}, indent=2)


def pack(folder: Path, archive: Path) -> None:
    """Everything of a results folder but checkpoints, as one ``.tar.gz``; complete or as before."""
    kept = {SUMMARY, EPOCHS, ERROR, RESULT, WEIGHTS, "log.csv", "layers.csv"}
    with (
        replaced_file(archive) as stream,
        tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as tar,
    ):
        for file in sorted(folder.rglob("*")):
            if file.name in kept:
                tar.add(file, file.relative_to(folder).as_posix())


def queue(
    recipes: Annotated[Path, typer.Argument(metavar="LIST", exists=True, dir_okay=False)],
    data: Data,
    out: Out,
    state: State = None,
    device: Device = "auto",
    minutes: Minutes = None,
    packed: Annotated[
        Path | None, typer.Option("--pack", help="A .tar.gz of the results, kept up to date.")
    ] = None,
    only: Annotated[
        str, typer.Option("--only", help="Names of runs, separated by commas, instead of all.")
    ] = "",
    train_images: Annotated[
        int, typer.Option("--train-images", min=0, help="Rehearse on the first so many images.")
    ] = 0,
    epochs: Annotated[
        int, typer.Option("--epochs", min=0, help="Rehearse with so many epochs a phase at most.")
    ] = 0,
) -> None:
    """Run the recipes of LIST; the same command again goes on where it stopped."""
    from dataclasses import replace

    begun = time.monotonic()
    with reported_errors():
        runs = read_list(recipes)
        if only:
            wanted = only.split(",")
            runs = [run for run in runs if run.name in wanted]
        if epochs:
            runs = [
                replace(
                    run,
                    epochs=min(run.epochs, epochs),
                    fine_epochs=min(run.fine_epochs, epochs),
                    bsn_fade_epochs=min(run.bsn_fade_epochs, epochs),
                )
                for run in runs
            ]
        images = load_images(data)
        if train_images:
            images = _rehearsal(images, train_images)
        results = run_queue(
            runs,
            images,
            find_device(device),
            out,
            state or out,
            math.inf if minutes is None else begun + 60 * minutes,
            say_row,
            packed,
        )
    for name, result in results.items():
        console.print(f"{name}: {result['accuracy']:.2f} %", highlight=False)
    if len(results) < len(runs):
        console.print(f"{len(runs) - len(results)} of {len(runs)} are not finished")
        sys.exit(3)


def _rehearsal(images: LabelledImages, count: int) -> LabelledImages:
    """The first images alone, to see that everything works."""
    from dataclasses import replace

    return replace(
        images,
        train=images.train[:count],
        train_labels=images.train_labels[:count],
        test=images.test[: max(count, 1)],
        test_labels=images.test_labels[: max(count, 1)],
        protocol=f"a rehearsal on {count} images",
    )


if __name__ == "__main__":
    typer.run(queue)
