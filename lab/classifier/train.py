"""``python -m heqcodec.lab.classifier.train RECIPE.toml --data cifar.npz --out DIR``."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.purenet.device import find_device

from .command_options import Data, Device, Minutes, Out, State, console, reported_errors
from .images import load_images
from .recipe import ClassifierRecipe
from .run import run_recipe


def say_row(row: dict[str, Any]) -> None:
    """Show an epoch."""
    console.print(
        f"{row['name']} {row['epoch']:3d}: loss {row['loss']:.4f}, train "
        f"{row['train_accuracy']:.2f} %, test {row['test_accuracy']:.2f} %, {row['seconds']:.1f} s",
        highlight=False,
    )


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", exists=True, dir_okay=False)],
    data: Data,
    out: Out,
    state: State = None,
    device: Device = "auto",
    minutes: Minutes = None,
) -> None:
    """Train a classifier from RECIPE; the same command again goes on where it stopped."""
    begun = time.monotonic()
    with reported_errors():
        wanted = ClassifierRecipe.load(recipe)
        result = run_recipe(
            wanted,
            load_images(data),
            find_device(device),
            out / wanted.name,
            (state or out) / wanted.name,
            math.inf if minutes is None else begun + 60 * minutes,
            say_row,
        )
    if result is None:
        console.print("stopped; the same command goes on")
        return
    console.print(f"{result['accuracy']:.2f} %, {result['protocol']}", highlight=False)


if __name__ == "__main__":
    typer.run(train)
