"""``heqcodec eval quantizers``: weight quantizers side by side, in the codec and a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.cli.common.options import (
    Device,
    FloatMinutes,
    Force,
    Photographs,
    Results,
    Seed,
    TestPhotographs,
    Threads,
    Verbose,
    Width,
    file_option,
)
from heqcodec.cli.common.terminal import refuse_existing, reports_errors, say, set_threads


@reports_errors
def quantizers(
    data: Photographs,
    held_out: TestPhotographs,
    out: Results,
    cifar: Annotated[
        Path | None,
        file_option(
            "--cifar",
            help="CIFAR-10 as .npz (images, labels, train: how many); without it the codec alone.",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.001, metavar="M", help="Of each training.")
    ] = 5.0,
    float_minutes: FloatMinutes = None,
    quantizer: Annotated[
        list[str] | None,
        typer.Option(help="One of the table, may be given several times; all when left out."),
    ] = None,
    width: Width = 16,
    seed: Seed = 1,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, metavar="N", help="How many, from --seed on.")
    ] = 1,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Compare weight quantizers at equal bits and equal minutes of training.

    On a CPU minutes are those of the processor, whatever else it does meanwhile. Writes
    results.json and table.md after each quantizer, and plots in the end.
    """
    set_threads(threads)
    from heqcodec.lab.comparison.candidates import chosen
    from heqcodec.lab.networks.reduced import require_even

    candidates = chosen(quantizer or [])
    require_even(width)
    refuse_existing([out / "results.json"], force)
    options = {
        "--minutes": f"{minutes:g}",
        "--float-minutes": None if float_minutes is None else f"{float_minutes:g}",
        "--width": str(width),
        "--seed": str(seed),
        "--seeds": str(seeds) if seeds > 1 else None,
    }
    words = ["heqcodec eval quantizers", f"--data {data.resolve().name}"]
    words += [f"--held-out {held_out.resolve().name}"]
    words += [f"--cifar {cifar.name}"] if cifar else []
    words += [f"{key} {value}" for key, value in options.items() if value is not None]
    words += [f"--quantizer {label}" for label in quantizer or []]
    command = " ".join([*words, f"--out {out.name}"])
    float_time = 2 * minutes if float_minutes is None else float_minutes
    settings = {"minutes": minutes, "float_minutes": float_time, "width": width, "seed": seed}
    settings["seeds"] = seeds
    _compare(candidates, (data, held_out, cifar), out, settings, device, command)


def _compare(
    candidates: list[Any],
    sources: tuple[Path, Path, Path | None],
    out: Path,
    settings: dict[str, Any],
    device: str,
    command: str,
) -> None:
    from heqcodec.eval.report import environment
    from heqcodec.lab.classifier.images import load_images
    from heqcodec.lab.comparison.classifier_task import ClassifierTask
    from heqcodec.lab.comparison.codec_task import CodecTask
    from heqcodec.lab.comparison.comparison import compare
    from heqcodec.lab.comparison.results import markdown, write_plots, write_results
    from heqcodec.lab.comparison.seeds import merged
    from heqcodec.lab.training.photographs import load_frames, load_tiles
    from heqcodec.purenet.device import find_device

    data, held_out, cifar = sources
    where, width, first = find_device(device), settings["width"], settings["seed"]
    tiles, data_hash = load_tiles(data)
    frames = load_frames(held_out)
    hashes: dict[str, Any] = {"photographs": data_hash, "tiles": len(tiles), "frames": len(frames)}
    labelled = None if cifar is None else load_images(cifar)
    if labelled is not None:
        hashes["cifar"] = labelled.digest()
    run = {"command": command, **settings, "data_sha256": hashes, **environment()}
    rounds: list[list[dict[str, Any]]] = []
    rows: list[dict[str, Any]] = []
    minutes = settings["minutes"], settings["float_minutes"]
    for seed in range(first, first + settings["seeds"]):
        tasks: list[Any] = [CodecTask(tiles, frames, width, where, seed)]
        if labelled is not None:
            tasks.append(ClassifierTask(labelled, width, where, seed))
        for made in compare(tasks, candidates, *minutes, seed, say):
            rows = merged([*rounds, made], [task.name for task in tasks])
            write_results(out, rows, run)
        rounds.append(made)
    write_plots(out, rows)
    typer.echo(markdown(rows), nl=False)
    say(f"Wrote results.json, table.md and plots to {out}.")
