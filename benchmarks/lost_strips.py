"""Lost strips of a file: linear filling against the network that conceals lost packets.

    python benchmarks/lost_strips.py FOLDER --out eval/results/link/lost-strips.md

A strip in the middle of each photograph (512 x 384 of it, quality 35, decoder plain) is taken out
and filled: linearly, as `heqcodec.decode_partial` does; as packets do, by a smooth continuation and
the network's correction of it (`heqcodec.purenet.concealment`); and linearly with that correction.
PSNR is of the lost rows alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.eval.metrics import psnr
from heqcodec.file.concealment import fill_rows
from heqcodec.image.images import load_image
from heqcodec.models import registry
from heqcodec.purenet.concealment import conceal

HIGH, WIDE, QUALITY = 384, 512, 35
STRIP_ROWS = (1, 2, 4)
FILLINGS = ("linear", "as packets", "linear, corrected")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found: dict[int, list[list[float]]] = {rows: [] for rows in STRIP_ROWS}
    generator = np.random.default_rng(0)
    paths = sorted(path for path in arguments.folder.iterdir() if path.is_file())
    for path in paths:
        pixels = load_image(path).pixels[:, :, :3]
        top, left = ((pixels.shape[0] - HIGH) // 2, (pixels.shape[1] - WIDE) // 2)
        if min(top, left) < 0:
            continue
        pixels = np.ascontiguousarray(pixels[top : top + HIGH, left : left + WIDE])
        known = heqcodec.decode(heqcodec.encode(pixels, quality=QUALITY), decoder="plain")
        for rows in STRIP_ROWS:
            strip = int(generator.integers(1, HIGH // PATCH // rows - 1))
            found[rows].append(filled(pixels, known, strip * rows, rows))
    command = " ".join(Path(part).name if "/" in part else part for part in sys.argv)
    lines = [
        "# Lost strips, filled",
        "",
        f"`python {command}`, heqcodec {heqcodec.__version__}, {len(found[1])} photographs: "
        "means of the PSNR of the lost rows, dB; in brackets the worst and the best difference "
        "from linear, and in how many photographs it was better.",
        "",
        "| rows of patches lost | " + " | ".join(FILLINGS) + " |",
        "|---|" + "---|" * len(FILLINGS),
    ]
    for rows, values in found.items():
        table = np.array(values)
        cells = [f"{table[:, 0].mean():.2f}"]
        for column in (1, 2):
            gain = table[:, column] - table[:, 0]
            cells.append(
                f"{table[:, column].mean():.2f} ({gain.min():+.2f} to {gain.max():+.2f}, "
                f"{(gain > 0).sum()} of {len(gain)})"
            )
        lines.append(f"| {rows} | " + " | ".join(cells) + " |")
    arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def filled(pixels: np.ndarray, known: np.ndarray, first: int, rows: int) -> list[float]:
    """PSNR of lost rows by each of `FILLINGS`.

    Args:
        pixels: the photograph, uint8 (H, W, 3).
        known: it, decoded.
        first: row of patches.
        rows: of patches that are lost.
    """
    network = registry.load_concealment()
    assert network is not None
    valid = np.ones((HIGH // PATCH, WIDE // PATCH), bool)
    valid[first : first + rows] = False
    lost = np.repeat(~valid[:, 0], PATCH)
    torn = known * ~lost[:, None, None]
    linear = torn.copy()
    fill_rows(linear, lost)
    mask = np.repeat(lost[:, None], WIDE, axis=1).astype(np.float32)
    samples = np.ascontiguousarray(linear.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
    added = network(samples, mask[None]) * mask
    corrected = np.rint((samples + added) * 255).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    return [
        psnr(pixels[lost], made[lost])
        for made in (linear, conceal(torn, valid, network), corrected)
    ]


if __name__ == "__main__":
    main()
