"""What the commands of training share: options, and how they say an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from heqcodec.base.errors import HeqError
from rich.console import Console

console = Console(stderr=True)

Data = Annotated[
    Path, typer.Option("--data", exists=True, help="A packed .npz, or a folder of images.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for logs, results and weights.")]
State = Annotated[
    Path | None, typer.Option("--state", help="Folder for checkpoints; --out if left out.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", min=0.0, help="Stop after so many minutes.")
]


@contextmanager
def reported_errors() -> Iterator[None]:
    """Say a ``HeqError`` in red, and end the command with code 1."""
    try:
        yield
    except HeqError as error:
        console.print(str(error), style="red", highlight=False)
        raise typer.Exit(1) from error
