"""``heqcodec encode``: images to ``.heq`` files."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from heqcodec.base.arguments import OWN_CODER
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.progress import Progress

from .common.jobs import run_jobs
from .common.option_groups import takes_option_groups
from .common.options import (
    BitsPerPixel,
    Budget,
    ByRows,
    Coder,
    Force,
    HeqOutput,
    Index,
    Json,
    MaxPixels,
    Mode,
    Model,
    Progressive,
    Quality,
    Quiet,
    Raw,
    Recursive,
    StripMetadata,
    StripRows,
    TargetSize,
    Threads,
    Tune,
    Verbose,
)
from .common.sources import Job, check_heq_name, plan_jobs
from .common.terminal import (
    STANDARD,
    check_output,
    reports_errors,
    say,
    set_threads,
    usage_error,
    write_output,
)

if TYPE_CHECKING:
    from heqcodec.file.options import EncodeOptions


@dataclass(frozen=True)
class EncodeSettings:
    """Options of every command that encodes."""

    quality: Quality = None
    bpp: BitsPerPixel = None
    target_size: TargetSize = None
    budget: Budget = None
    mode: Mode = "auto"
    model: Model = "default"
    coder: Coder = OWN_CODER
    strip_rows: StripRows = None
    raw: Raw = None
    index: Index = False
    progressive: Progressive = False
    tune: Tune = "psnr"

    def checked(self) -> EncodeOptions:
        """Validate the options, and return them as `heqcodec.encode` takes them.

        Raises:
            typer.BadParameter: no image could be encoded with a value, or with these together.
        """
        from heqcodec.file.options import EncodeOptions

        given = vars(self).copy()
        raw = given.pop("raw")
        options = EncodeOptions(**given)
        check_options(options)
        _check_raw(raw)
        return options


@takes_option_groups
@reports_errors
def encode(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Images, folders or globs; - is standard input."),
    ],
    output: HeqOutput,
    settings: EncodeSettings,
    strip_metadata: StripMetadata = False,
    by_rows: ByRows = False,
    max_pixels: MaxPixels = None,
    threads: Threads = None,
    recursive: Recursive = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Encode images as .heq files.

    Several inputs, a folder or a quoted glob make OUT a folder; a bad file then does not stop the
    others, and the exit code is 1 in the end.
    """
    options, raw = settings.checked(), settings.raw
    if by_rows and STANDARD in inputs:
        raise usage_error("it reads files, and not standard input.", "--rows")
    plan = plan_jobs(
        inputs, output, ".heq", is_image, check_heq_name, recursive=recursive, as_json=as_json
    )
    set_threads(threads)

    from heqcodec.api import encode as encode_image
    from heqcodec.container.header import DEFAULT_MAX_PIXELS
    from heqcodec.image.images import load_image
    from heqcodec.image.rows import load_rows

    # By rows memory does not grow with the image.
    limit = max_pixels or (None if by_rows else DEFAULT_MAX_PIXELS)

    def work(job: Job, progress: Progress | None) -> dict[str, Any]:
        check_output(job.source, job.target, force)
        start = time.perf_counter()
        source = sys.stdin.buffer if job.source == STANDARD else job.source
        image = load_rows(job.source, limit, raw) if by_rows else load_image(source, limit, raw)
        for note in image.notes if not quiet else ():
            say(f"{job.source}: {note}")
        data = encode_image(
            image,
            **vars(options),
            strip_metadata=strip_metadata,
            max_pixels=limit,
            progress=progress,
        )
        write_output(job.target, data)
        height, width, channels = image.pixels.shape
        if verbose:
            from heqcodec.models import registry

            used = options.resolved(registry).model
            kept = [k for k in ("alpha", "icc", "exif", "xmp") if getattr(image, k) is not None]
            say(f"{job.source}: {channels} channels; in addition: {', '.join(kept) or 'nothing'}.")
            say(f"{job.source}: encoded by {used}, {registry.encoder_kernel(used)}.")
        return {
            "input": job.source,
            "output": job.target,
            "width": width,
            "height": height,
            "channels": channels,
            "alpha": image.alpha is not None,
            "bytes": len(data),
            "bpp": 8 * len(data) / (width * height),
            "seconds": round(time.perf_counter() - start, 4),
            "notes": image.notes,
        }

    run_jobs(plan, work, _line, "encoding", as_json=as_json, quiet=quiet)


def check_options(options: EncodeOptions) -> None:
    """Refuse what no image could be encoded with, as a wrong command."""
    from heqcodec.file.options import OptionError
    from heqcodec.models import registry

    try:
        options.resolved(registry)
    except (OptionError, HeqUnsupportedError) as error:
        named = getattr(error, "option", "mode")
        raise usage_error(_with_flags(str(error)), _flag(named)) from error


def _check_raw(raw: str | None) -> None:
    """Refuse what says no raw dump, as a wrong command."""
    from heqcodec.image.raw.layout import parse_layout

    try:
        if raw is not None:
            parse_layout(raw)
    except HeqError as error:
        raise usage_error(str(error), "--raw") from error


def _flag(option: str) -> str:
    return "-q" if option == "quality" else f"--{option.replace('_', '-')}"


def _with_flags(text: str) -> str:
    """A message about arguments of `encode` as one about options of the command."""
    text = re.sub(r"\b(coder|mode|tune)='(\w+)'", r"--\1 \2", text)
    return re.sub(r"\b(quality|bpp|target_size|budget)\b", lambda found: _flag(found[0]), text)


def _line(result: dict[str, Any]) -> str:
    return (
        f"{result['output']}: {result['bytes']:,} bytes, {result['bpp']:.4f} bpp, "
        f"{result['width']}x{result['height']}, {result['seconds']:.2f} s"
    )


def is_image(path: Path) -> bool:
    """Whether a file of a folder is taken for an image that is no .heq file."""
    from PIL import Image

    extensions = Image.registered_extensions()
    format = extensions.get(path.suffix.lower())
    return format is not None and format != "HEQ" and format in Image.OPEN
