"""Decode part of a file: ``python examples/decode_region.py out.heq part.png X Y WIDTH HEIGHT``.

Only the strips of the region are read and verified, so a crop of a large image is quick, and a
server can take them from storage by ranges.
"""

from __future__ import annotations

import sys

import heqcodec
from PIL import Image


def main(file: str, out: str, *numbers: str) -> None:
    x, y, width, height = map(int, numbers)
    pixels = heqcodec.decode(file, region=(x, y, width, height))
    # One channel is gray, four are colours and alpha.
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out)
    print(f"{out}: {pixels.shape[1]}x{pixels.shape[0]} of {heqcodec.info(file)['width']} columns")


if __name__ == "__main__":
    main(*sys.argv[1:])
