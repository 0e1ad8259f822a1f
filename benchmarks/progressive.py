"""Progressive files: how many more bytes they take, and what their first part is worth.

    python benchmarks/progressive.py IMAGES --out eval/results/embedded/progressive

The first part is
what comes before the strips of the second one; its PSNR is that of the image at an eighth of the
size, against means of 8 x 8 samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import heqcodec
import numpy as np
import typer
from heqcodec.file.reduced import decode_reduced
from PIL import Image

QUALITIES = (15, 25, 35, 45, 70)


def first_part(data: bytes) -> bytes:
    """The file up to the strips of its second part."""
    place = 44
    for _ in range(heqcodec.info(data)["strips"] // 2):
        place += 12 + int.from_bytes(data[place + 4 : place + 8], "little")
    return data[:place]


def thumbnail_psnr(data: bytes, pixels: np.ndarray) -> float:
    """Of a file's image at an eighth of the size, in dB."""
    height, width = (side // 8 * 8 for side in pixels.shape[:2])
    means = pixels[:height, :width].reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))
    found = decode_reduced(data, 8, partial=True)[: height // 8, : width // 8]
    return float(10 * np.log10(255**2 / np.mean((found - means) ** 2)))


def main(images: Path, out: Annotated[Path | None, typer.Option()] = None) -> None:
    """Print a table, and store it as ``OUT.md``."""
    files = sorted(images.glob("*.png"))
    lines = [
        f"`python benchmarks/progressive.py {images.name}/`: {len(files)} images, means.",
        "",
        "| rows of patches in a strip | quality | bytes | progressive | more | first part "
        "| an eighth, first part | whole file |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rows in (4, 1):
        for quality in QUALITIES:
            sizes, psnr = [], []
            for file in files:
                with Image.open(file) as opened:
                    pixels = np.asarray(opened.convert("RGB"))
                plain, data = (
                    heqcodec.encode(pixels, quality=quality, strip_rows=rows, progressive=parts)
                    for parts in (False, True)
                )
                begin = first_part(data)
                sizes.append((len(plain), len(data), len(begin)))
                psnr.append([thumbnail_psnr(part, pixels) for part in (begin, plain)])
            whole, both, first = np.mean(sizes, axis=0)
            eighth, wanted = np.mean(psnr, axis=0)
            lines.append(
                f"| {rows} | {quality} | {whole:,.0f} | {both:,.0f} | {both / whole - 1:.2%} "
                f"| {first / both:.0%} | {eighth:.1f} dB | {wanted:.1f} dB |"
            )
            print(lines[-1], flush=True)
    if out is not None:
        out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
