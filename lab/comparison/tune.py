"""What `--tune` brings: SSIMULACRA2 and PSNR of real files, tuned against not tuned.

    pip install ssimulacra2
    python -m heqcodec.lab.comparison.tune DIR --out NAME.csv

Codes the images of DIR with each tune, decodes them by the strong decoder, and writes a row for
each image and tune: BD-rate at equal SSIMULACRA2 and at equal PSNR over RGB, over the qualities'
common interval, and how many more bytes the files have; then a row of means.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import heqcodec
import numpy as np
import typer
from heqcodec.base.arguments import TuneName
from heqcodec.base.files import write_bytes
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.folder import image_files, read_pixels
from heqcodec.eval.metrics import psnr
from heqcodec.file.options import TUNES
from numpy.typing import NDArray
from PIL import Image

QUALITIES = (22, 36, 52)
COLUMNS = ("image", "tune", "ssimulacra2_bd_rate", "psnr_bd_rate", "more_bytes")


def similarity(pixels: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """SSIMULACRA2 of the package of that name, which takes files; at most 100."""
    from ssimulacra2 import compute_ssimulacra2

    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("original.png", "decoded.png")]
        for path, image in zip(paths, (pixels, decoded), strict=True):
            Image.fromarray(image).save(path, compress_level=1)
        return float(compute_ssimulacra2(*paths))


def points(pixels: NDArray[np.uint8], tune: TuneName) -> NDArray[np.float64]:
    """Bits a pixel, SSIMULACRA2 and PSNR in dB by quality, float64 (qualities, 3)."""
    rows = []
    for quality in QUALITIES:
        data = heqcodec.encode(pixels, quality=quality, tune=tune)
        decoded = heqcodec.decode(data, device="cpu")
        bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        rows.append((bpp, similarity(pixels, decoded), psnr(pixels, decoded)))
    return np.array(rows)


def gains(pixels: NDArray[np.uint8]) -> Iterator[tuple[TuneName, float, float, float]]:
    """Of each tune but the first: both BD-rates and how many more bytes, in per cent."""
    anchor = points(pixels, TUNES[0])
    for tune in TUNES[1:]:
        tuned = points(pixels, tune)
        by_score, by_error = (
            compare(map(tuple, anchor[:, [0, column]]), map(tuple, tuned[:, [0, column]])).rate
            for column in (1, 2)
        )
        assert by_score is not None and by_error is not None
        yield tune, by_score, by_error, 100 * (tuned[:, 0].sum() / anchor[:, 0].sum() - 1)


def main(
    folder: Annotated[Path, typer.Argument(help="Images, not those of an evaluation.")],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    images: Annotated[int, typer.Option(help="Take so many.", min=1)] = 12,
) -> None:
    """Print the means and write all rows."""
    rows: list[tuple[str, str, float, float, float]] = []
    for path in image_files(folder)[:images]:
        rows += [(path.name, *found) for found in gains(read_pixels(path))]
    for tune in TUNES[1:]:
        mean = np.mean([row[2:] for row in rows if row[1] == tune], axis=0)
        rows.append(("mean", tune, float(mean[0]), float(mean[1]), float(mean[2])))
        typer.echo(f"{tune}: SSIMULACRA2 {mean[0]:+.2f} %, PSNR {mean[1]:+.2f} %, {mean[2]:+.2f} %")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*row[:2], *(f"{value:.3f}" for value in row[2:])) for row in rows)
    write_bytes(out, table.getvalue().encode())


if __name__ == "__main__":
    typer.run(main)
