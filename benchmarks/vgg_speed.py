"""How fast is the C encoder of nqe-vgg, and how near the speed at which bits can be counted?

    python benchmarks/vgg_speed.py DIR [--model nqe-vgg] [--bits 256] [--images N] [--side N]
        [--repeats N] [--flags "-O3 -march=native"]

The exported C is built twice, with the fast kernel and with the scalar one. In each turn every
encoder encodes the middle of every image, from memory to memory, on one thread; its processor time
counts, the median over the turns. Files of all are compared with those of `heqcodec.encode`.

The limit: a sum takes a number of bits for each 64 inputs and each plane of what is counted, two of
binary and ternary weights, three of quinary ones (codec/nqe_vgg/bit_planes.py). That is so many
words a pixel, the first layer apart, which adds. How many words a second this processor counts, out
of its first cache and with nothing else to do, is measured, too. A kernel without an instruction
that counts bits puts nine words into four by adders first, and may be faster than this limit.
"""

from __future__ import annotations

import ctypes
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from c_speed import Encoder, Pixels, build, c_encoder, measure
from heqcodec.base.constants import PATCH
from heqcodec.nqe_vgg.layer import IntegerLayer

WORD = 64
COUNTED = {2: 2, 3: 2, 5: 3}
"""Numbers of bits for each 64 inputs, by the levels of a weight."""
STORED = {2: 1, 3: 2, 5: 3}
"""Bits of a weight: each with each bit of an input would be counted without such planes."""
SAMPLE_BITS, ACTIVATION_BITS = 8, 2
VECTORS = 64
"""That ``speed_count`` counts in a round."""


