"""SSIMULACRA2 of packed files against AVIF, by decoder and by ``--tune``.

    pip install ssimulacra2
    python -m heqcodec.lab.comparison.against_avif DIR --out NAME.csv --decoder strong --tune ssim

Codes the images of DIR by AVIF, tuned for PSNR as `heqcodec eval run --codec avif` has it and by
libaom's tune for the eye, and by heqcodec; writes the means of bits a pixel, SSIMULACRA2 and PSNR
at each setting, and prints BD-rates between them.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import typer
from heqcodec.base.files import write_bytes
from heqcodec.eval.baselines.pillow_codecs import Avif
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.folder import image_files, read_pixels
from heqcodec.eval.metrics import psnr
from numpy.typing import NDArray

from .tune import similarity

Pixels = NDArray[np.uint8]
Coded = tuple[int, Pixels]
"""Bytes of a file, and the pixels that it gives."""
AVIF_QUALITIES = (10.0, 20.0, 30.0, 40.0, 50.0, 65.0)
QUALITIES = (15.0, 25.0, 35.0, 45.0, 55.0, 65.0)
RATES = (0.1, 1.0)


AVIF_TUNES = ("psnr", "iq")
"""Of libaom; "iq" is its own for pictures that are looked at, and Pillow's default."""


class TunedAvif(Avif):
    """AVIF 4:4:4 by a tune of libaom."""

    def __init__(self, tune: str) -> None:
        super().__init__()
        self.tune = tune

    def options(self, setting: float) -> dict[str, Any]:
        """See `PillowCodec`."""
        return {**super().options(setting), "advanced": {"tune": self.tune}}


def by_avif(tune: str) -> Callable[[Pixels, float], Coded]:
    """What codes an image uint8 (H, W, 3) by AVIF 4:4:4 and decodes it."""
    codec = TunedAvif(tune)

    def coded(pixels: Pixels, quality: float) -> Coded:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.avif"
            codec.encode(pixels, quality, path)
            return path.stat().st_size, codec.decode(path)

    return coded


def by_heqcodec(decoder: str, tune: str) -> Callable[[Pixels, float], Coded]:
    """What codes as packed files and decodes them."""

    def coded(pixels: Pixels, quality: float) -> Coded:
        data = heqcodec.pack(heqcodec.encode(pixels, quality=quality, tune=tune))  # type: ignore[arg-type]
        return len(data), heqcodec.decode(data, device="cpu", decoder=decoder)  # type: ignore[arg-type]

    return coded


def curve(
    images: list[Pixels], code: Callable[[Pixels, float], Coded], settings: tuple[float, ...]
) -> NDArray[np.float64]:
    """Means over the images of bits a pixel, SSIMULACRA2 and PSNR in dB, (settings, 3)."""
    rows = []
    for setting in settings:
        found = []
        for pixels in images:
            size, decoded = code(pixels, setting)
            bpp = 8 * size / (pixels.shape[0] * pixels.shape[1])
            found.append((bpp, similarity(pixels, decoded), psnr(pixels, decoded)))
        rows.append(np.mean(found, axis=0))
    return np.array(rows)


def main(
    folder: Annotated[Path, typer.Argument(help="Images.")],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    decoder: Annotated[list[str], typer.Option(help="May be given several times.")],
    tune: Annotated[list[str], typer.Option(help="As often as --decoder: of its files.")],
) -> None:
    """Print BD-rates, and write the curves."""
    if len(decoder) != len(tune):
        raise typer.BadParameter("give one --tune for each --decoder, in the same order.")
    images = [read_pixels(path) for path in image_files(folder)]
    anchors = {f"avif, tune {of}": curve(images, by_avif(of), AVIF_QUALITIES) for of in AVIF_TUNES}
    curves = {name: (AVIF_QUALITIES, means) for name, means in anchors.items()}
    for one, of in zip(decoder, tune, strict=True):
        found = curve(images, by_heqcodec(one, of), QUALITIES)
        curves[f"{one}, tune {of}"] = QUALITIES, found
        for name, anchor in anchors.items():
            score, error = (
                compare(map(tuple, anchor[:, [0, at]]), map(tuple, found[:, [0, at]]), RATES).rate
                for at in (1, 2)
            )
            typer.echo(
                f"{one}, tune {of}, against {name}: SSIMULACRA2 {score:+.1f} %, PSNR {error:+.1f} %"
            )
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("codec", "setting", "bpp", "ssimulacra2", "psnr"))
    for name, (settings, means) in curves.items():
        for setting, row in zip(settings, means, strict=True):
            writer.writerow((name, f"{setting:g}", *(f"{value:.4f}" for value in row)))
    write_bytes(out, table.getvalue().encode())


if __name__ == "__main__":
    typer.run(main)
