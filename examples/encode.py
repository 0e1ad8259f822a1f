"""Encode at a quality, then to a size: ``python examples/encode.py photo.jpg out.heq``.

Prints bytes, bits per pixel and PSNR of both files; the second is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import heqcodec
import numpy as np
from PIL import Image


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / error))


def main(photo: str, out: str) -> None:
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    at_quality = heqcodec.encode(pixels, quality=40)
    to_size = heqcodec.encode(pixels, target_size=len(at_quality) // 2)
    for name, data in (("quality 40", at_quality), ("half that size", to_size)):
        bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        decoded = heqcodec.decode(data)
        print(f"{name}: {len(data)} bytes, {bpp:.3f} bpp, {psnr(decoded, pixels):.2f} dB")
    Path(out).write_bytes(to_size)


if __name__ == "__main__":
    main(*sys.argv[1:])
