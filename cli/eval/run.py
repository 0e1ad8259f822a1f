"""``heqcodec eval run``: measure codecs on a folder of images, and keep every figure."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from heqcodec.cli.common.options import Verbose
from heqcodec.cli.common.terminal import (
    DATA_ERROR,
    optional,
    print_table,
    reports_errors,
    say,
    tell,
)
from heqcodec.cli.eval.ladders import present_ladders, read_request

if TYPE_CHECKING:
    from heqcodec.eval.baselines import CodecMaker
    from heqcodec.eval.runner import Ladder
    from heqcodec.eval.store import Store
    from heqcodec.eval.workers import Outcome


@reports_errors
def run(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of test images.")],
    codec: Annotated[
        list[str],
        typer.Option(
            "--codec",
            metavar="NAME",
            help="May be given several times; patterns as compressai-*. An unknown name lists all.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--setting", metavar="CODEC=V,V", help="Settings of one codec instead of its own."
        ),
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            "--rates", metavar="V,V", help="Settings of all codecs that take bits per pixel."
        ),
    ] = None,
    qualities: Annotated[
        str | None,
        typer.Option("--qualities", metavar="V,V", help="Settings of all that take a quality."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j", "--jobs", min=1, metavar="N", help="Processes; one for each core by default."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep coded files and decoded images, too.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "-f", "--force", help="Measure codecs anew whose version or settings have changed."
        ),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Encode each image to a real file, decode it, and measure; JSON curves and a CSV table.

    Writes images.csv, one line for each file, and CODEC.json for each codec, its curve in
    CompressAI's schema. What is finished is not run again: after an interruption, give the same
    command. Codecs that are not installed are skipped. An image that fails does not stop the
    others, but the exit code is 1 in the end.
    """
    from heqcodec.base.threads import processor_count
    from heqcodec.eval.folder import data_set, image_files
    from heqcodec.eval.runner import claim_of, failures_text
    from heqcodec.eval.store import Store

    request = read_request(codec, setting or [], rates, qualities)
    ladders = present_ladders(request.ladders)
    files = image_files(data)
    images = data_set(files)
    processes = jobs or processor_count()
    command = _command(data, codec, out, setting or [], rates, qualities, jobs, keep)
    claims = [claim_of(ladder, processes, command) for ladder in ladders]
    with Store(out, images) as store:
        store.claim(claims, anew=force)
        failed = _measure(store, ladders, files, processes, keep, request.maker, verbose)
        paths = store.write_results()
        curves = [store.curve(ladder.codec.name) for ladder in ladders]
    _print_table(curves, len(files))
    for curve in curves:
        _say_of_what(curve)
    tell(f"Wrote {', '.join(str(path) for path in paths)}.")
    if failed:
        say(f"heqcodec: {len(failed)} measurements failed:")
        for line in failures_text(failed):
            say(f"  {line}")
        raise typer.Exit(DATA_ERROR)


