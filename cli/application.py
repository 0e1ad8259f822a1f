"""The commands, put together. Nothing heavy is imported here: ``--help`` has to be quick."""

from __future__ import annotations

from typing import Annotated

import typer
from heqcodec.cli import (
    batch,
    classification,
    decoding,
    demonstration,
    encoding,
    eval,
    export,
    inspection,
    link,
    link_simulation,
    receiving,
    repacking,
    search,
    training,
    viewing,
)

app = typer.Typer(
    name="heqcodec",
    help="A learned image codec whose encoder needs only additions, shifts and comparisons.",
    epilog="Exit codes: 0 done, 1 something is wrong with the data, 2 with the command.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from heqcodec import FORMAT_VERSION
    from heqcodec.base.version import __version__

    typer.echo(f"heqcodec {__version__}, format version {FORMAT_VERSION}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions of the package and of the file format.",
        ),
    ] = False,
) -> None:
    pass


app.command("encode")(encoding.encode)
app.command("decode")(decoding.decode)
app.command("pack")(repacking.pack)
app.command("unpack")(repacking.unpack)
app.command("packetize")(link.packetize)
app.command("assemble")(link.assemble)
app.command("simulate-link")(link_simulation.simulate_link)
app.command("receive")(receiving.receive)
app.command("view")(viewing.view)
app.command("info")(inspection.info)
app.command("models")(inspection.models)
app.command("classify")(classification.classify)
app.command("demo")(demonstration.demo)
app.command("train")(training.train)
app.command("search")(search.search)
app.add_typer(batch.app, name="batch")
app.add_typer(eval.app, name="eval")
app.add_typer(export.app, name="export")
