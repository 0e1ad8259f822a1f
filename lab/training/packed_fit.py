"""Fit the packed coder of a variable-rate model anew, for its device coder.

    python -m heqcodec.lab.training.packed_fit nqe-r --weights weights/ --data train/ --out coders/

``heqcodec train`` fits both coders of a new encoder; this is for an encoder that stays, where more
photographs or a longer fit are to make packed files smaller. The folder it writes is what
``heqcodec train --coders`` takes. Files of the device coder stay as they are; packed files of the
old tables cannot be read with the new ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from heqcodec.base.errors import HeqError

from .given_weights import read_encoder, read_tables, write_tensors
from .packed_networks import Effort
from .packed_strips import TileStrips
from .packed_tables import fit_packed_tables
from .photographs import load_tiles


def main(arguments: list[str] | None = None) -> int:
    """Fit as the arguments say (``sys.argv`` if None); returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m heqcodec.lab.training.packed_fit",
        description="Fit the packed coder of a variable-rate model anew.",
    )
    parser.add_argument("model", metavar="NAME", help="of the model, such as nqe-r")
    parser.add_argument("--weights", type=Path, required=True, metavar="DIR", help="of the model")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="photographs")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--start", type=Path, help="tables whose networks to go on from")
    parser.add_argument("--learning-rate", type=float, help="at first; 6e-3, with --start 1e-3")
    parser.add_argument("--iterations", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=1024, help="decisions of each network")
    parser.add_argument("--strips", type=int, default=112, help="drawn at a time")
    parser.add_argument("--minutes", type=float, help="after which the schedule has ended")
    parser.add_argument("--device", default="cpu", help="of the networks")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        _fit(given)
    except (HeqError, OSError) as error:
        print(f"heqcodec: {error}", file=sys.stderr)
        return 1
    return 0


def _fit(given: argparse.Namespace) -> None:
    from heqcodec.models.registry import RATE
    from heqcodec.nqe_r.encoder import RateNqe

    encoder = RateNqe(read_encoder(given.weights / f"{given.model}.encoder.safetensors", RATE))
    device = read_tables(given.weights / f"{given.model}.device.safetensors")
    tiles, _ = load_tiles(given.data)
    effort = Effort(given.iterations, given.batch, given.strips, given.minutes, given.device)
    start = read_tables(given.start) if given.start else None
    rate = given.learning_rate or (1e-3 if start else 6e-3)
    packed = fit_packed_tables(
        TileStrips(tiles, encoder), learning_rate=rate, seed=given.seed, start=start, effort=effort
    )
    given.out.mkdir(parents=True, exist_ok=True)
    write_tensors(given.out / f"{given.model}.device.safetensors", device)
    write_tensors(given.out / f"{given.model}.packed.safetensors", packed)
    print(f"wrote the coders of {given.model} to {given.out}")


if __name__ == "__main__":
    sys.exit(main())
