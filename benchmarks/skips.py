"""What are OR and MUX skips worth to the encoder of `nqe-vgg`, in PSNR after equal minutes?

    python benchmarks/skips.py PHOTOGRAPHS --held-out HELD_OUT --minutes 1.5 --out DIR

Trains as `variants` says without skips, with OR and with MUX. For each seed all three have the same
initial weights. Prints the PSNR of the middles of held-out photographs, and how it differs from
that without skips.

Writes skips.json and skips.md after each training; the same command goes on where it stopped.
"""

from __future__ import annotations

from functools import partial
from statistics import mean
from typing import Any

import typer
from variants import (
    Device,
    FloatMinutes,
    HeldOut,
    Lengths,
    Minutes,
    Out,
    Photographs,
    Seeds,
    Variants,
    Width,
    by_seed,
    compare,
    gains,
    table,
)

BASE = "none"


def measured(task: Any, network: Any) -> dict[str, Any]:
    """The share of values that each skip changes, on training patches."""
    import torch

    with torch.no_grad():
        fractions = joined_fractions(task.encoder(network), task.training_crops(32, 256))
    return {"joined": fractions}


def joined_fractions(encoder: Any, patches: Any) -> dict[str, float]:
    """The share of values that each skip changes, on patches uint8 (N, 3, 32, 32)."""
    fractions: dict[str, float] = {}

    def note(name: str, module: Any, given: tuple[Any, Any], made: Any) -> None:
        fractions[name] = round(float((made != given[0]).float().mean()), 4)

    hooks = [
        gate.register_forward_hook(partial(note, name)) for name, gate in encoder.skips.items()
    ]
    encoder.eval()(patches)
    for hook in hooks:
        hook.remove()
    return fractions


def markdown(rows: list[dict[str, Any]]) -> str:
    """A line a kind of skip: PSNR and steps of each seed, and the difference to no skips."""
    head = [
        "| skips | PSNR in dB, by seed | mean | over none, by seed | full precision | steps |",
        "|---|---|---:|---|---|---|",
    ]

    def cells(own: list[dict[str, Any]]) -> list[str]:
        return [
            by_seed(own, "psnr", ".2f"),
            f"{mean(row['psnr'] for row in own):.2f}",
            gains(rows, own, "skips", BASE),
            by_seed(own, "psnr_float", ".2f"),
            by_seed(own, "steps", "d"),
        ]

    return table(rows, "skips", head, cells)


def main(
    photographs: Photographs,
    held_out: HeldOut,
    out: Out,
    minutes: Minutes = 5.0,
    float_minutes: FloatMinutes = 1.0,
    width: Width = 16,
    seeds: Seeds = 2,
    device: Device = "auto",
) -> None:
    """Train without skips, with OR and with MUX for equal minutes, and print a table."""
    from heqcodec.nqe_vgg.skips import SKIPS

    variants = Variants("skips", "skips", SKIPS, lambda kind: {}, measured, markdown)
    lengths = Lengths(minutes, float_minutes, width, seeds)
    compare(variants, photographs, held_out, out, lengths, device)


if __name__ == "__main__":
    typer.run(main)
