"""``heqcodec batch``: many files in one run, from and to folders and object stores."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from heqcodec.base.errors import HeqError, HeqUnsupportedError

from .common.batch_report import batch_progress, report_batch
from .common.option_groups import takes_option_groups
from .common.options import (
    Backend,
    Device,
    MaxPixels,
    Quiet,
    StripMetadata,
    StripRows,
    Verbose,
)
from .common.terminal import STANDARD, reports_errors, usage_error
from .decoding import Decoder, is_heq
from .encoding import EncodeSettings, is_image

if TYPE_CHECKING:
    from heqcodec.batch.locations import Entry, Location
    from heqcodec.batch.operations import Decode, Encode, Repack, Verify
    from heqcodec.batch.run import Summary
    from heqcodec.batch.shard_source import ShardSource

__all__ = ["app"]

app = typer.Typer(
    name="batch",
    help="Many files in one run: on all cores, from and to folders, archives and object stores; "
    "what is killed goes on where it was. See docs/BATCH.md.",
    no_args_is_help=True,
)


Source = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="A folder with all folders in it, a quoted pattern, or a URL of fsspec such as "
        "s3://bucket/photos or zip://::photos.zip; or shards of WebDataset: "
        "'train-{000..099}.tar'.",
    ),
]
Target = Annotated[
    str,
    typer.Argument(metavar="DST", help="A folder, or a URL of fsspec; train-%06d.tar for shards."),
]
Scale = Annotated[
    int,
    typer.Option(
        "--scale", metavar="N", help="1, or 2, 4, 8: images of 1/N of the size, without a network."
    ),
]


@dataclass(frozen=True)
class RunOptions:
    """Options of every command here; each field is one."""

    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine", help="local: processes of this machine; ray: actors of a Ray cluster."
        ),
    ] = "local"
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            metavar="N",
            help="Processes or actors, which share the cores; one for each core if unset; 0 works "
            "in this process, for debugging.",
        ),
    ] = None
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="URL",
            help="Of the Ray cluster: host:6379, ray://host:10001 or auto; if unset, one is "
            "started on this machine for the run.",
        ),
    ] = None
    files_from: Annotated[
        str | None,
        typer.Option(
            "--files-from",
            metavar="FILE",
            help="Take the files that FILE lists, a name below SRC on each line; - is standard "
            "input.",
        ),
    ] = None
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="URL",
            help="Folder of the manifest; .heqcodec-batch in DST if unset.",
        ),
    ] = None
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do what failed before again, too.")
    ] = False
    restart: Annotated[
        bool, typer.Option("--restart", help="Do all again, with these options.")
    ] = False
    item_seconds: Annotated[
        float | None,
        typer.Option(
            "--item-seconds", min=0.001, metavar="S", help="Give up an item that takes longer."
        ),
    ] = None
    shard_items: Annotated[
        int,
        typer.Option("--shard-items", min=1, metavar="N", help="Samples of a shard, at most."),
    ] = 10_000
    shard_mb: Annotated[
        float,
        typer.Option(
            "--shard-mb", min=0.001, metavar="MB", help="Megabytes from which a shard is full."
        ),
    ] = 1000.0
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics",
            metavar="FILE",
            help="Write counters for Prometheus to FILE, such as batch.prom, every 5 s.",
        ),
    ] = None
    force: Annotated[
        bool,
        typer.Option("-f", "--force", help="Begin in a folder that holds other files already."),
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON on standard output.")
    ] = False
    quiet: Quiet = False
    verbose: Verbose = False


@app.command("encode")
@takes_option_groups
@reports_errors
def encode(
    source: Source,
    target: Target,
    settings: EncodeSettings,
    strip_metadata: StripMetadata = False,
    max_pixels: MaxPixels = None,
    *,
    run: RunOptions,
) -> None:
    """Encode images as .heq files."""
    from heqcodec.batch.operations import Encode

    operation = Encode(settings.checked(), strip_metadata, settings.raw, **_limit(max_pixels))
    _run("encode", operation, is_image, ".heq", source, target, run)


@app.command("decode")
@takes_option_groups
@reports_errors
def decode(
    source: Source,
    target: Target,
    format: Annotated[
        str, typer.Option("--format", metavar="SUFFIX", help="Of the images, such as png or jpg.")
    ] = "png",
    scale: Scale = 1,
    decoder: Decoder = "strong",
    max_pixels: MaxPixels = None,
    backend: Backend = "auto",
    device: Device = "auto",
    *,
    run: RunOptions,
) -> None:
    """Decode .heq files to images."""
    from heqcodec.batch.operations import Decode
    from heqcodec.file.reduced import SCALES
    from heqcodec.image.output_formats import output_format

    suffix = f".{format.lower().lstrip('.')}"
    try:
        named = output_format(f"image{suffix}")
    except HeqUnsupportedError as error:
        raise usage_error(str(error), "--format") from error
    if scale not in (1, *SCALES):
        raise usage_error(f"{scale} is not one of 1, 2, 4, 8.", "--scale")
    operation = Decode(named, scale, decoder, backend, device, **_limit(max_pixels))
    _run("decode", operation, is_heq, suffix, source, target, run)


@app.command("pack")
@takes_option_groups
@reports_errors
def pack(
    source: Source,
    target: Target,
    strip_rows: StripRows = None,
    max_pixels: MaxPixels = None,
    *,
    run: RunOptions,
) -> None:
    """Make device files of the variable-rate mode smaller, without loss."""
    from heqcodec.batch.operations import Repack

    operation = Repack("pack", strip_rows, **_limit(max_pixels))
    _run("pack", operation, is_heq, ".heq", source, target, run)


@app.command("unpack")
@takes_option_groups
@reports_errors
def unpack(
    source: Source, target: Target, max_pixels: MaxPixels = None, *, run: RunOptions
) -> None:
    """Give back the device files that packed files were made of, bit for bit."""
    from heqcodec.batch.operations import Repack

    operation = Repack("unpack", **_limit(max_pixels))
    _run("unpack", operation, is_heq, ".heq", source, target, run)


@app.command("verify")
@takes_option_groups
@reports_errors
def verify(source: Source, target: Target, *, run: RunOptions) -> None:
    """Check every checksum of .heq files; DST takes the manifest alone."""
    from heqcodec.batch.operations import Verify

    _run("verify", Verify(), is_heq, "", source, target, run)


def _limit(max_pixels: int | None) -> dict[str, int]:
    return {} if max_pixels is None else {"max_pixels": max_pixels}


def _run(
    name: str,
    operation: Encode | Decode | Repack | Verify,
    accepts: Callable[[Path], bool],
    suffix: str,
    source: str,
    target: str,
    options: RunOptions,
) -> None:
    """Run a batch, and tell what it did."""
    from heqcodec.batch.locations import Location, open_location
    from heqcodec.batch.manifest import FOLDER, Manifest
    from heqcodec.batch.metrics import MetricsFile
    from heqcodec.batch.operations import described
    from heqcodec.batch.run import run_batch
    from heqcodec.batch.shard_source import ShardSource
    from heqcodec.batch.shard_writer import ShardTarget
    from heqcodec.batch.work import Task

    run = described(name, operation)
    sources = ShardSource(source) if _is_tar(source) else Location(source)
    targets: Location | ShardTarget
    if _is_tar(target) and suffix:
        targets = ShardTarget(target, options.shard_items, options.shard_mb * 1e6)
        written = targets.location
    else:
        targets = written = open_location(target)
    own = options.manifest is None
    location = open_location(options.manifest or f"{written.url.rstrip('/')}/{FOLDER}")
    read = sources.location if isinstance(sources, ShardSource) else sources
    same_names = (suffix == ".heq" and accepts is is_heq) or isinstance(sources, ShardSource)
    if same_names and read.address == written.address and suffix:
        raise usage_error("SRC and DST are one folder, and the names are the same.", "DST")
    if own and suffix and not options.force:
        _check_empty(written, FOLDER)

    workers, threads = _shares(options)
    direct = targets.address if isinstance(targets, Location) else ""
    task = Task(operation, read.address, direct, threads)
    file = None if options.metrics is None else MetricsFile(options.metrics, name)
    with batch_progress(name, options.quiet) as show:

        def progress(summary: Summary) -> None:
            show(summary)
            if file is not None:
                file.update(summary)

        summary = run_batch(
            run,
            _folders(sources, written, accepts, options.files_from),
            suffix,
            sources,
            targets,
            Manifest(location),
            functools.partial(_engine, task, workers, options),
            restart=options.restart,
            retry_failed=options.retry_failed,
            progress=progress,
        )
    if file is not None:
        file.update(summary, last=True)
    heads = {"operation": name, "source": source, "target": target, "manifest": location.url}
    report_batch(summary, heads, options.as_json, options.quiet)


def _engine(task: Any, workers: int, options: RunOptions) -> Any:
    from heqcodec.batch.local import InlineEngine, LocalEngine

    if workers and options.engine == "ray":
        from heqcodec.batch.ray_engine import RayEngine

        gpus = str(getattr(task.operation, "device", "")).startswith("cuda")
        return RayEngine(task, workers, options.item_seconds, float(gpus))
    return LocalEngine(task, workers, options.item_seconds) if workers else InlineEngine(task)


def _shares(options: RunOptions) -> tuple[int, int]:
    """Workers, and the threads of each."""
    from heqcodec.base.threads import processor_count

    if options.address is not None and options.engine != "ray":
        raise usage_error("it goes with --engine ray.", "--address")
    if options.engine == "ray":
        from heqcodec.batch.ray_engine import cluster_workers

        processors = cluster_workers(options.address)
    else:
        processors = processor_count()
    wanted = processors if options.workers is None else options.workers
    return wanted, max(1, processors // max(wanted, 1))


def _is_tar(url: str) -> bool:
    """Whether shards of WebDataset are meant."""
    return url.endswith(".tar") and "::" not in url


def _check_empty(target: Location, manifest: str) -> None:
    """Refuse a folder with files that no batch wrote.

    Raises:
        HeqError: it holds some, and no manifest.
    """
    found = target.names("")
    others = [name for name in found if name and not name.startswith(".")]
    if others and manifest not in found:
        raise HeqError(
            f"{target.url} holds {others[0]} already, and no batch wrote it; give another folder, "
            "or -f to write among such files."
        )


def _folders(
    source: Location | ShardSource,
    target: Location,
    accepts: Callable[[Path], bool],
    files_from: str | None,
) -> Iterator[list[Entry]]:
    from heqcodec.batch.locations import Location

    if files_from is None:
        return source.folders(accepts, target)
    if not isinstance(source, Location):
        raise usage_error("SRC names shards; give a pattern of those.", "--files-from")
    if files_from == STANDARD:
        return source.listed(sys.stdin.read().splitlines())
    return source.listed(Path(files_from).read_text("utf-8", "surrogateescape").splitlines())
