"""``heqcodec info`` and ``heqcodec models``: what a file says, and what can be used."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .common.options import JsonFacts, Verbose
from .common.terminal import about, print_json, print_table, read_input, reports_errors, tell


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
    for key, value in _shown(dict(description)).items():
        if value is not None:  # what the file's mode has not
            tell(f"{key.replace('_', ' '):16} {_text(value)}")


@reports_errors
def models(as_json: JsonFacts = False, verbose: Verbose = False) -> None:
    """List the models that can encode, with the bits of weights that an encoder holds.

    With --json also ids, parts of the weights, training and figures.
    """
    from heqcodec.models.registry import describe_models

    descriptions = describe_models()
    if as_json:
        print_json(descriptions)
        return
    headings = ("model", "mode", "sizes", "weight bits", "decoders")
    rows = [
        (
            f"{model['name']} (default)" if model["default"] else model["name"],
            model["mode"],
            _sizes(model),
            f"{model['weight_bits']:,}",
            ", ".join(model["decoders"]),
        )
        for model in descriptions
    ]
    print_table(None, headings, rows, left=(0, 1, 2, 4), plain=True)
    for model in descriptions:
        tell(f"{model['name']}: {model['about']}")


def _shown(description: dict[str, Any]) -> dict[str, Any]:
    """What is printed: of the steps of strips the range, where they differ."""
    from heqcodec.file.options import quality_of_step

    steps = [step for step in description.pop("steps") or [] if step is not None]
    if steps and description["step"] is None:
        description["step"] = f"{min(steps)} to {max(steps)}"
        coarse, fine = quality_of_step(max(steps)), quality_of_step(min(steps))
        description["quality"] = f"{coarse:g} to {fine:g}"
    if description["model"] is None:  # Its steps may be others.
        description.update(model="none of this version", quality=None)
    return description


def _sizes(model: dict[str, Any]) -> str:
    if "bpp" in model:
        return f"{min(model['bpp']):g} to {max(model['bpp']):g} bpp"
    return "quality 1 to 100"


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
