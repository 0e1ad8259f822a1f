"""Options that several commands share, as types for their parameters."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class BackendChoice(str, Enum):
    """What runs a decoder's network."""

    auto = "auto"
    onnx = "onnx"
    torch = "torch"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace an output that exists.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "-j",
        "--threads",
        min=1,
        metavar="N",
        help="Use N threads; all cores by default. Encoded bytes do not depend on it.",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels", min=1, metavar="N", help="Refuse larger images; about 90 million if unset."
    ),
]
StripRows = Annotated[
    int | None,
    typer.Option(
        "--strip-rows",
        min=1,
        max=255,
        metavar="N",
        help="Rows of patches in a strip; damage costs a strip.",
    ),
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Say more, and show where an error comes from.")
]
Device = Annotated[str, typer.Option("--device", metavar="D", help="auto, cpu, cuda or cuda:1.")]
Model = Annotated[
    str, typer.Option("--model", metavar="M", help="A name that `heqcodec models` lists.")
]
