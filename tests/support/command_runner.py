"""The ``heqcodec`` command inside the process of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heqcodec.cli.application import app
from typer.testing import CliRunner


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
