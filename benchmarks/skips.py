"""What are OR and MUX skips worth to the encoder of `nqe-vgg`, in PSNR after equal minutes?

    python benchmarks/skips.py PHOTOGRAPHS --held-out HELD_OUT --minutes 1.5 --out DIR

Trains the encoder's form at a reduced width with a small PURENET, as ``heqcodec eval quantizers``
does, by the quantizers of the paper: without skips, with OR and with MUX. For each seed all three
have the same initial weights and the same crops in the same order, and the same minutes: first in
full precision, then quantized. On a CPU minutes are those in which the process has the processor.
Prints the PSNR of the middles of held-out photographs, and how it differs from that without skips.

Writes skips.json and skips.md after each training; the same command goes on where it stopped.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer

BASE = "none"


def train_one(task: Any, seed: int, minutes: float, float_minutes: float) -> dict[str, Any]:
    """Train an encoder and its decoder; figures of what was reached.

    Args:
        task: a ``CodecTask``.
        seed: of the batches.
        minutes: of training with quantized weights.
        float_minutes: of training in full precision, before.
    """
    import torch
    from heqcodec.eval.quantizers.training import train_for
    from heqcodec.nqe.layer_quantizers import layer_quantizer

    network = task.build()
    steps = train_for(task, network, 60 * float_minutes, seed)
    twin = task.measure(network)
    encoder = task.encoder(network)
    encoder.quantize(partial(layer_quantizer, choice=None))
    task.calibrate(network)
    steps += train_for(task, network, 60 * minutes, seed + 1)
    figures = {"psnr": task.measure(network), "psnr_float": twin, "steps": steps}
    with torch.no_grad():
        figures["joined"] = joined_shares(encoder, task.training_crops(32, 256))
    return figures


def joined_shares(encoder: Any, patches: Any) -> dict[str, float]:
    """The share of values that each skip changes, on patches uint8 (N, 3, 32, 32)."""
    shares: dict[str, float] = {}

    def note(name: str, module: Any, given: tuple[Any, Any], made: Any) -> None:
        shares[name] = round(float((made != given[0]).float().mean()), 4)

    hooks = [
        gate.register_forward_hook(partial(note, name)) for name, gate in encoder.skips.items()
    ]
    encoder.eval()(patches)
    for hook in hooks:
        hook.remove()
    return shares


def markdown(rows: list[dict[str, Any]]) -> str:
    """A line a kind of skip: PSNR and steps of each seed, and the difference to no skips."""
    base = {row["seed"]: row["psnr"] for row in rows if row["skips"] == BASE}
    lines = [
        "| skips | PSNR in dB, by seed | mean | over none, by seed | full precision | steps |",
        "|---|---|---:|---|---|---|",
    ]
    for kind in dict.fromkeys(row["skips"] for row in rows):
        own = [row for row in rows if row["skips"] == kind]
        gains = [f"{row['psnr'] - base[row['seed']]:+.2f}" for row in own if row["seed"] in base]
        cells = [
            kind,
            ", ".join(f"{row['psnr']:.2f}" for row in own),
            f"{mean(row['psnr'] for row in own):.2f}",
            "" if kind == BASE else ", ".join(gains),
            ", ".join(f"{row['psnr_float']:.2f}" for row in own),
            ", ".join(str(row["steps"]) for row in own),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(
    photographs: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    held_out: Annotated[Path, typer.Option("--held-out", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out")],
    minutes: Annotated[float, typer.Option("--minutes", min=0.001)] = 5.0,
    float_minutes: Annotated[float, typer.Option("--float-minutes", min=0.001)] = 1.0,
    width: Annotated[int, typer.Option("--width", min=4)] = 16,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many, from 1 on.")] = 2,
    device: Annotated[str, typer.Option("--device")] = "auto",
) -> None:
    """Train without skips, with OR and with MUX for equal minutes, and print a table."""
    from heqcodec.eval.quantizers.codec_task import CodecTask
    from heqcodec.eval.report import environment
    from heqcodec.files import write_bytes
    from heqcodec.nqe.vgg_skips import SKIPS
    from heqcodec.purenet.device import find_device
    from heqcodec.training.photographs import load_frames, load_tiles

    tiles, digest = load_tiles(photographs)
    frames = load_frames(held_out)
    settings = {"minutes": minutes, "float_minutes": float_minutes, "width": width}
    run = {**settings, "tiles": len(tiles), "frames": len(frames), "data_sha256": digest}
    stored, rows = out / "skips.json", list[dict[str, Any]]()
    if stored.exists():
        found = json.loads(stored.read_text(encoding="utf-8"))
        if all(found["run"].get(key) == value for key, value in run.items()):
            rows = found["rows"]
    out.mkdir(parents=True, exist_ok=True)
    where = find_device(device)
    for seed in range(1, seeds + 1):
        for kind in SKIPS:
            if any((row["skips"], row["seed"]) == (kind, seed) for row in rows):
                continue
            task = CodecTask(tiles, frames, width, where, seed, kind)
            rows.append(
                {"skips": kind, "seed": seed, **train_one(task, seed, minutes, float_minutes)}
            )
            told = json.dumps({"run": {**run, **environment()}, "rows": rows}, indent=2)
            write_bytes(stored, (told + "\n").encode())
            write_bytes(out / "skips.md", markdown(rows).encode())
            typer.echo(json.dumps(rows[-1]))
    typer.echo(markdown(rows), nl=False)


if __name__ == "__main__":
    typer.run(main)
