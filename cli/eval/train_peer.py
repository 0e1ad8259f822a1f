"""``heqcodec eval train-peer``: train a learned codec that others designed, on our photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from heqcodec.cli.options import Device, Threads, Verbose
from heqcodec.cli.terminal import reports_errors, say, set_threads


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
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", exists=True, file_okay=False, help="A folder of images."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoint, log and weights.")
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Photographs for the held-out figures; otherwise a fiftieth of the tiles.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.0, metavar="N", help="Stop after N minutes of training."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start",
            metavar="FILE",
            exists=True,
            dir_okay=False,
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
    from heqcodec.eval.peers.run import train_peer as run_training

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
