"""Variants of the encoder, each trained with a small PURENET for equal minutes; for other scripts.

Trains the form of `nqe-vgg` at a reduced width, as ``heqcodec eval quantizers`` does, by the
quantizers of the paper. For each seed all variants have the same crops in the same order and the
same minutes: first with weights in full precision, then quantized. On a CPU minutes are those in
which the process has the processor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

Photographs = Annotated[Path, typer.Argument(exists=True, file_okay=False)]
HeldOut = Annotated[Path, typer.Option("--held-out", exists=True, file_okay=False)]
Out = Annotated[Path, typer.Option("--out")]
Minutes = Annotated[float, typer.Option("--minutes", min=0.001)]
FloatMinutes = Annotated[float, typer.Option("--float-minutes", min=0.001)]
Width = Annotated[int, typer.Option("--width", min=4)]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many, from 1 on.")]
Device = Annotated[str, typer.Option("--device")]


class Lengths(NamedTuple):
    """How long and how wide: minutes quantized and before in full precision, width, seeds."""

    minutes: float
    float_minutes: float
    width: int
    seeds: int


class Variants(NamedTuple):
    """What is compared.

    Attributes:
        name: of the files.
        key: of a row, and of ``CodecTask``: the variant by its name.
        kinds: names, the one to compare with first.
        about: further values of a variant's rows.
        measured: further figures of a trained network, of its task.
        markdown: the table of all rows.
    """

    name: str
    key: str
    kinds: Iterable[str]
    about: Callable[[str], dict[str, Any]]
    measured: Callable[[Any, Any], dict[str, Any]]
    markdown: Callable[[list[dict[str, Any]]], str]


def train_one(
    task: Any, seed: int, minutes: float, float_minutes: float
) -> tuple[Any, dict[str, Any]]:
    """Train an encoder and its decoder; the network, and figures of what was reached.

    Args:
        task: a ``CodecTask``.
        seed: of the batches.
        minutes: of training with quantized weights.
        float_minutes: of training in full precision, before.
    """
    from heqcodec.lab.comparison.training import train_for
    from heqcodec.lab.networks.layer_quantizers import layer_quantizer

    network = task.build()
    steps = train_for(task, network, 60 * float_minutes, seed)
    twin = task.measure(network)
    task.encoder(network).quantize(partial(layer_quantizer, choice=None))
    task.calibrate(network)
    steps += train_for(task, network, 60 * minutes, seed + 1)
    return network, {"psnr": task.measure(network), "psnr_float": twin, "steps": steps}


def compare(
    variants: Variants, photographs: Path, held_out: Path, out: Path, lengths: Lengths, device: str
) -> None:
    """Train all variants with each seed and print the table.

    NAME.json and NAME.md are written after each training; the same call goes on where it stopped.
    """
    from heqcodec.base.files import write_bytes
    from heqcodec.eval.report import environment
    from heqcodec.lab.comparison.codec_task import CodecTask
    from heqcodec.lab.training.photographs import load_frames, load_tiles
    from heqcodec.purenet.device import find_device

    name, key, kinds, about, measured, markdown = variants
    minutes, float_minutes, width, seeds = lengths
    tiles, digest = load_tiles(photographs)
    frames = load_frames(held_out)
    settings = {"minutes": minutes, "float_minutes": float_minutes, "width": width}
    run = {**settings, "tiles": len(tiles), "frames": len(frames), "data_sha256": digest}
    stored, rows = out / f"{name}.json", list[dict[str, Any]]()
    if stored.exists():
        found = json.loads(stored.read_text(encoding="utf-8"))
        if all(found["run"].get(key) == value for key, value in run.items()):
            rows = found["rows"]
    out.mkdir(parents=True, exist_ok=True)
    where = find_device(device)
    done = {(row[key], row["seed"]) for row in rows}
    pairs = [(seed, kind) for seed in range(1, seeds + 1) for kind in kinds]
    for seed, kind in pairs:
        if (kind, seed) in done:
            continue
        options: dict[str, Any] = {key: kind}
        task = CodecTask(tiles, frames, width, where, seed, **options)
        network, figures = train_one(task, seed, minutes, float_minutes)
        row = {key: kind, **about(kind), "seed": seed, **figures}
        rows.append({**row, **measured(task, network)})
        text = json.dumps({"run": {**run, **environment()}, "rows": rows}, indent=2)
        write_bytes(stored, (text + "\n").encode())
        write_bytes(out / f"{name}.md", markdown(rows).encode())
        typer.echo(json.dumps(rows[-1]))
    typer.echo(markdown(rows), nl=False)


def table(
    rows: list[dict[str, Any]],
    key: str,
    head: list[str],
    cells: Callable[[list[dict[str, Any]]], list[str]],
) -> str:
    """A Markdown table, a line a variant in the order of its first row.

    Args:
        rows: of all variants and seeds.
        key: of a row, its variant, which is the first cell.
        head: the two lines above.
        cells: further cells of a variant, of its rows.
    """
    lines = list(head)
    for kind in dict.fromkeys(row[key] for row in rows):
        own = [row for row in rows if row[key] == kind]
        lines.append(f"| {' | '.join([kind, *cells(own)])} |")
    return "\n".join(lines) + "\n"


def gains(rows: list[dict[str, Any]], own: list[dict[str, Any]], key: str, base: str) -> str:
    """PSNR over that of the variant ``base`` with the same seed, by seed; "" for itself."""
    known = {row["seed"]: row["psnr"] for row in rows if row[key] == base}
    if own[0][key] == base:
        return ""
    return ", ".join(
        f"{row['psnr'] - known[row['seed']]:+.2f}" for row in own if row["seed"] in known
    )


def by_seed(own: list[dict[str, Any]], figure: str, form: str) -> str:
    """A figure of each of a variant's rows, in this format."""
    return ", ".join(format(row[figure], form) for row in own)
