"""``heqcodec pack`` and ``heqcodec unpack``: device files to packed ones and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from heqcodec.base.progress import Progress
from heqcodec.cli.decoding import is_heq

from .common.jobs import run_jobs
from .common.options import (
    Force,
    HeqInputs,
    HeqOutput,
    Json,
    MaxPixels,
    Quiet,
    Recursive,
    StripRows,
    Threads,
    Verbose,
)
from .common.sources import Job, Plan, check_heq_name, plan_jobs
from .common.terminal import (
    about,
    check_output,
    read_input,
    reports_errors,
    set_threads,
    write_output,
)


@reports_errors
def pack(
    inputs: HeqInputs,
    output: HeqOutput,
    strip_rows: StripRows = None,
    max_pixels: MaxPixels = None,
    threads: Threads = None,
    recursive: Recursive = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make device files of the variable-rate mode smaller, without loss.

    Several inputs, a folder or a quoted glob make OUT a folder; a bad file then does not stop the
    others, and the exit code is 1 in the end.
    """
    from heqcodec.api import pack as convert

    plan = _plan(inputs, output, threads, recursive, as_json)
    options = {"strip_rows": strip_rows, "max_pixels": max_pixels}
    run_jobs(plan, _work(convert, options, force), _line, "packing", as_json=as_json, quiet=quiet)


@reports_errors
def unpack(
    inputs: HeqInputs,
    output: HeqOutput,
    max_pixels: MaxPixels = None,
    threads: Threads = None,
    recursive: Recursive = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give back the device files that packed files were made of, bit for bit."""
    from heqcodec.api import unpack as convert

    plan = _plan(inputs, output, threads, recursive, as_json)
    options = {"max_pixels": max_pixels}
    run_jobs(plan, _work(convert, options, force), _line, "unpacking", as_json=as_json, quiet=quiet)


def _plan(
    inputs: list[str], output: str, threads: int | None, recursive: bool, as_json: bool
) -> Plan:
    set_threads(threads)
    return plan_jobs(
        inputs, output, ".heq", is_heq, check_heq_name, recursive=recursive, as_json=as_json
    )


def _work(
    convert: Callable[..., bytes], options: dict[str, int | None], force: bool
) -> Callable[[Job, Progress | None], dict[str, Any]]:
    given = {name: value for name, value in options.items() if value is not None}

    def work(job: Job, progress: Progress | None) -> dict[str, Any]:
        check_output(job.source, job.target, force)
        start = time.perf_counter()
        data = read_input(job.source)
        with about(job.source):
            converted = convert(data, progress=progress, **given)
        write_output(job.target, converted)
        return {
            "input": job.source,
            "output": job.target,
            "input_bytes": len(data),
            "bytes": len(converted),
            "seconds": round(time.perf_counter() - start, 4),
        }

    return work


def _line(result: dict[str, Any]) -> str:
    change = 100 * (result["bytes"] / result["input_bytes"] - 1)
    return (
        f"{result['output']}: {result['bytes']:,} bytes ({change:+.1f} %), "
        f"{result['seconds']:.2f} s"
    )
