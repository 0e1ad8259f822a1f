"""Options that the commands of training share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
