"""``heqcodec info`` and ``heqcodec models``: what a file says, and what can be used."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from heqcodec.cli.options import JsonFacts, Verbose
from heqcodec.cli.terminal import about, print_json, read_input, reports_errors


@reports_errors
def info(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .heq file; - is standard input.")],
    as_json: JsonFacts = False,
    verbose: Verbose = False,
) -> None:
    """Print what a .heq file says about itself, after verifying all its checksums."""
    from heqcodec.api import info as describe

    data = read_input(file)
    with about(file):
        description = describe(data)
    if as_json:
        print_json(description)
        return
    for key, value in description.items():
        if value is not None:  # what the file's mode has not
            typer.echo(f"{key.replace('_', ' '):16} {_text(value)}")


@reports_errors
def models(as_json: JsonFacts = False, verbose: Verbose = False) -> None:
    """List the models that can encode, with the size of their encoders."""
    from heqcodec.models import describe_models

    descriptions = describe_models()
    if as_json:
        print_json(descriptions)
        return
    for number, description in enumerate(descriptions):
        if number:
            typer.echo()
        for key, value in description.items():
            typer.echo(f"{key.replace('_', ' '):16} {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == []:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_text(item) for item in value)
    return str(value)
