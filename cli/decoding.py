"""``heqcodec decode``: ``.heq`` files to images."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from heqcodec.base.arguments import DecoderName
from heqcodec.base.progress import Progress

from .common.jobs import run_jobs
from .common.options import (
    Backend,
    ByRows,
    Decoder,
    Device,
    Force,
    HeqInputs,
    Json,
    MaxPixels,
    Quiet,
    Recursive,
    Threads,
    Verbose,
)
from .common.sources import Job, check_image_name, plan_jobs
from .common.terminal import (
    STANDARD,
    about,
    check_output,
    read_input,
    reports_errors,
    say,
    set_threads,
    usage_error,
)


@reports_errors
def decode(
    inputs: HeqInputs,
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="An image, its format by its suffix, or a folder for PNGs; - is PNG on standard "
            "output.",
        ),
    ],
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="X,Y,W,H", help="Decode this rectangle only, in pixels."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Decode what is intact, list what is damaged, and exit with 1."
        ),
    ] = False,
    slices: Annotated[
        int | None,
        typer.Option(
            "--slices",
            min=1,
            metavar="N",
            help="Decode the first N slices of each strip of a packed file: a coarser image.",
        ),
    ] = None,
    decoder: Decoder = "strong",
    max_pixels: MaxPixels = None,
    backend: Backend = "auto",
    device: Device = "auto",
    by_rows: ByRows = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="IN is still being written, or comes by standard input: write OUT anew whenever "
            "rows of it come.",
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0, metavar="SECONDS", help="With --follow: how long IN may not grow."
        ),
    ] = 60,
    threads: Threads = None,
    recursive: Recursive = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Decode .heq files to images.

    Several inputs, a folder or a quoted glob make OUT a folder of PNGs; a bad file then does not
    stop the others, and the exit code is 1 in the end.
    """
    rectangle = _rectangle(region)
    if follow:
        if len(inputs) > 1 or rectangle or partial or slices or as_json or output == STANDARD:
            raise usage_error(
                "it takes one file, and neither --region, --partial, --slices, --json nor standard "
                "output.",
                "--follow",
            )
        from heqcodec.container.header import DEFAULT_MAX_PIXELS
        from heqcodec.file.stream_decoding import StreamDecoder

        from .following import follow as follow_file

        set_threads(threads)
        check_image_name(output)
        stream = StreamDecoder(
            cast("DecoderName", decoder), backend, device, max_pixels or DEFAULT_MAX_PIXELS
        )
        follow_file(inputs[0], output, stream, timeout, force, quiet)
        return
    if by_rows:
        from heqcodec.image.rows import SUFFIXES

        if rectangle or partial or slices or Path(output).suffix.lower() not in SUFFIXES:
            raise usage_error(
                f"it writes a file ({', '.join(SUFFIXES)}), and goes with neither --region, "
                "--partial nor --slices.",
                "--rows",
            )
    plan = plan_jobs(
        inputs, output, ".png", is_heq, check_image_name, recursive=recursive, as_json=as_json
    )
    set_threads(threads)

    from heqcodec.base.progress import reported_to
    from heqcodec.container.header import DEFAULT_MAX_PIXELS
    from heqcodec.file.decoding import decode_file
    from heqcodec.image.output_formats import save_image
    from heqcodec.image.tiff_tags import moved_geo

    options: dict[str, Any] = {
        # By rows memory does not grow with the image.
        "max_pixels": max_pixels or (None if by_rows else DEFAULT_MAX_PIXELS),
        "device": device,
        "slices": slices,
        "decoder": decoder,
        "backend": backend,
    }

    def work(job: Job, progress: Progress | None) -> dict[str, Any]:
        check_output(job.source, job.target, force)
        start = time.perf_counter()
        if by_rows:
            return _by_rows(job, options, progress, start)
        # Of a URL only what a region needs is read.
        data = job.source if rectangle and "://" in job.source else read_input(job.source)
        damage: dict[str, Any] = {}
        with about(job.source), reported_to(progress):
            image = decode_file(data, rectangle, partial, **options, all_chunks=True)
        pixels, metadata = image.pixels, image.metadata
        if partial:
            damage = {
                "damaged_strips": image.damaged_strips,
                "coarse_strips": image.coarse_strips,
                "damaged_chunks": image.damaged_chunks,
                "repaired": image.repaired,
            }
        if rectangle and metadata.geo is not None:
            metadata = replace(metadata, geo=moved_geo(metadata.geo, *rectangle[:2]))
        target = sys.stdout.buffer if job.target == STANDARD else job.target
        save_image(pixels, target, **vars(metadata))
        height, width, channels = pixels.shape
        if verbose:
            kept = [k for k in vars(metadata) if getattr(metadata, k) is not None]
            say(f"{job.source}: {channels} channels; metadata: {', '.join(kept) or 'none'}.")
        result: dict[str, Any] = {
            "input": job.source,
            "output": job.target,
            "width": width,
            "height": height,
            "channels": channels,
            "seconds": round(time.perf_counter() - start, 4),
            **({"unsent_strips": image.unsent_strips} if image.unsent_strips else {}),
            **damage,
        }
        if image.unsent_strips:
            unsent = _strips(image.unsent_strips, "was not sent by the encoder and was filled")
            say(f"{job.source}: {unsent}.")
        if any(damage.values()):
            result["failed"] = _damage_sentence(job.source, damage)
        return result

    run_jobs(plan, work, _line, "decoding", as_json=as_json, quiet=quiet)


