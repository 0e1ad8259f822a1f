"""``heqcodec encode``: images to ``.heq`` files."""

from __future__ import annotations

import math
import sys
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.base.progress import Progress

from .common.batch import run_jobs
from .common.options import (
    Force,
    Json,
    MaxPixels,
    Model,
    Quiet,
    Recursive,
    StripRows,
    Threads,
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


class ModeChoice(str, Enum):
    """Values of ``--mode``."""

    auto = "auto"
    patch = "patch"
    rate = "rate"


class CoderChoice(str, Enum):
    """Values of ``--coder``."""

    device = "device"
    packed = "packed"


@reports_errors
def encode(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Images, folders or globs; - is standard input."),
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUT", help="A .heq file, or a folder; - is standard output.")
    ],
    quality: Annotated[
        float | None,
        typer.Option("-q", "--quality", metavar="Q", help="rate mode: 1 (smallest files) to 100."),
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option(
            "--bpp",
            metavar="R",
            help="Bits per pixel. rate mode: at most R, any number; patch mode: 0.0625, 0.125, "
            "0.25 (if unset) or 0.5.",
        ),
    ] = None,
    target_size: Annotated[
        int | None,
        typer.Option(
            "--target-size", min=1, metavar="BYTES", help="rate mode: the file is not larger."
        ),
    ] = None,
    mode: Annotated[
        ModeChoice,
        typer.Option(
            "--mode",
            help="rate: as many bits as a patch needs; patch: each 32x32 patch has the same size; "
            "auto: what the other options need, else that of the model.",
        ),
    ] = ModeChoice.auto,
    model: Model = "default",
    coder: Annotated[
        CoderChoice,
        typer.Option(
            "--coder",
            help="device: what a camera can run; packed: smaller files, as `heqcodec pack` makes.",
        ),
    ] = CoderChoice.device,
    strip_rows: StripRows = None,
    strip_metadata: Annotated[
        bool, typer.Option("--strip", help="Leave out ICC profile, EXIF and XMP; alpha stays.")
    ] = False,
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
    _check_sizes(quality, bpp, target_size)
    _check_mode(quality, bpp, target_size, mode, model, coder)
    plan = plan_jobs(
        inputs, output, ".heq", is_image, check_heq_name, recursive=recursive, as_json=as_json
    )
    set_threads(threads)

    from heqcodec.api import encode as encode_image
    from heqcodec.container.header import DEFAULT_MAX_PIXELS
    from heqcodec.file.options import EncodeOptions
    from heqcodec.image.images import load_image

    limit = max_pixels or DEFAULT_MAX_PIXELS

    def work(job: Job, progress: Progress | None) -> dict[str, Any]:
        check_output(job.source, job.target, force)
        start = time.perf_counter()
        source = sys.stdin.buffer if job.source == STANDARD else job.source
        image = load_image(source, limit)
        for note in image.notes if not quiet else ():
            say(f"{job.source}: {note}")
        data = encode_image(
            image,
            bpp=bpp,
            quality=quality,
            target_size=target_size,
            mode=mode.value,
            coder=coder.value,
            model=model,
            strip_metadata=strip_metadata,
            strip_rows=strip_rows,
            max_pixels=limit,
            progress=progress,
        )
        write_output(job.target, data)
        height, width, channels = image.pixels.shape
        if verbose:
            sizes = bpp, quality, target_size
            from heqcodec.models import registry

            used = EncodeOptions(*sizes, mode.value, coder.value, model).resolved(registry).model
            kept = [k for k in ("alpha", "icc", "exif", "xmp") if getattr(image, k) is not None]
            say(f"{job.source}: {channels} channels; beside them: {', '.join(kept) or 'nothing'}.")
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


def _check_sizes(
    quality: float | None,
    bpp: float | None,
    target_size: int | None,
) -> None:
    """Refuse what no image could be encoded at, as a wrong command."""
    from heqcodec.file.options import HIGHEST, LOWEST

    given = [
        option
        for option, value in (("-q", quality), ("--bpp", bpp), ("--target-size", target_size))
        if value is not None
    ]
    if len(given) > 1:
        raise usage_error(f"{' and '.join(given)} contradict each other; give one.", given[-1])
    if quality is not None and not LOWEST <= quality <= HIGHEST:
        raise usage_error(f"{quality:g} is not from {LOWEST} to {HIGHEST}.", "-q")
    if bpp is not None and not 0 < bpp < math.inf:
        raise usage_error(f"{bpp:g} is not above 0.", "--bpp")


def _check_mode(
    quality: float | None,
    bpp: float | None,
    target_size: int | None,
    mode: ModeChoice,
    model: str,
    coder: CoderChoice,
) -> None:
    """Refuse options that belong to different modes, as a wrong command."""
    from heqcodec.api import BITS_PER_PIXEL
    from heqcodec.models import registry

    of_rate_mode = [
        option
        for option, given in (
            ("-q", quality is not None),
            ("--target-size", target_size is not None),
            ("--coder packed", coder == CoderChoice.packed),
            ("--mode rate", mode == ModeChoice.rate),
        )
        if given
    ]
    if of_rate_mode and not registry.model_names(registry.RATE_MODE):
        raise usage_error("there is no model of the variable-rate mode here.", of_rate_mode[0])
    if model == "default":
        implied = registry.RATE_MODE if of_rate_mode and mode == ModeChoice.auto else mode.value
        model, because = registry.default_model(implied), f"--mode {mode.value}"
    else:
        because = f"--model {model}"
    found = registry.mode_of(model)
    if mode.value not in ("auto", found):
        raise usage_error(
            f"the model {model} is of the mode {found}; leave out --mode or --model.", "--mode"
        )
    if found == registry.RATE_MODE:
        return
    if of_rate_mode:
        raise usage_error(
            f"this belongs to the variable-rate mode, and {because} to the other; leave one of "
            "the two out. In patch mode --bpp chooses the size.",
            of_rate_mode[0],
        )
    if bpp is not None and bpp not in BITS_PER_PIXEL:
        allowed = ", ".join(f"{rate:g}" for rate in sorted(BITS_PER_PIXEL))
        raise usage_error(f"{bpp:g} is not one of {allowed}, the sizes of patch mode.", "--bpp")


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
