"""``heqcodec export``: models for other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common.options import JsonFacts, Verbose, choice_option, model_names
from .common.terminal import check_choice, print_json, reports_errors, say, usage_error

app = typer.Typer(
    name="export",
    help="Write a model for other machines.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _names() -> list[str]:
    from heqcodec.models.classifiers import index

    return [*model_names(), *index()["classifiers"]]


def _layouts() -> list[str]:
    from heqcodec.export.layouts import LAYOUTS

    return list(LAYOUTS)


def _checked_prefix(prefix: str) -> str:
    from heqcodec.base.errors import HeqError
    from heqcodec.export.layouts import check_prefix

    try:
        check_prefix(prefix)
    except HeqError as error:
        raise usage_error(str(error), "--prefix") from error
    return prefix


Model = Annotated[
    str,
    choice_option(
        "--model",
        "M",
        _names,
        "default",
        "A name of `heqcodec models`; by default that of variable rate.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder; files are replaced.")]


@app.command("c")
@reports_errors
def export_c(
    out: Out,
    model: Model = "default",
    layout: Annotated[
        str,
        typer.Option(
            metavar="L",
            autocompletion=_layouts,
            help="plain, arduino, platformio, esp-idf or zephyr: as that build system takes it.",
        ),
    ] = "plain",
    prefix: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            callback=_checked_prefix,
            help="In place of heq in names of C, so that two models link into one firmware.",
        ),
    ] = "heq",
    as_json: JsonFacts = False,
    verbose: Verbose = False,
) -> None:
    """Write the encoder as C99 for a microcontroller, with a program and its test.

    `make test` in the folder (in other layouts than plain in its folder extras) builds heqenc and
    compares its files with those of heqcodec. With the name of a classifier, such as nqe-bsn, the
    folder holds that one and heqclass.
    """
    from heqcodec.export.c_project import export_c as write

    check_choice(layout, _layouts(), "--layout")
    figures = write(model, out, layout, prefix)
    if as_json:
        print_json(figures)
        return
    say(
        f"{out}: {figures['weight_bytes']:,} bytes of weights, {figures['memory_bytes']:,} bytes "
        f"of memory; make test {'' if layout == 'plain' else 'in extras '}builds and checks it."
    )


@app.command("onnx")
@reports_errors
def export_onnx(
    out: Out,
    model: Model = "default",
    as_json: JsonFacts = False,
    verbose: Verbose = False,
) -> None:
    """Write the encoder and PURENET as ONNX files, after a check by onnxruntime.

    The encoder is compared with integers, bit for bit, and PURENET with torch, which this needs.
    """
    from heqcodec.export.onnx.exporting import export_onnx as write

    figures = write(model, out)
    if as_json:
        print_json(figures)
        return
    for file, entry in figures.items():
        say(
            f"{out / file}: {entry['bytes']:,} bytes, within {entry['largest_difference']:.1g} of "
            "what it stands for."
        )


@app.command("report")
@reports_errors
def export_report(
    model: Model = "default",
    as_json: JsonFacts = False,
    verbose: Verbose = False,
) -> None:
    """Print weights, operations and widths of sums of an encoder, layer by layer.

    With --json also the packed weights, in hexadecimal digits.
    """
    from heqcodec.export.report import encoder_report, report_text

    report = encoder_report(model)
    if as_json:
        print_json(report)
        return
    typer.echo(report_text(report))