def _by_rows(
    job: Job, options: dict[str, Any], progress: Progress | None, start: float
) -> dict[str, Any]:
    """Decode a file into an image file, a band of rows at a time."""
    from heqcodec.base.progress import reported_to
    from heqcodec.file.row_decoding import decode_rows
    from heqcodec.image.rows import write_rows

    options = {name: value for name, value in options.items() if name != "slices"}
    with about(job.source), reported_to(progress), decode_rows(job.source, **options) as image:
        write_rows(job.target, image.shape, image.bands, **vars(image.metadata))
    height, width, channels = image.shape
    return {
        "input": job.source,
        "output": job.target,
        "width": width,
        "height": height,
        "channels": channels,
        "seconds": round(time.perf_counter() - start, 4),
    }


def _rectangle(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        width = 0
    if width < 1 or height < 1 or x < 0 or y < 0:
        raise usage_error(
            f"{text!r} is not four whole numbers X,Y,W,H, such as 64,0,320,240.", "--region"
        )
    return x, y, width, height


def _damage_sentence(source: str, damage: dict[str, Any]) -> str:
    parts = []
    if damage["damaged_strips"]:
        parts.append(_strips(damage["damaged_strips"], "is damaged and was filled"))
    if damage["coarse_strips"]:
        parts.append(_strips(damage["coarse_strips"], "is damaged and coarser"))
    if damage["damaged_chunks"]:
        parts.append(f"damaged and left out: {', '.join(damage['damaged_chunks'])}")
    if damage["repaired"]:
        parts.append(f"{', '.join(damage['repaired'])} had damage that was put right")
    return f"{source}: {'; '.join(parts)}."


def _strips(indices: list[int], text: str) -> str:
    """A text about strips, which is that of one."""
    if len(indices) == 1:
        return f"strip {indices[0]} {text}"
    return f"strips {_ranges(indices)} {text.replace('was ', 'were ').replace('is ', 'are ')}"


def _ranges(indices: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``: a file cut in half would else list thousands."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def _line(result: dict[str, Any]) -> str:
    return (
        f"{result['output']}: {result['width']}x{result['height']}, "
        f"{result['channels']} channels, {result['seconds']:.2f} s"
    )


def is_heq(path: Path) -> bool:
    """Whether a file of a folder is taken for a .heq file."""
    return path.suffix.lower() == ".heq"
