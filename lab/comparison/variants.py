"""What is each choice in the form of the small codec worth, at equal minutes of training?

    python -m heqcodec.lab.comparison.variants WHAT PHOTOGRAPHS --held-out HELD_OUT --out DIR

WHAT is varied:

- ``codes``: other codes than signs, at most 256 bits a patch
  (`heqcodec.lab.networks.code_quantizers`);
- ``bottleneck``: signs of 4 to 32 channels, 64 to 512 bits a patch;
- ``skips``: logic gates around three layers (`heqcodec.nqe_vgg.skips`);
- ``attention``: self-attention before the bottleneck (`heqcodec.lab.networks.position_attention`);
- ``ensemble``: two encoders, or two decoders, of half the weights (`codec_network`);
- ``refinement``: PURENET on whole frames, or on each patch alone.

Each variant is the form of `nqe-vgg` at a reduced width with a small PURENET and the quantizers of
the paper, trained as ``heqcodec eval quantizers`` does. For each seed all have the same crops in
the same order and the same minutes: first with weights in full precision, then quantized. On a CPU
minutes are those in which the process has the processor.

Prints the PSNR of the middles of held-out photographs. Writes NAME.json and NAME.md after each
training; the same command goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, NamedTuple, cast

import numpy as np
import torch
import typer
from heqcodec.base.files import write_bytes
from heqcodec.eval.blockiness import relative_border_step_ratio
from heqcodec.eval.markdown import markdown_table
from heqcodec.eval.report import environment
from heqcodec.lab.classifier.seed_table import pooled_deviation
from heqcodec.lab.networks.code_quantizers import BOTTLENECKS, CODES, make_code
from heqcodec.lab.networks.layer_quantizers import layer_quantizer
from heqcodec.lab.networks.position_attention import ATTENTIONS
from heqcodec.lab.networks.reduced import ReducedNqe
from heqcodec.lab.training.photographs import load_frames, load_tiles
from heqcodec.nqe_vgg.skips import SKIPS
from heqcodec.purenet.device import find_device
from numpy.typing import NDArray
from torch import Tensor, nn

from .codec_network import ENSEMBLES, REFINEMENTS, CodecForm, CodecNetwork
from .codec_task import CodecTask
from .training import train_for

POSITIONS = 16
Rows = list[dict[str, Any]]


class Variants(NamedTuple):
    """What is compared.

    Attributes:
        key: of a row, and of `CodecForm`: the variant by its name.
        kinds: names, the one to compare with first.
        about: further values of a variant's rows.
        measured: further figures of a trained network, of its task.
        columns: headings of the table, and each one's cell of a variant's rows.
    """

    key: str
    kinds: Iterable[str]
    about: Callable[[str], dict[str, Any]]
    measured: Callable[[CodecTask, nn.Module], dict[str, Any]]
    columns: dict[str, Callable[[Rows], str]]


def about_code(kind: str) -> dict[str, Any]:
    """Channels of a code, and bits of a patch."""
    made = make_code(kind)
    return {"channels": made.channels, "bits": POSITIONS * made.bits}


@torch.no_grad()
def joined_fractions(encoder: ReducedNqe, patches: Tensor) -> dict[str, float]:
    """The share of values that each skip changes, on patches uint8 (N, 3, 32, 32)."""
    fractions: dict[str, float] = {}

    def note(name: str, module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        fractions[name] = round(float((made != given[0]).float().mean()), 4)

    hooks = [
        gate.register_forward_hook(partial(note, name)) for name, gate in encoder.skips.items()
    ]
    encoder.eval()(patches)
    for hook in hooks:
        hook.remove()
    return fractions


def measured_skips(task: CodecTask, network: nn.Module) -> dict[str, Any]:
    """`joined_fractions` on training patches."""
    encoder = cast(ReducedNqe, task.encoder(network))
    return {"joined": joined_fractions(encoder, task.training_crops(32, 256))}


def measured_size(task: CodecTask, network: nn.Module) -> dict[str, Any]:
    """Bits of the encoder's weights, and parameters of the decoder."""
    decoder = cast(CodecNetwork, network).decoder
    return {
        "weight_bits": task.encoder(network).weight_bits(),
        "decoder_parameters": sum(parameter.numel() for parameter in decoder.parameters()),
    }


def measured_borders(task: CodecTask, network: nn.Module) -> dict[str, Any]:
    """Mean of `relative_border_step_ratio` over the held-out frames."""
    ratios = [
        relative_border_step_ratio(truth, as_pixels(frame))
        for frame, truth in task.decoded(network)
    ]
    return {"border_ratio": mean(ratios)}


def as_pixels(frame: Tensor) -> NDArray[np.uint8]:
    """RGB / 255, float (3, H, W) -> uint8 (H, W, 3)."""
    pixels = (255 * frame).round().clamp(0, 255).permute(1, 2, 0)
    return pixels.cpu().numpy().astype(np.uint8)


def by_seed(figure: str, form: str) -> Callable[[Rows], str]:
    """A figure of each of a variant's rows, in this format."""
    return lambda own: ", ".join(format(row[figure], form) for row in own)


