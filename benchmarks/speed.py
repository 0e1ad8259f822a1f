"""How fast are encode and decode, in megapixels per second and compared with Pillow's JPEG?

    python benchmarks/speed.py IMAGE [--model M ...] [--bpp R] [--threads N] [--repeats N]

JPEG (quality 75, Pillow's default) runs in turns with the models, so that a busy machine slows
them alike: the ratios travel better between machines than the megapixels do.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

Codec = tuple[Callable[[np.ndarray], bytes], Callable[[bytes], object]]


def jpeg_encode(pixels: np.ndarray) -> bytes:
    """Encode uint8 (H, W, 1) or (H, W, 3) as JPEG, in memory."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def jpeg_decode(data: bytes) -> np.ndarray:
    """Decode JPEG bytes to an array."""
    return np.asarray(Image.open(io.BytesIO(data)))


def heq_codec(model: str, bpp: float) -> Codec:
    """Return encode and decode of one model at one rate."""
    import heqcodec

    return (lambda pixels: heqcodec.encode(pixels, bpp=bpp, mode="patch", model=model)), (
        lambda data: heqcodec.decode(data)
    )


def measure(
    codecs: dict[str, Codec], pixels: np.ndarray, repeats: int
) -> dict[str, tuple[float, float]]:
    """Return for each codec the megapixels per second of encoding and of decoding.

    All codecs take turns, ``repeats`` times after one turn that does not count; the fastest turn
    counts, which is the one that the rest of the machine disturbed least.
    """
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in codecs}
    for turn in range(repeats + 1):
        for name, (encode, decode) in codecs.items():
            start = time.perf_counter()
            data = encode(pixels)
            encoded = time.perf_counter()
            decode(data)
            done = time.perf_counter()
            if turn:
                seconds[name].append((encoded - start, done - encoded))
    return {
        name: (megapixels / min(e for e, _ in turns), megapixels / min(d for _, d in turns))
        for name, turns in seconds.items()
    }


def main(
    image: Annotated[Path, typer.Argument(help="Image to encode and decode.")],
    model: Annotated[list[str] | None, typer.Option(help="Model; all when left out.")] = None,
    bpp: Annotated[float, typer.Option(help="Rate in bits per pixel.")] = 0.25,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of all libraries.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns that count.")] = 5,
) -> None:
    """Print megapixels per second and the ratio to JPEG in the same run."""
    from heqcodec.base.threads import limit_threads, thread_count
    from heqcodec.eval.folder import read_pixels
    from heqcodec.models import registry
    from rich.console import Console
    from rich.table import Table

    if threads is not None:
        limit_threads(threads)
    pixels = read_pixels(image)
    codecs: dict[str, Codec] = {"JPEG": (jpeg_encode, jpeg_decode)}
    codecs |= {name: heq_codec(name, bpp) for name in model or registry.model_names("patch")}
    speeds = measure(codecs, pixels, repeats)

    size = f"{pixels.shape[1]}x{pixels.shape[0]}"
    cores = f"{thread_count()} CPU threads"
    table = Table(title=f"{image.name}, {size}, {bpp:g} bpp, {cores}, best of {repeats}")
    table.add_column("codec")
    for heading in ("encode Mpx/s", "of JPEG", "decode Mpx/s", "of JPEG"):
        table.add_column(heading, justify="right")
    jpeg = speeds["JPEG"]
    for name, (encode, decode) in speeds.items():
        table.add_row(
            name,
            f"{encode:.3g}",
            f"{encode / jpeg[0]:.2g}",
            f"{decode:.3g}",
            f"{decode / jpeg[1]:.2g}",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