def _measure(
    store: Store,
    ladders: list[Ladder],
    files: list[Path],
    processes: int,
    keep: bool,
    maker: CodecMaker,
    verbose: bool,
) -> list[Outcome]:
    """Do what is left under a progress bar; return what failed."""
    from heqcodec.eval.runner import left_jobs, run
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    def jobs_left() -> Counter[str]:
        jobs = [job for ladder in ladders for job in left_jobs(store, ladder, files, keep)]
        return Counter(job.codec for job in jobs)

    total = sum(len(ladder.settings) for ladder in ladders) * len(files)
    of_codec = jobs_left()
    left = of_codec.total()
    if left < total:
        say(f"heqcodec: {total - left} of {total} measurements are there already.")
    failed: list[Outcome] = []
    console = Console(stderr=True)
    columns = (
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    outcomes = run(store, ladders, files, processes, keep, maker)
    try:
        with (
            contextlib.closing(outcomes),
            Progress(
                *columns, console=console, disable=not console.is_terminal, transient=True
            ) as progress,
        ):
            task = progress.add_task("measuring", total=left)
            for outcome in outcomes:
                codec = outcome.job.codec
                progress.update(task, advance=1, description=codec)
                of_codec[codec] -= 1
                if not (of_codec[codec] or console.is_terminal):
                    say(f"heqcodec: {codec} is done, {of_codec.total()} measurements are left.")
                if outcome.failure:
                    failed.append(outcome)
                if outcome.trace and verbose:
                    progress.console.print(outcome.trace, markup=False, highlight=False)
    except KeyboardInterrupt:
        kept = total - jobs_left().total()
        say(f"heqcodec: {kept} of {total} measurements are kept; the same command goes on.")
        raise
    return failed


def _command(
    data: Path,
    codecs: list[str],
    out: Path,
    settings: list[str],
    rates: str | None,
    qualities: str | None,
    jobs: int | None,
    keep: bool,
) -> str:
    """Return the command for the record. Names without folders: the record is published."""
    words = ["heqcodec", "eval", "run", "--data", data.resolve().name]
    words += [word for spec in codecs for word in ("--codec", _spec_text(spec))]
    words += [word for text in settings for word in ("--setting", text)]
    words += ["--rates", rates] if rates is not None else []
    words += ["--qualities", qualities] if qualities is not None else []
    words += ["--out", out.resolve().name]
    words += ["--jobs", str(jobs)] if jobs is not None else []
    words += ["--keep"] if keep else []
    return shlex.join(words)


def _spec_text(spec: str) -> str:
    """Return what ``--codec`` was given, with names of checkpoints instead of their paths."""
    codec, at, checkpoints = spec.partition("@")
    label, equals, paths = checkpoints.rpartition("=")
    names = ",".join(Path(path).resolve().name for path in paths.split(",") if path)
    return f"{codec}{at}{label}{equals}{names}"


def _say_of_what(curve: dict[str, Any]) -> None:
    """Name the images that a curve leaves out, and say when single ones cost it a mean."""
    from heqcodec.eval.metrics import MS_SSIM_MIN_SIDE
    from heqcodec.eval.summary import count_text

    own = curve["heqcodec"]
    if own["without"]:
        requested = count_text(max(own["images"], default=0), own["data"]["images"])
        names = ", ".join(own["without"])
        say(f"heqcodec: {curve['name']} is the mean of {requested}, without {names}.")
    if own["settings"] and None in curve["results"]["ms-ssim-rgb"]:
        say(
            f"heqcodec: {curve['name']} has no mean of MS-SSIM: there are images with a side below "
            f"{MS_SSIM_MIN_SIDE} pixels."
        )
    if None in curve["results"]["psnr-rgb"]:
        say(
            f"heqcodec: {curve['name']} has no mean of PSNR at some settings: there are images "
            "that come back without loss."
        )


def _print_table(curves: list[dict[str, Any]], images: int) -> None:
    counts = {count for curve in curves for count in curve["heqcodec"]["images"]}
    title = f"Mean of {images} images" if counts <= {images} else None
    figures = ("bpp", "PSNR dB", "luma dB", "MS-SSIM", "border ratio", "encode s", "decode s")
    headings = ("codec", "images", "setting", *figures)
    rows = []
    for curve in curves:
        means, own = curve["results"], curve["heqcodec"]
        for point, setting in enumerate(own["settings"]):
            values_and_forms = (
                (means["bpp"], ".4f"),
                (means["psnr-rgb"], ".2f"),
                (own["psnr-luma"], ".2f"),
                (means["ms-ssim-rgb"], ".4f"),
                (own["border-step-ratio"], ".3f"),
                (means["encoding_time"], ".3f"),
                (means["decoding_time"], ".3f"),
            )
            cells = [optional(values[point], form) for values, form in values_and_forms]
            rows.append([curve["name"], str(own["images"][point]), f"{setting:g}", *cells])
    if rows:
        print_table(title, headings, rows)
