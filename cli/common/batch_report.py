"""What ``heqcodec batch`` prints: progress, a summary, failures."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from .terminal import DATA_ERROR, print_json, say, tell

if TYPE_CHECKING:
    from heqcodec.batch.run import Summary

LINE_SECONDS = 30.0
"""Between two lines of progress where there is no terminal."""
NAMED_FAILURES = 20


def report_batch(summary: Summary, heads: dict[str, str], as_json: bool, quiet: bool) -> None:
    """Print what a batch did; exit with 1 where an item failed.

    Args:
        summary: of the run.
        heads: what the object has in front with ``as_json``.
        as_json: print an object on standard output in place of a line on standard error.
        quiet: print failures alone.
    """
    if as_json:
        print_json({**heads, **summary.as_json()})
    elif not quiet:
        tell(_line(summary))
    if not (summary.failed or summary.failed_before):
        return
    if summary.failed:
        say(f"heqcodec: {summary.failed:,} of {summary.items:,} items failed:")
    for failure in summary.failures[:NAMED_FAILURES]:
        say(f"  {failure['input']}: {failure['error']}")
    if summary.failed > NAMED_FAILURES:
        say(f"  and {summary.failed - NAMED_FAILURES:,} more, which the manifest lists.")
    if summary.failed_before:
        say(
            f"heqcodec: items that failed before and were left alone: {summary.failed_before:,}; "
            "--retry-failed does them again."
        )
    raise typer.Exit(DATA_ERROR)


def _line(summary: Summary) -> str:
    deaths = f", {summary.deaths:,} workers died" if summary.deaths else ""
    return (
        f"{summary.done:,} done, {summary.failed:,} failed, {summary.skipped:,} done before"
        f"{deaths}; {summary.input_bytes:,} bytes to {summary.output_bytes:,}, "
        f"{summary.rate:.2f} a second, {summary.seconds:.1f} s"
    )


@contextlib.contextmanager
def batch_progress(title: str, quiet: bool) -> Iterator[Callable[[Summary], None]]:
    """A bar on standard error, or a line now and then where that is no terminal."""
    if quiet:
        yield lambda summary: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            *Progress.get_default_columns()[:-1],
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(title, total=None, rate=0.0)

            def show(summary: Summary) -> None:
                done = summary.done + summary.failed
                bars.update(bar, completed=done, total=summary.items, rate=summary.rate)

            yield show
    else:
        last = time.monotonic()

        def print_line(summary: Summary) -> None:
            nonlocal last
            if time.monotonic() - last < LINE_SECONDS:
                return
            last = time.monotonic()
            left = summary.seconds_left
            total = "" if summary.items is None else f" of {summary.items:,}"
            rest = "" if left is None else f", {left:.0f} s left"
            say(
                f"{title}: {summary.done + summary.failed:,}{total}, {summary.failed:,} failed, "
                f"{summary.rate:.2f} a second{rest}"
            )

        yield print_line
