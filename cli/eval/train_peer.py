"""``heqcodec eval train-peer``: train a learned codec that others designed, on our photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from heqcodec.cli.common.options import (
    Device,
    HeldOut,
    Photographs,
    Resume,
    StopAfter,
    Threads,
    Verbose,
    file_option,
)
from heqcodec.cli.common.terminal import reports_errors, say, set_threads


@reports_errors
def train_peer(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE",
            exists=True,
            dir_okay=False,
            help="A recipe, such as factorized-0067.toml.",
        ),
    ],
    data: Photographs,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoint, log and weights.")
    ],
    held_out: HeldOut = None,
    minutes: StopAfter = None,
    resume: Resume = False,
    start: Annotated[
        Path | None,
        file_option(
            "--start",
            help="Start from the weights of such a peer (safetensors), trained at another rate.",
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    verbose: Verbose = False,
) -> None:
    """Train a peer from RECIPE on a folder of images; it can be stopped and resumed any time.

    Writes checkpoint.safetensors and log.csv, and weights/NAME.safetensors with the record
    NAME.json. A factorized or mean-scale peer loads into CompressAI's class of that architecture.
    """
    set_threads(threads)
    from heqcodec.lab.peers.run import train_peer as run_training

    record = run_training(
        recipe,
        data,
        out,
        held_out_dir=held_out,
        minutes=minutes,
        device=device,
        resume=resume,
        start_from=start,
    )
    figures = ", ".join(f"{name} {value:g}" for name, value in record["held_out"].items())
    steps = record["training"]["steps"]
    say(f"Exported {out / 'weights' / record['file']} after {steps} steps; {figures}.")
