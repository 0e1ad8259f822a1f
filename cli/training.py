"""``heqcodec train``: make weights from a recipe and a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common.options import Device, HeldOut, Photographs, Resume, StopAfter, Verbose, file_option
from .common.terminal import reports_errors, say


@reports_errors
def train(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", exists=True, dir_okay=False, help="A recipe, such as nqe-t.toml."
        ),
    ],
    data: Photographs,
    minutes: StopAfter = None,
    device: Device = "auto",
    resume: Resume = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoints, log and weights.")
    ] = Path("heqcodec-training"),
    held_out: HeldOut = None,
    encoder: Annotated[
        Path | None,
        file_option(
            "--encoder",
            help="Keep this transform encoder (safetensors) and train its decoder only.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        file_option(
            "--start",
            help="Start PURENET from these weights (safetensors).",
        ),
    ] = None,
    coders: Annotated[
        Path | None,
        typer.Option(
            "--coders",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Keep the coders (NAME.device.safetensors, NAME.packed.safetensors) of this "
            "folder: those of the --encoder.",
        ),
    ] = None,
    finish_in: Annotated[
        float | None,
        typer.Option(
            "--finish-in",
            min=0.01,
            metavar="N",
            help="End the whole schedule after N minutes, if the recipe's steps took longer.",
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Train a model from RECIPE on a folder of images; it can be stopped and resumed any time."""
    try:
        from heqcodec.lab.training.run import train as run_training
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("heqcodec"):
            raise
        from heqcodec.base.errors import HeqError

        raise HeqError(
            f'Training needs the package {error.name}; pip install "heqcodec[train]".'
        ) from error
    entry = run_training(
        recipe,
        data,
        minutes=minutes,
        device=device,
        resume=resume,
        out_dir=out,
        held_out_dir=held_out,
        encoder_from=encoder,
        start_from=start,
        finish_in=finish_in,
        coders_from=coders,
    )
    if not entry:  # Of several processes the first exports, and says so.
        return
    figures = ", ".join(f"{label} {value:.2f} dB" for label, value in entry["held_out"].items())
    say(f"Exported to {out / 'weights'} after {entry['training']['steps']} steps; {figures}.")
