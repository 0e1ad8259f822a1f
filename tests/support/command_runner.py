"""The ``heqcodec`` command inside the process of the tests."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import typer.testing
from heqcodec.cli.application import app
from typer.testing import CliRunner

typer.testing._get_command = functools.cache(typer.main.get_command)
"""Reading the options of all commands takes ten times as long as most of the commands tested."""


def run(*arguments: str | Path, stdin: bytes | None = None) -> Any:
    """The result of a command line: exit code and the bytes of both streams."""
    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # newer versions keep the streams apart anyway
        runner = CliRunner()
    return runner.invoke(app, [str(argument) for argument in arguments], input=stdin)


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
