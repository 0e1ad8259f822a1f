"""The jobs of a command, run: results on standard output, progress and failures on the other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import typer
from heqcodec.base.errors import HeqError
from heqcodec.base.progress import Progress

from .sources import Job, Plan
from .terminal import DATA_ERROR, STANDARD, print_json, say, sentence, tell

__all__ = ["run_jobs"]

Work = Callable[[Job, "Progress | None"], dict[str, Any]]


def run_jobs(
    plan: Plan,
    work: Work,
    line: Callable[[dict[str, Any]], str],
    title: str,
    *,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Run the jobs, tell the results and go on after a bad file.

    Args:
        work: does one job and returns its result, ready for JSON. It may set ``failed`` to a
            sentence: the output was written, and the exit code is 1 all the same. Its second
            argument takes the progress within a file.
        line: the result in one line.
        title: what the progress bar says.
        as_json: print one object in place of lines: ``files``, the results, and ``failed``, for
            each failure ``input`` and ``error``.
        quiet: no lines and no bar.

    Raises:
        HeqError, OSError, MemoryError: the only job failed.
        typer.Exit: code 1 after one or more of several jobs failed, or a result says so.
    """
    results: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    only_error: BaseException | None = None
    with _bars(title, len(plan.jobs), quiet) as (next_file, progress):
        for job in plan.jobs:
            try:
                result = work(job, progress)
            except (HeqError, OSError, MemoryError) as error:
                failures.append({"input": job.source, "error": sentence(error)})
                only_error = None if plan.many else error
                continue
            finally:
                next_file()
            results.append(result)
            if result.get("failed"):
                failures.append({"input": job.source, "error": result["failed"]})
            if not as_json and not quiet:
                (say if job.target == STANDARD else tell)(line(result))
    if as_json:
        print_json({"files": results, "failed": failures})
    if only_error is not None:
        raise only_error
    if failures:
        _tell_failures(failures, plan)
        raise typer.Exit(DATA_ERROR)


def _tell_failures(failures: list[dict[str, str]], plan: Plan) -> None:
    if not plan.many:
        say(f"heqcodec: {failures[0]['error']}")
        return
    say(f"heqcodec: {len(failures)} of {len(plan.jobs)} files failed:")
    for failure in failures:
        name, reason = failure["input"], failure["error"]
        say(f"  {reason}" if name in reason else f"  {name}: {reason}")


@contextlib.contextmanager
def _bars(
    title: str, files: int, quiet: bool
) -> Iterator[tuple[Callable[[], None], Progress | None]]:
    """Bars for the files and for the file at work, on standard error if that is a terminal.

    Yields:
        What is called after each file, and what is called with the progress within it.
    """
    if quiet or not sys.stderr.isatty():
        yield (lambda: None), None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (*Bars.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    # What is printed while bars are shown has to pass through them, where both are on a terminal;
    # a redirected standard output must not.
    to_terminal = sys.stdout.isatty()
    with Bars(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=to_terminal
    ) as bars:
        whole = bars.add_task(title, total=files, visible=files > 1)
        part = bars.add_task("this file" if files > 1 else title, total=None, visible=False)

        def next_file() -> None:
            bars.advance(whole)
            if files > 1:
                bars.reset(part, visible=False)

        yield (
            next_file,
            lambda done, total: bars.update(part, completed=done, total=total, visible=True),
        )
