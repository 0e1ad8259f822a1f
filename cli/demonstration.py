"""``heqcodec demo``: one real photograph, coded and compared with a JPEG of the same size."""

from __future__ import annotations

import io
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from heqcodec.base.errors import HeqError
from heqcodec.cli.encoding import check_options

from .common.names import shown
from .common.options import Force, Model, Quiet, Verbose
from .common.sources import check_image_name
from .common.terminal import check_output, reports_errors, say, tell

if TYPE_CHECKING:
    import numpy as np

LABEL_HEIGHT = 28
"""Pixels of the line of text over each picture."""
GAP = 8
"""White pixels between the pictures."""


@reports_errors
def demo(
    image: Annotated[
        str | None,
        typer.Argument(metavar="[IMAGE]", help="A photograph; one of NASA's if left out."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The side-by-side picture.")
    ] = Path("heqcodec-demo.png"),
    bpp: Annotated[float, typer.Option("--bpp", metavar="R", help="Bits per pixel.")] = 0.25,
    model: Model = "default",
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Encode a photograph, decode it, and compare it with a JPEG of about the same size."""
    from heqcodec import api
    from heqcodec.eval.metrics import ms_ssim, psnr
    from heqcodec.file.options import EncodeOptions
    from heqcodec.image.images import load_image, save_image
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    check_options(EncodeOptions(bpp=bpp, model=model))
    check_image_name(str(out))
    check_output(image or "", str(out), force)
    loaded = load_image(_sample_photograph() if image is None else image)
    for note in loaded.notes if not quiet else ():
        say(f"{image}: {note}")
    original = loaded.pixels
    height, width = original.shape[:2]

    # Colours alone on both sides: JPEG has no alpha, and metadata would count for nothing here.
    start = time.perf_counter()
    data = api.encode(original, bpp=bpp, model=model)
    encoded_at = time.perf_counter()
    decoded = api.decode(data)
    decoded_at = time.perf_counter()
    jpeg, quality = jpeg_of_size(original, len(data))
    from_jpeg = load_image(jpeg).pixels

    name = shown(image) if image else "Eileen Collins, astronaut (NASA)"
    table = Table(title=Text(f"{name}, {width}x{height}"))
    table.add_column("file")
    for heading in ("bytes", "bpp", "PSNR dB", "MS-SSIM"):
        table.add_column(heading, justify="right")
    labels = ["original"]
    for name, file, pixels in (
        ("heqcodec", data, decoded),
        (f"JPEG quality {quality}", jpeg, from_jpeg),
    ):
        rate = 8 * len(file) / (width * height)
        decibels = psnr(original, pixels)
        try:
            similarity = f"{ms_ssim(original, pixels):.4f}"
        except HeqError as error:  # smaller than its five scales need
            similarity = "-"
            if not quiet:
                say(str(error))
        table.add_row(name, f"{len(file):,}", f"{rate:.4f}", f"{decibels:.2f}", similarity)
        labels.append(f"{name}: {rate:.3f} bpp, {decibels:.2f} dB")
    save_image(side_by_side([original, decoded, from_jpeg], labels), out)

    if quiet:
        return
    Console().print(table)
    if quality == 1 and len(jpeg) > len(data):
        tell(
            f"JPEG has no smaller file: its lowest quality takes {len(jpeg):,} bytes, "
            f"heqcodec {len(data):,}."
        )
    tell(
        f"Encoded in {encoded_at - start:.2f} s, decoded in {decoded_at - encoded_at:.2f} s "
        "(models loading included)."
    )
    tell(f"Wrote {out}: original, heqcodec and JPEG side by side.")


def _sample_photograph() -> bytes:
    """The file of a photograph in the public domain, see ``NOTICE``."""
    return (files("heqcodec.cli") / "astronaut.jpg").read_bytes()


def jpeg_of_size(pixels: np.ndarray, size: int) -> tuple[bytes, int]:
    """The smallest baseline JPEG (4:2:0, optimized Huffman tables) of at least ``size`` bytes.

    Its size grows with the quality, so a bisection finds it.

    Args:
        pixels: uint8 (H, W, 1) or (H, W, 3).
        size: bytes to reach.

    Returns:
        The file and its Pillow quality, 1 to 95; the file of quality 1 may be larger than asked
        by any amount, and that of quality 95 may be smaller.
    """
    low, high = 1, 95
    while low < high:
        middle = (low + high) // 2
        if len(_jpeg(pixels, middle)) < size:
            low = middle + 1
        else:
            high = middle
    return _jpeg(pixels, low), low


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling="4:2:0")
    return buffer.getvalue()


def side_by_side(pictures: list[np.ndarray], labels: list[str]) -> np.ndarray:
    """Pictures of one size in a row, each under its label.

    Args:
        pictures: uint8 (H, W, 1) or (H, W, 3).
        labels: one line of text each.

    Returns:
        uint8 (H + label, W', 3) on white.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    height, width = pictures[0].shape[:2]
    step = width + GAP
    sheet = Image.new("RGB", (step * len(pictures) - GAP, height + LABEL_HEIGHT), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=10 if width < 320 else 15)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        colours = np.broadcast_to(picture, (height, width, 3))
        sheet.paste(Image.fromarray(np.ascontiguousarray(colours)), (index * step, LABEL_HEIGHT))
        draw.text((index * step + 4, LABEL_HEIGHT // 4), label, fill="black", font=font)
    return np.asarray(sheet)
