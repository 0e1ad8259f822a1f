"""``python -m heqcodec.lab.classifier.dither RUN OUT``: latent weights, where levels alone were
kept.

A run goes on from the latent weights of another (``final.safetensors``), but what is kept for good
are levels. Uniform noise of one level's width makes latent weights of them that quantize to nearly
the same levels; scaled to the deviation that ``layers.csv`` tells, learning rates fit them.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import torch
import typer
from heqcodec.base.errors import HeqError
from safetensors.torch import save_file
from torch import Tensor

from .command_options import console, reported_errors
from .networks import read_tensors
from .run import FINAL, WEIGHTS

LAYERS = "layers.csv"


def dithered(levels: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Latent weights that stand for levels.

    Args:
        levels: whole numbers one apart, or -1 and 1; any shape.
        sigma: standard deviation of the result, above 0.
        generator: of the noise.

    Returns:
        float32, same shape, in the order of the levels.
    """
    noise = torch.rand(levels.shape, generator=generator) - 0.5
    latent = levels.float() + noise
    return latent * (sigma / latent.std())


def last_deviations(layers: Path) -> dict[str, float]:
    """Standard deviation of each layer's latent weights after the last epoch of ``layers.csv``.

    Raises:
        HeqError: the file cannot be read.
    """
    try:
        with layers.open(newline="", encoding="utf-8") as file:
            return {row["layer"]: float(row["sigma"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        raise HeqError(f"{layers} cannot be read: {error}.") from error


def dither_run(run: Path, out: Path, seed: int = 1) -> Path:
    """Write ``final.safetensors`` for runs that start from this one.

    Args:
        run: folder with ``classifier.safetensors`` and ``layers.csv``.
        out: folder, of the run's name, beside those of the runs that start from it.
        seed: of the noise.

    Returns:
        The file.

    Raises:
        HeqError: the run has no such files, or they do not belong together.
    """
    tensors, _ = read_tensors(run / WEIGHTS)
    deviations = last_deviations(run / LAYERS)
    generator = torch.Generator().manual_seed(seed)
    for layer, sigma in deviations.items():
        name = f"{layer}.weight"
        if name not in tensors:
            raise HeqError(f"{run / LAYERS} tells of {layer}, which {run / WEIGHTS} does not hold.")
        tensors[name] = dithered(tensors[name], sigma, generator)
    out.mkdir(parents=True, exist_ok=True)
    whole = {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}
    save_file(whole, out / FINAL)
    return out / FINAL


def main(
    run: Annotated[Path, typer.Argument(metavar="RUN", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", file_okay=False)],
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
) -> None:
    """Make latent weights of the levels of RUN, as runs start from them, in the folder OUT."""
    with reported_errors():
        console.print(str(dither_run(run, out, seed)), highlight=False)


if __name__ == "__main__":
    typer.run(main)
