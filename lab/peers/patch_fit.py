"""Fits the tables of the patch-constant peers to a folder of photographs.

``python -m heqcodec.lab.peers.patch_fit PHOTOGRAPHS [--out FOLDER] [--seed N]`` takes some two
minutes of one free core and 2 GB for the 1413 tiles that the shipped tables were made from.
Files that were coded with other tables can no longer be decoded, which the decoder says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from heqcodec.eval.baselines.patch.tables import FOLDER


def fit(
    photographs: Annotated[Path, typer.Argument(help="Photographs of 256x256 or more.")],
    out: Annotated[Path, typer.Option(help="Where to write the tables.")] = FOLDER,
    seed: Annotated[int, typer.Option(help="Of the choices when a class becomes empty.")] = 1,
) -> None:
    """Fit transforms, classes and measurements, and write klt.safetensors, sensing.safetensors."""
    import heqcodec
    import numpy as np
    from heqcodec.base.errors import HeqError
    from heqcodec.base.files import write_bytes
    from heqcodec.eval.baselines.patch import klt, sensing
    from heqcodec.image.patches import split_patches
    from heqcodec.lab.training.photographs import load_tiles
    from safetensors.numpy import save

    from .klt_fit import fit_klt
    from .sensing_fit import fit_sensing

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        tiles, data_hash = load_tiles(photographs)
    except HeqError as error:
        report(f"heqcodec: {error}")
        raise typer.Exit(1) from error
    patches = np.concatenate([split_patches(tile) for tile in tiles])
    report(f"{len(patches)} patches")
    metadata = {
        "data_sha256": data_hash,
        "heqcodec": heqcodec.__version__,
        "numpy": np.__version__,
        "patches": str(len(patches)),
        "seed": str(seed),
    }
    for name, tables in (
        (sensing.TABLES, fit_sensing(patches)),
        (klt.TABLES, fit_klt(patches, seed, report)),
    ):
        # safetensors would write an array that is transposed in memory as it lies there.
        plain = {key: np.ascontiguousarray(table) for key, table in tables.items()}
        write_bytes(out / name, save(plain, metadata))
        report(f"wrote {name}")


if __name__ == "__main__":
    typer.run(fit)
