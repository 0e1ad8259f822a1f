"""``python docs/make_gallery.py``: pictures of docs/gallery.md, from scikit-image's astronaut."""

from __future__ import annotations

from pathlib import Path

import heqcodec
import numpy as np
from PIL import Image, ImageDraw
from skimage.data import astronaut

FOLDER = Path(__file__).parent / "images"
CROP = (slice(40, 168), slice(150, 278))
QUALITIES = (8, 25, 45, 65)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def labelled(pixels: np.ndarray, text: str) -> Image.Image:
    picture = Image.new("RGB", (pixels.shape[1], pixels.shape[0] + 16), "white")
    picture.paste(Image.fromarray(pixels), (0, 16))
    ImageDraw.Draw(picture).text((2, 2), text, fill="black")
    return picture


def row(pictures: list[Image.Image]) -> Image.Image:
    width = sum(picture.width for picture in pictures) + 4 * (len(pictures) - 1)
    whole = Image.new("RGB", (width, pictures[0].height), "white")
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + 4
    return whole


def main() -> None:
    original = astronaut()
    pictures = [labelled(original[CROP], "original")]
    for quality in QUALITIES:
        data = heqcodec.encode(original, quality=quality)
        pixels = heqcodec.decode(data)
        bpp = 8 * len(data) / (original.shape[0] * original.shape[1])
        pictures.append(labelled(pixels[CROP], f"{bpp:.2f} bpp, {psnr(pixels, original):.1f} dB"))
    row(pictures).save(FOLDER / "qualities.webp", lossless=True, method=6)

    data = bytearray(heqcodec.encode(original, quality=45, strip_rows=1))
    data[len(data) // 3] ^= 0x10
    found = heqcodec.decode_partial(bytes(data))
    crop = found.pixels[96:288, 96:352]
    strips = ", ".join(map(str, found.damaged_strips))
    labelled(crop, f"strip {strips} of 16 is damaged").save(
        FOLDER / "damaged.webp", lossless=True, method=6
    )


if __name__ == "__main__":
    main()
