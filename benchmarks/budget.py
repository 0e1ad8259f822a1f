"""Budgets of bytes in one pass: how full files are, and PSNR against one step for the whole file.

    python benchmarks/budget.py IMAGES --out eval/results/budget

Each image is scaled to VGA and QVGA. Next to the file of ``encode(budget=N)`` stands that of
``encode(target_size=bytes of it)`` with the same rows of patches in a strip, which has one step for
all strips and takes several passes; where no step gives so few bytes, the image counts in neither
PSNR. "Finest step" counts the images with a strip at step 0, where nothing can fill more. PSNR is
that of the plain inverse transform.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import heqcodec
import numpy as np
import typer
from PIL import Image

BUDGETS = (2_000, 5_000, 10_000, 20_000, 60_000)
SIZES = ((640, 480), (320, 240))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of uint8 images, in dB."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def main(images: Path, out: Annotated[Path | None, typer.Option()] = None) -> None:
    """Print a table, and store it as ``OUT.md``."""
    files = sorted(images.glob("*.png"))
    lines = [
        f"`python benchmarks/budget.py {images.name}/`: {len(files)} images.",
        "",
        "| size | budget | filled, mean | least | over | below 97 % | finest step | not sent "
        "| no one step | PSNR | PSNR, one step | difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        for budget in BUDGETS:
            filled, sent, gained, plain, finest = [], 0, [], [], 0
            for file in files:
                with Image.open(file) as opened:
                    turned = size if opened.width > opened.height else size[::-1]
                    pixels = np.asarray(
                        opened.convert("RGB").resize(turned, Image.Resampling.LANCZOS)
                    )
                data = heqcodec.encode(pixels, budget=budget)
                facts = heqcodec.info(data)
                try:
                    one = heqcodec.encode(pixels, target_size=len(data), strip_rows=1)
                except heqcodec.HeqError:  # no step gives so few bytes
                    one = None
                filled.append(len(data) / budget)
                sent += len(facts["unsent_strips"])
                finest += 0 in (facts["steps"] or [])
                if one is not None:
                    gained.append(psnr(heqcodec.decode(data, decoder="plain"), pixels))
                    plain.append(psnr(heqcodec.decode(one, decoder="plain"), pixels))
            full = np.array(filled)
            lines.append(
                f"| {size[0]}x{size[1]} | {budget:,} | {full.mean():.2%} | {full.min():.2%} "
                f"| {int((full > 1).sum())} | {int((full < 0.97).sum())} | {finest} | {sent} "
                f"| {len(files) - len(plain)} | {np.mean(gained):.2f} | {np.mean(plain):.2f} "
                f"| {np.mean(gained) - np.mean(plain):+.2f} |"
            )
            print(lines[-1], flush=True)
    if out is not None:
        out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
