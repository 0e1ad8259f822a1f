"""``heqcodec export``: the encoder for other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from heqcodec.cli.options import Json, Verbose
from heqcodec.cli.terminal import print_json, reports_errors, say

app = typer.Typer(
    name="export",
    help="Write the encoder for other machines, and say what it holds.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="M",
        help="A name of `heqcodec models`; by default that of variable rate.",
    ),
]


@app.command("c")
@reports_errors
def export_c(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A folder; files are replaced.")
    ],
    model: Model = "default",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write the encoder as C99 for a microcontroller, with a program and its test.

    `make test` in the folder builds heqenc and compares its files with those of heqcodec.
    """
    from heqcodec.export.c_project import export_c as write

    figures = write(model, out)
    if as_json:
        print_json(figures)
        return
    say(
        f"{out}: {figures['weight_bytes']:,} bytes of weights, {figures['encoder_bytes']:,} bytes "
        "of memory; make test builds and checks it."
    )
