"""``heqcodec eval``: measure this codec and others. Each command lives in a module of its own."""

from __future__ import annotations

import typer

from .complexity import complexity
from .curves import curves
from .datasets import datasets
from .gain import gain
from .patch_table import patch_table
from .quantizers import quantizers
from .report import report
from .run import run
from .sequences import sequences
from .train_peer import train_peer

app = typer.Typer(
    help="Measure this codec and others, and compare them.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("complexity")(complexity)
app.command("curves")(curves)
app.command("datasets")(datasets)
app.command("gain")(gain)
app.command("patch-table")(patch_table)
app.command("quantizers")(quantizers)
app.command("report")(report)
app.command("run")(run)
app.command("sequences")(sequences)
app.command("train-peer")(train_peer)


@app.callback()
def _group() -> None:
    """Keep the commands subcommands even when there is only one."""
