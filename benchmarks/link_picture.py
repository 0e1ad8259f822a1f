"""A photograph over a link that loses a tenth of the packets, by heqcodec, SSDV and JPEG.

    python benchmarks/link_picture.py KODAK_FOLDER --ssdv PROGRAM --out docs/images/link.webp

Kodak 13 at 640 x 480, packets of 222 bytes, independent losses, the first draw of seed 0 for each.
heqcodec at quality 25; SSDV at the best of its qualities that takes at most 1.25 times as many
packets; JPEG with a restart marker after each row of blocks, at the best quality that takes at most
as many, its first packets, with the tables, never lost. Shown at half the size; PSNR is of the
whole.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec.eval.link import arrivals
from heqcodec.eval.metrics import psnr
from heqcodec.packets import PacketAssembler, packetize
from link import SIZE, photograph, program, ssdv_packets, ssdv_picture
from PIL import Image, ImageDraw, ImageFile

NUMBER, QUALITY, LOSS, SEED = 13, 25, 10, 0
GAP, TITLE = 6, 18
HEAD_PACKETS = 3
"""Of the JPEG, which hold its tables."""


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ssdv", type=program, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    pixels = photograph(arguments.folder, NUMBER)
    own = packetize(heqcodec.encode(pixels, quality=QUALITY), SIZE, interleaved=True)
    levels = {level: ssdv_packets(arguments.ssdv, pixels, level) for level in range(8)}
    other = max((made for made in levels.values() if len(made) <= 1.25 * len(own)), key=len)
    jpeg = jpeg_packets(pixels, len(own))
    assembler = PacketAssembler()
    assembler.feed_all(kept(own))
    shown = [
        ("heqcodec", own, assembler.images()[0].picture()),
        ("SSDV", other, ssdv_picture(arguments.ssdv, kept(other))),
        ("JPEG", jpeg, jpeg_picture([*jpeg[:HEAD_PACKETS], *kept(jpeg[HEAD_PACKETS:])])),
    ]
    panels = [
        panel(f"{name}, {len(packets)} packets: {psnr(pixels, picture):.1f} dB", picture)
        for name, packets, picture in shown
    ]
    wide = sum(made.width for made in panels) + GAP * (len(panels) - 1)
    whole = Image.new("RGB", (wide, panels[0].height), "white")
    for place, made in enumerate(panels):
        whole.paste(made, (place * (made.width + GAP), 0))
    whole.save(arguments.out, quality=80, method=6)


def kept(packets: list[bytes]) -> list[bytes]:
    """Those that arrive, in the order of sending."""
    generator = np.random.default_rng([SEED, LOSS * 1000])
    return [packets[index] for index in sorted(arrivals(len(packets), LOSS / 100, 1, generator))]


def jpeg_packets(pixels: np.ndarray, most: int) -> list[bytes]:
    """A JPEG file of at most so many packets, cut into them."""
    for quality in range(95, 0, -1):
        target = io.BytesIO()
        Image.fromarray(pixels).save(
            target, "JPEG", quality=quality, optimize=True, restart_marker_rows=1
        )
        data = target.getvalue()
        if len(data) <= most * SIZE:
            break
    return [data[start : start + SIZE] for start in range(0, len(data), SIZE)]


def jpeg_picture(packets: list[bytes]) -> np.ndarray:
    """What libjpeg makes of what arrived."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    with Image.open(io.BytesIO(b"".join(packets))) as image:
        return np.asarray(image.convert("RGB"))


def panel(title: str, picture: np.ndarray) -> Image.Image:
    """A picture at half the size under a line of text."""
    half = Image.fromarray(picture).resize((320, 240), Image.Resampling.LANCZOS)
    made = Image.new("RGB", (half.width, half.height + TITLE), "white")
    made.paste(half, (0, TITLE))
    ImageDraw.Draw(made).text((2, 2), title, fill="black", font_size=13)
    return made


if __name__ == "__main__":
    main()
