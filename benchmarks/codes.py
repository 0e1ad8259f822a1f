"""What are other codes than signs worth at equal bits, in PSNR after equal minutes?

    python benchmarks/codes.py PHOTOGRAPHS --held-out HELD_OUT --minutes 1.5 --out DIR

Trains the form of `nqe-vgg` at a reduced width with a small PURENET, as ``heqcodec eval
quantizers`` does, by the quantizers of the paper, with each of the codes of
`heqcodec.nqe.code_quantizers`: at most 256 bits a patch. For each seed all have the same crops in
the same order and the same minutes: first with weights in full precision, then quantized. On a CPU
minutes are those in which the process has the processor. Prints the PSNR of the middles of held-out
photographs.

Writes codes.json and codes.md after each training; the same command goes on where it stopped.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer

BASE = "binary"
POSITIONS = 16


def train_one(task: Any, seed: int, minutes: float, float_minutes: float) -> dict[str, Any]:
    """Train an encoder and its decoder; figures of what was reached.

    Args:
        task: a ``CodecTask``.
        seed: of the batches.
        minutes: of training with quantized weights.
        float_minutes: of training in full precision, before.
    """
    from heqcodec.eval.quantizers.training import train_for
    from heqcodec.nqe.layer_quantizers import layer_quantizer

    network = task.build()
    steps = train_for(task, network, 60 * float_minutes, seed)
    twin = task.measure(network)
    encoder = task.encoder(network)
    encoder.quantize(partial(layer_quantizer, choice=None))
    task.calibrate(network)
    steps += train_for(task, network, 60 * minutes, seed + 1)
    return {"psnr": task.measure(network), "psnr_float": twin, "steps": steps}


def markdown(rows: list[dict[str, Any]]) -> str:
    """A line a code: bits, PSNR and steps of each seed, and the difference to signs."""
    base = {row["seed"]: row["psnr"] for row in rows if row["code"] == BASE}
    lines = [
        "| code | channels | bits a patch | PSNR in dB, by seed | mean | over signs | steps |",
        "|---|---:|---:|---|---:|---|---|",
    ]
    for kind in dict.fromkeys(row["code"] for row in rows):
        own = [row for row in rows if row["code"] == kind]
        gains = [f"{row['psnr'] - base[row['seed']]:+.2f}" for row in own if row["seed"] in base]
        cells = [
            kind,
            str(own[0]["channels"]),
            f"{own[0]['bits']:.1f}",
            ", ".join(f"{row['psnr']:.2f}" for row in own),
            f"{mean(row['psnr'] for row in own):.2f}",
            "" if kind == BASE else ", ".join(gains),
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
    """Train with each code for equal minutes, and print a table."""
    from heqcodec.eval.quantizers.codec_task import CodecTask
    from heqcodec.eval.report import environment
    from heqcodec.files import write_bytes
    from heqcodec.nqe.code_quantizers import CODES, make_code
    from heqcodec.purenet.device import find_device
    from heqcodec.training.photographs import load_frames, load_tiles

    tiles, digest = load_tiles(photographs)
    frames = load_frames(held_out)
    settings = {"minutes": minutes, "float_minutes": float_minutes, "width": width}
    run = {**settings, "tiles": len(tiles), "frames": len(frames), "data_sha256": digest}
    stored, rows = out / "codes.json", list[dict[str, Any]]()
    if stored.exists():
        found = json.loads(stored.read_text(encoding="utf-8"))
        if all(found["run"].get(key) == value for key, value in run.items()):
            rows = found["rows"]
    out.mkdir(parents=True, exist_ok=True)
    where = find_device(device)
    for seed in range(1, seeds + 1):
        for kind in CODES:
            if any((row["code"], row["seed"]) == (kind, seed) for row in rows):
                continue
            made = make_code(kind)
            about = {"code": kind, "channels": made.channels, "bits": POSITIONS * made.bits}
            task = CodecTask(tiles, frames, width, where, seed, code=kind)
            figures = train_one(task, seed, minutes, float_minutes)
            rows.append({**about, "seed": seed, **figures})
            told = json.dumps({"run": {**run, **environment()}, "rows": rows}, indent=2)
            write_bytes(stored, (told + "\n").encode())
            write_bytes(out / "codes.md", markdown(rows).encode())
            typer.echo(json.dumps(rows[-1]))
    typer.echo(markdown(rows), nl=False)


if __name__ == "__main__":
    typer.run(main)