def words_a_pixel(layers: Sequence[IntegerLayer]) -> tuple[list[float], float]:
    """Words of 64 bits whose bits are counted for a pixel.

    Returns:
        Those of each layer, the first one left out; and how many all would take, the first one
        included, if each bit of a weight met each bit of an input.
    """
    side, made, plain = PATCH, [], 0.0
    for item in layers:
        layer, levels = item.layer, len(item.layer.levels)
        words = layer.kernel**2 * (layer.inputs // layer.groups) / WORD
        words *= layer.outputs * side**2 / PATCH**2
        made.append(words * COUNTED[levels])
        plain += words * STORED[levels] * (ACTIVATION_BITS if layer.top <= 3 else SAMPLE_BITS)
        side = side // 2 if layer.pool else side
    return made[1:], plain


def counting_speed(library: ctypes.CDLL, repeats: int) -> float:
    """Words a second whose bits this processor counts, the median of some turns."""
    library.speed_count.restype = ctypes.c_uint64
    rounds, seconds = 100_000, []
    for _ in range(5 * repeats):
        start = time.process_time()
        library.speed_count(ctypes.c_uint32(rounds))
        seconds.append(time.process_time() - start)
    return float(VECTORS * rounds * library.speed_words() / statistics.median(seconds))


def torch_encoder(layers: Sequence[IntegerLayer]) -> Encoder | None:
    """The convolutions by torch in float32; without class, straight path and file."""
    try:
        import torch
        from torch_vgg import TorchVgg
    except ImportError:
        return None
    from heqcodec.image.patches import split_patches

    torch.set_num_threads(1)
    network = TorchVgg(layers)
    return lambda pixels: network.codes(split_patches(pixels))


def python_encoder(model: str, bits: int, native: bool) -> Encoder:
    """`heqcodec.encode` with the C extension, or the same encoder by numpy without a file."""
    import heqcodec
    from heqcodec.image.patches import split_patches
    from heqcodec.models import registry
    from heqcodec.nqe_vgg.encoder import VggNqe

    if native:
        options: dict[str, Any] = {"model": model, "strip_metadata": True, "bpp": bits / PATCH**2}
        return lambda pixels: heqcodec.encode(pixels, **options)
    loaded: Any = registry.load_encoder(model)
    plain = VggNqe(loaded.packed(), native=False)
    return lambda pixels: plain.encode_patches(split_patches(pixels), bits)


def middle(pixels: Pixels, side: int) -> Pixels:
    """The middle of an image, at most so many pixels wide and high, in whole patches."""
    height, width = (min(side, size) // PATCH * PATCH for size in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def main(
    data: Annotated[Path, typer.Argument(help="Folder of RGB images.")],
    model: Annotated[str, typer.Option(help="Of the family of nqe-vgg.")] = "nqe-vgg",
    bits: Annotated[int, typer.Option(help="A patch.")] = 256,
    images: Annotated[int, typer.Option(min=1, help="How many, spread over the folder.")] = 24,
    side: Annotated[int, typer.Option(min=32, help="Of the middle that is encoded.")] = 256,
    repeats: Annotated[int, typer.Option(min=1, help="Turns that count.")] = 3,
    compiler: Annotated[str, typer.Option(help="Of C.")] = "cc",
    flags: Annotated[str, typer.Option(help="For the compiler.")] = "-O3 -march=native",
) -> None:
    """Print megapixels a second, ratios and the limit, of one run on one core."""
    from heqcodec.base.threads import limit_threads
    from heqcodec.eval.folder import image_files, read_pixels
    from heqcodec.export.c_project import export_c
    from heqcodec.models import registry

    limit_threads(1)
    files = image_files(data)
    files = files[:: max(1, len(files) // images)][:images]
    pixels = [middle(read_pixels(path), side) for path in files]
    loaded: Any = registry.load_encoder(model)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "c"
        export_c(model, folder)
        libraries = {
            kernel: build(folder, kernel, compiler, f"{flags} -DSPEED_VGG")
            for kernel in ("FAST", "SCALAR")
        }
        encoders = {
            f"{model} in C, {kernel.lower()}": c_encoder(library, bits)
            for kernel, library in libraries.items()
        }
        by_python = python_encoder(model, bits, native=True)
        for image in pixels[:2]:
            wanted = by_python(image)
            if any(encode(image) != wanted for encode in encoders.values()):
                typer.echo("the C encoder writes other bytes than heqcodec.encode", err=True)
                raise typer.Exit(1)
        encoders[f"heqcodec.encode ({loaded.kernel})"] = by_python
        encoders["numpy"] = python_encoder(model, bits, native=False)
        by_torch = torch_encoder(loaded.network.layers)
        if by_torch:
            encoders["torch, float32"] = by_torch
        speeds = measure(encoders, pixels, repeats)
        counting = counting_speed(libraries["FAST"], repeats)
        vector = libraries["FAST"].speed_words()
    typer.echo(
        f"{len(pixels)} images, {sum(image.size for image in pixels) / 3e6:.2f} Mpx, {model} at "
        f"{bits} bits a patch, {compiler} {flags}, processor time of one thread, median of "
        f"{repeats} turns; both kernels write the bytes of heqcodec.encode"
    )
    first = next(iter(speeds.values()))
    typer.echo(f"{'':54}{'Mpx/s':>8}{'fast is':>11}")
    for name, speed in speeds.items():
        typer.echo(f"{name:54}{speed:8.3f}{first / speed:8.1f} x")
    words, plain = words_a_pixel(loaded.network.layers)
    limit = counting / sum(words) / 1e6
    typer.echo(
        f"words of 64 bits to count a pixel: {sum(words):,.0f} "
        f"({', '.join(f'{each:,.0f}' for each in words)} by layer; {plain:,.0f} if each bit of a "
        "weight met each bit of an input)"
    )
    typer.echo(
        f"this processor counts {counting / 1e9:.2f} thousand millions a second, in vectors of "
        f"{vector}: at most {limit:.2f} Mpx/s; the fast kernel reaches {first / limit:.0%}"
    )


if __name__ == "__main__":
    typer.run(main)
