"""Every truncation and many byte flips of a real file, decoded strictly and partially.

    python benchmarks/damage.py [FILE] [--flips N] [--seed S]

Strictly, each damage must be a ``heqcodec.HeqError``; partially, an image of the right size or,
where the header is beyond repair, a ``HeqError``. Prints how many of each there were and the
longest time. FILE is a golden file of the conformance folder when left out. Ends with exit code 1
when any other exception escapes, or when damage goes unnoticed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import heqcodec
import numpy as np
import typer

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "conformance" / "colour-nqe-t-256.heq"


def damaged(data: bytes, flips: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """All truncations, then files with one random byte changed."""
    for length in range(len(data)):
        yield "truncation", data[:length]
    random = np.random.default_rng(seed)
    for _ in range(flips):
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= int(random.integers(1, 256))
        yield "flip", bytes(changed)


def outcome(data: bytes, partial: bool, shape: tuple[int, ...]) -> str:
    """What decoding gives: the name of a typed error, "image", or what must not happen."""
    try:
        pixels = heqcodec.decode(data, partial=partial)
    except heqcodec.HeqError as error:
        return type(error).__name__
    except Exception as error:
        return f"ESCAPED {type(error).__name__}"
    if pixels.shape != shape:
        return f"WRONG SIZE {pixels.shape}"
    return "image" if partial else "UNNOTICED"


def main(
    file: Annotated[Path, typer.Argument(help="A .heq file.")] = GOLDEN,
    flips: Annotated[int, typer.Option(help="Random byte flips.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the flips.")] = 1,
) -> None:
    """Damage a file in many ways and decode it."""
    data = file.read_bytes()
    shape = heqcodec.decode(data).shape
    bad = False
    for partial in (False, True):
        outcomes: Counter[str] = Counter()
        longest = 0.0
        for kind, changed in damaged(data, flips, seed):
            begun = time.perf_counter()
            outcomes[f"{kind}: {outcome(changed, partial, shape)}"] += 1
            longest = max(longest, time.perf_counter() - begun)
        typer.echo(f"{'partial' if partial else 'strict'}: longest {longest:.3f} s")
        for name, count in sorted(outcomes.items()):
            typer.echo(f"  {count:5d} {name}")
            bad = bad or any(word in name for word in ("ESCAPED", "WRONG", "UNNOTICED"))
    if bad:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
