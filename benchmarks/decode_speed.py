"""Seconds of decoding a photograph, in turns with CompressAI's factorized decoder.

    pip install ".[eval,compressai]"
    python benchmarks/decode_speed.py PHOTOGRAPH --out eval/results/complexity/decode-speed.json

Each turn decodes with every decoder once, one after the other, so that whatever else the machine
does meets all of them. CompressAI's network is the architecture `bmshj2018_factorized` at quality 3
with the weights that it begins with: they decide how many bits a symbol takes, not how many symbols
and products there are.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import torch
import typer
from heqcodec.base.arguments import DecoderName
from heqcodec.base.threads import thread_count
from heqcodec.image.images import load_image
from numpy.typing import NDArray

PEER = "bmshj2018-factorized"
DECODERS: tuple[DecoderName, ...] = ("plain", "fast", "strong", "best-2", "best")


def peer(pixels: NDArray[np.uint8]) -> Callable[[], Any]:
    """Decoding of CompressAI's strings of an image, uint8 (H, W, 3)."""
    from compressai.zoo import bmshj2018_factorized

    network = bmshj2018_factorized(quality=3, pretrained=False).eval()
    network.update()
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        coded = network.compress(image)

    def decode() -> Any:
        with torch.no_grad():
            return network.decompress(coded["strings"], coded["shape"])

    return decode


def main(
    photograph: Path,
    turns: Annotated[int, typer.Option(help="for each decoder")] = 20,
    runs: Annotated[int, typer.Option(help="of so many turns")] = 3,
    out: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Measure, and print JSON."""
    torch.set_num_threads(thread_count())
    torch.manual_seed(1)
    pixels = load_image(photograph).pixels
    file = heqcodec.encode(pixels, quality=45)
    patch_files = {
        name: heqcodec.encode(pixels, model=name, mode="patch", bpp=0.25)
        for name in ("nqe-t", "nqe-vgg")
    }
    decoders: dict[str, Callable[[], Any]] = {PEER: peer(pixels)}
    for decoder in DECODERS:
        decoders[f"nqe-r {decoder}"] = partial(heqcodec.decode, file, decoder=decoder)
    for name, data in patch_files.items():
        decoders[name] = partial(heqcodec.decode, data)
    medians: dict[str, list[float]] = {name: [] for name in decoders}
    for decode in decoders.values():
        decode()
    for _ in range(runs):
        seconds: dict[str, list[float]] = {name: [] for name in decoders}
        for _ in range(turns):
            for name, decode in decoders.items():
                start = time.perf_counter()
                decode()
                seconds[name].append(time.perf_counter() - start)
        for name, values in seconds.items():
            medians[name].append(round(statistics.median(values), 4))
    result = {
        "image": photograph.name,
        "threads": thread_count(),
        "versions": {name: version(name) for name in ("heqcodec", "compressai", "torch")},
        "turns": turns,
        "median seconds, by run": medians,
        "times the peer's speed": {
            name: round(statistics.median(medians[PEER]) / statistics.median(values), 2)
            for name, values in medians.items()
        },
    }
    text = json.dumps(result, indent=1)
    print(text)
    if out is not None:
        out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
