"""What are other codes than signs worth at equal bits, in PSNR after equal minutes?

    python benchmarks/codes.py PHOTOGRAPHS --held-out HELD_OUT --minutes 1.5 --out DIR

Trains as `variants` says with each of the codes of `heqcodec.lab.networks.code_quantizers`: at most
256 bits
a patch. Prints the PSNR of the middles of held-out photographs.

Writes codes.json and codes.md after each training; the same command goes on where it stopped.
"""

from __future__ import annotations

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

BASE = "binary"
POSITIONS = 16


def about(kind: str) -> dict[str, Any]:
    """Channels of a code, and bits of a patch."""
    from heqcodec.lab.networks.code_quantizers import make_code

    made = make_code(kind)
    return {"channels": made.channels, "bits": POSITIONS * made.bits}


def markdown(rows: list[dict[str, Any]]) -> str:
    """A line a code: bits, PSNR and steps of each seed, and the difference to signs."""
    head = [
        "| code | channels | bits a patch | PSNR in dB, by seed | mean | over signs | steps |",
        "|---|---:|---:|---|---:|---|---|",
    ]

    def cells(own: list[dict[str, Any]]) -> list[str]:
        return [
            str(own[0]["channels"]),
            f"{own[0]['bits']:.1f}",
            by_seed(own, "psnr", ".2f"),
            f"{mean(row['psnr'] for row in own):.2f}",
            gains(rows, own, "code", BASE),
            by_seed(own, "steps", "d"),
        ]

    return table(rows, "code", head, cells)


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
    """Train with each code for equal minutes, and print a table."""
    from heqcodec.lab.networks.code_quantizers import CODES

    variants = Variants("codes", "code", CODES, about, lambda task, network: {}, markdown)
    lengths = Lengths(minutes, float_minutes, width, seeds)
    compare(variants, photographs, held_out, out, lengths, device)


if __name__ == "__main__":
    typer.run(main)