VARIANTS = {
    "codes": Variants(
        "code",
        CODES,
        about_code,
        lambda task, network: {},
        {
            "channels": lambda own: str(own[0]["channels"]),
            "bits a patch": lambda own: f"{own[0]['bits']:.1f}",
        },
    ),
    "bottleneck": Variants(
        "code",
        BOTTLENECKS,
        about_code,
        measured_size,
        {
            "bits a patch": lambda own: f"{own[0]['bits']:.0f}",
            "bits of weights": lambda own: f"{own[0]['weight_bits']:,}",
        },
    ),
    "attention": Variants(
        "attention",
        ATTENTIONS,
        lambda kind: {},
        measured_size,
        {"bits of weights": lambda own: f"{own[0]['weight_bits']:,}"},
    ),
    "ensemble": Variants(
        "ensemble",
        ENSEMBLES,
        lambda kind: {},
        measured_size,
        {
            "bits of weights": lambda own: f"{own[0]['weight_bits']:,}",
            "parameters of the decoder": lambda own: f"{own[0]['decoder_parameters']:,}",
        },
    ),
    "refinement": Variants(
        "refinement",
        REFINEMENTS,
        lambda kind: {},
        measured_borders,
        {"border steps over the photograph's": by_seed("border_ratio", ".2f")},
    ),
    "skips": Variants(
        "skips",
        SKIPS,
        lambda kind: {},
        measured_skips,
        {"full precision": by_seed("psnr_float", ".2f")},
    ),
}
What = Enum("What", {name: name for name in VARIANTS}, type=str)  # type: ignore[misc]


def markdown(rows: Rows, variants: Variants) -> str:
    """A line a variant: PSNR and steps of each seed, and the difference to the first variant."""
    base = next(iter(variants.kinds))
    known = {row["seed"]: row["psnr"] for row in rows if row[variants.key] == base}

    def gain(own: Rows) -> str:
        if own[0][variants.key] == base:
            return ""
        both = [row for row in own if row["seed"] in known]
        return ", ".join(f"{row['psnr'] - known[row['seed']]:+.2f}" for row in both)

    columns: dict[str, Callable[[Rows], str]] = {
        **variants.columns,
        "PSNR in dB, by seed": by_seed("psnr", ".2f"),
        "mean": lambda own: f"{mean(row['psnr'] for row in own):.2f}",
        f"over {base}, by seed": gain,
        "steps": by_seed("steps", "d"),
    }
    lines = []
    for kind in dict.fromkeys(row[variants.key] for row in rows):
        own = [row for row in rows if row[variants.key] == kind]
        lines.append([kind, *(cell(own) for cell in columns.values())])
    text = markdown_table([variants.key, *columns], lines)
    groups = [[row["psnr"] for row in rows if row[variants.key] == line[0]] for line in lines]
    pooled, freedom = pooled_deviation(groups)
    if not freedom:
        return text
    return text + (
        f"\nA training varies with its seed by {pooled:.2f} dB (one standard deviation, pooled, "
        f"{freedom} degrees of freedom).\n"
    )


def train_one(
    task: CodecTask, seed: int, minutes: float, float_minutes: float
) -> tuple[nn.Module, dict[str, Any]]:
    """Train an encoder and its decoder; the network, and figures of what was reached.

    Args:
        task: of a variant.
        seed: of the batches.
        minutes: of training with quantized weights.
        float_minutes: of training in full precision, before.
    """
    network = task.build()
    steps = train_for(task, network, 60 * float_minutes, seed)
    baseline = task.measure(network)
    task.encoder(network).quantize(partial(layer_quantizer, choice=None))
    task.calibrate(network)
    steps += train_for(task, network, 60 * minutes, seed + 1)
    return network, {"psnr": task.measure(network), "psnr_float": baseline, "steps": steps}


def main(
    what: Annotated[What, typer.Argument(help="What is varied.")],
    photographs: Annotated[Path, typer.Argument(exists=True)],
    held_out: Annotated[Path, typer.Option("--held-out", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out")],
    minutes: Annotated[float, typer.Option("--minutes", min=0.001)] = 5.0,
    float_minutes: Annotated[float, typer.Option("--float-minutes", min=0.001)] = 1.0,
    width: Annotated[int, typer.Option("--width", min=4)] = 16,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many, from 1 on.")] = 2,
    device: Annotated[str, typer.Option("--device")] = "auto",
) -> None:
    """Train all variants with each seed for equal minutes, and print a table."""
    variants = VARIANTS[what.value]
    tiles, digest = load_tiles(photographs)
    frames = load_frames(held_out)
    settings = {"minutes": minutes, "float_minutes": float_minutes, "width": width}
    run = {**settings, "tiles": len(tiles), "frames": len(frames), "data_sha256": digest}
    stored, rows = out / f"{what.value}.json", Rows()
    if stored.exists():
        found = json.loads(stored.read_text(encoding="utf-8"))
        if all(found["run"].get(key) == value for key, value in run.items()):
            rows = found["rows"]
    out.mkdir(parents=True, exist_ok=True)
    where = find_device(device)
    done = {(row[variants.key], row["seed"]) for row in rows}
    pairs = [(seed, kind) for seed in range(1, seeds + 1) for kind in variants.kinds]
    for seed, kind in pairs:
        if (kind, seed) in done:
            continue
        options: dict[str, Any] = {variants.key: kind}
        task = CodecTask(tiles, frames, width, where, seed, CodecForm(**options))
        network, figures = train_one(task, seed, minutes, float_minutes)
        row = {**options, **variants.about(kind), "seed": seed, **figures}
        rows.append({**row, **variants.measured(task, network)})
        text = json.dumps({"run": {**run, **environment()}, "rows": rows}, indent=2)
        write_bytes(stored, (text + "\n").encode())
        write_bytes(out / f"{what.value}.md", markdown(rows, variants).encode())
        typer.echo(json.dumps(rows[-1]))
    typer.echo(markdown(rows, variants), nl=False)


if __name__ == "__main__":
    typer.run(main)
