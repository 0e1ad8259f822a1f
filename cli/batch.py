"""Many files in one command: folders and globs, a progress bar, failures told at the end."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from heqcodec.cli.terminal import DATA_ERROR, STANDARD, print_json, say, sentence, usage_error
from heqcodec.errors import HeqError

__all__ = ["Job", "Plan", "find_sources", "plan_jobs", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """One input file and the output that it makes."""

    source: str
    target: str


@dataclass
class Plan:
    """The jobs of a command.

    Attributes:
        jobs: in the order in which they run.
        many: whether the inputs were a folder, a glob or several files.
    """

    jobs: list[Job] = field(default_factory=list)
    many: bool = False


def find_sources(inputs: list[str], accepts: Callable[[Path], bool]) -> tuple[list[str], bool]:
    """Turn the inputs of a command into files.

    Args:
        inputs: paths, folders, globs that the shell left alone, or ``-``.
        accepts: which files of a folder are inputs; those named by the user all are.

    Returns:
        The files, each once, and whether the inputs were a folder, a glob or several files.

    Raises:
        HeqError: a glob or folder holds no input.
    """
    sources: list[str] = []
    many = len(inputs) > 1
    for name in inputs:
        if os.path.isdir(name):
            many = True
            found = sorted(str(p) for p in Path(name).iterdir() if p.is_file() and accepts(p))
        elif glob.has_magic(name) and not os.path.exists(name):
            many = True
            found = sorted(p for p in glob.glob(name, recursive=True) if os.path.isfile(p))
        else:
            found = [name]
        if not found:
            raise HeqError(f"{name} holds no file to work on.")
        sources += [path for path in found if path not in sources]
    return sources, many


def plan_jobs(
    inputs: list[str], output: str, suffix: str, accepts: Callable[[Path], bool], as_json: bool
) -> Plan:
    """Turn the arguments of a command into jobs.

    Args:
        inputs: paths, folders, globs that the shell left alone, or ``-`` alone.
        output: a file, or for many inputs a folder, which is made if it does not exist.
        suffix: what output names end in.
        accepts: which files of a folder are inputs; those named by the user all are.
        as_json: whether the results will be printed as JSON.

    Raises:
        HeqError: a glob or folder holds no input, or the output folder cannot be made.
        typer.BadParameter: standard streams together with many files, or standard output with JSON.
    """
    if as_json and output == STANDARD:
        raise usage_error("standard output cannot carry the image and JSON both.", "--json")
    sources, many = find_sources(inputs, accepts)
    if many and (output == STANDARD or STANDARD in sources):
        raise usage_error("'-' goes with one file only.", "OUT")
    if not many and not (output != STANDARD and os.path.isdir(output)):
        return Plan([Job(sources[0], output)])
    if sources == [STANDARD]:
        raise usage_error("name a file for what comes from standard input.", "OUT")

    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise usage_error(f"{output} is a file, and several inputs need a folder.", "OUT")
    folder.mkdir(parents=True, exist_ok=True)
    # photo.png and photo.jpg would both become photo.heq; then both keep their suffix, whatever
    # the order of the arguments.
    stems = Counter(Path(path).stem.casefold() for path in sources)
    jobs = []
    for path in sources:
        source = Path(path)
        stem = source.name if stems[source.stem.casefold()] > 1 else source.stem
        jobs.append(Job(path, str(folder / (stem + suffix))))
    targets = Counter(job.target.casefold() for job in jobs)
    clash = [job.target for job in jobs if targets[job.target.casefold()] > 1]
    if clash:
        raise HeqError(f"Several inputs would be written to {clash[0]}; run them apart.")
    return Plan(jobs, many)


def run_jobs(
    plan: Plan,
    work: Callable[[Job], dict[str, Any]],
    line: Callable[[dict[str, Any]], str],
    as_json: bool,
    title: str,
) -> None:
    """Run the jobs, tell the results and go on after a bad file.

    Args:
        work: does one job and returns its result, ready for JSON. It may set ``failed`` to a
            sentence: the output was written, and the exit code is 1 all the same.
        line: the result in one line.
        title: what the progress bar says.

    Raises:
        HeqError: the only job failed.
        typer.Exit: code 1 after one or more of several jobs failed.
    """
    if not plan.many:
        result = work(plan.jobs[0])
        if as_json:
            print_json(result)
        else:
            typer.echo(line(result), err=plan.jobs[0].target == STANDARD)
        if result.get("failed"):
            say(f"heqcodec: {result['failed']}")
            raise typer.Exit(DATA_ERROR)
        return

    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    results: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        for job in progress.track(plan.jobs, description=title):
            try:
                result = work(job)
            except (HeqError, OSError, MemoryError) as error:
                failures.append({"input": job.source, "error": sentence(error)})
                continue
            results.append(result)
            if result.get("failed"):
                failures.append({"input": job.source, "error": result["failed"]})
            if not as_json:
                print(line(result), file=sys.stdout)
    if as_json:
        print_json({"files": results, "failed": failures})
    if failures:
        say(f"heqcodec: {len(failures)} of {len(plan.jobs)} files failed:")
        for failure in failures:
            name, reason = failure["input"], failure["error"]
            say(f"  {reason}" if name in reason else f"  {name}: {reason}")
        raise typer.Exit(DATA_ERROR)
