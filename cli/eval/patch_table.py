"""``heqcodec eval patch-table``: patch-constant coding of a folder of images."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from heqcodec.cli.common.options import Force, Threads, Verbose
from heqcodec.cli.common.terminal import (
    DATA_ERROR,
    check_choice,
    measuring_bar,
    optional,
    print_table,
    refuse_existing,
    reports_errors,
    say,
    set_threads,
    tell,
)

if TYPE_CHECKING:
    from heqcodec.eval.patch_table import Summary


HEADINGS = (
    "model",
    "rate",
    "bpp",
    "max bpp",
    "PSNR dB",
    "MS-SSIM",
    "border ratio",
    "worst",
    "encode s",
    "decode s",
)


@reports_errors
def patch_table(
    data: Annotated[Path, typer.Option(help="Folder of test images.")],
    out: Annotated[Path, typer.Option(help="Folder for the CSV and JSON files.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model, may be given several times; all of them when left out."),
    ] = None,
    bpp: Annotated[
        list[float] | None,
        typer.Option(help="Bits per pixel, may be given several times; all rates when left out."),
    ] = None,
    threads: Threads = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Encode and decode each image as a real file in patch mode; print and keep the figures.

    Writes patch-table.csv, one line an image, and MODEL.json for each model, its curve in
    CompressAI's schema.
    """
    set_threads(threads)
    _patch_table(data, out, model or [], bpp or [], force)


def _patch_table(data: Path, out: Path, models: list[str], rates: list[float], force: bool) -> None:
    from heqcodec.api import BITS_PER_PIXEL
    from heqcodec.base.files import write_bytes
    from heqcodec.eval import patch_table as table
    from heqcodec.eval import report
    from heqcodec.eval.folder import data_hash, image_files, readable_files
    from heqcodec.models import registry

    known = registry.model_names("patch")
    for name in models:
        check_choice(name, known, "--model")
    models = list(dict.fromkeys(models)) or known
    rates = list(dict.fromkeys(rates)) or list(BITS_PER_PIXEL)
    files, unreadable = readable_files(image_files(data))
    targets = {name: out / f"{name}.json" for name in models}
    csv_file = out / "patch-table.csv"
    refuse_existing([csv_file, *targets.values()], force)
    encoders = {name: registry.load_encoder(name) for name in models}
    out.mkdir(parents=True, exist_ok=True)

    results: list[table.ImageResult] = []
    with measuring_bar() as progress:
        task = progress.add_task("measuring", total=len(models) * len(rates) * len(files))
        for result in table.measure(files, models, rates):
            results.append(result)
            progress.update(task, advance=1, description=f"{result.model} {result.rate:g} bpp")
    summaries = table.summarize(results)

    write_bytes(csv_file, report.csv_text(results).encode())
    described = {entry.get("name"): entry for entry in registry.describe_models()}
    run: dict[str, Any] = {
        **report.environment(),
        "command": shlex.join(["heqcodec", *sys.argv[1:]]),
        "data": {"images": len(files), "sha256": data_hash(files)},
    }
    for name, target in targets.items():
        encoder = encoders[name]
        ids = {"encoder_id": encoder.encoder_id.hex(), "coder_id": encoder.coder_id.hex()}
        text = report.compressai_json(
            name,
            summaries,
            f"heqcodec {name}, patch-constant rate, real files, mean of {len(files)} images",
            {**run, "model": {**described.get(name, {}), **ids}},
        )
        write_bytes(target, text.encode())
    title = f"Mean of {summaries[0].images} images"
    print_table(title, HEADINGS, [_cells(summary) for summary in summaries])
    tell(f"Wrote {csv_file} and {', '.join(str(path) for path in targets.values())}.")
    if unreadable:
        say(f"heqcodec: {len(unreadable)} images are not among these:")
        for line in unreadable:
            say(f"  {line}")
        raise typer.Exit(DATA_ERROR)


def _cells(s: Summary) -> list[str]:
    return [
        s.model,
        f"{s.rate:g}",
        f"{s.bpp:.4f}",
        f"{s.bpp_max:.4f}",
        optional(s.psnr, ".2f"),
        optional(s.ms_ssim, ".4f"),
        optional(s.border_ratio, ".3f"),
        optional(s.border_ratio_worst, ".3f"),
        f"{s.encode_seconds:.2f}",
        f"{s.decode_seconds:.2f}",
    ]
