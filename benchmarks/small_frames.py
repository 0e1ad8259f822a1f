"""Is a network quicker where it runs once over several small images?

    python benchmarks/small_frames.py PHOTOGRAPH --out eval/results/batch/small-frames.json

One thread. ``onnx`` runs one frame a call, so its time a patch in a frame of 512 x 512 is what
calls for several small frames could come to at best; ``torch`` stacks 16 of them. ``decode`` is the
whole of `heqcodec.decode`. Times are of the processor, the shortest of several.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import typer
from heqcodec.base.threads import limit_threads
from heqcodec.file.rate_windows import read_window
from heqcodec.image.images import load_image
from heqcodec.models import registry
from heqcodec.purenet.features import BaseFeatures
from heqcodec.purenet.rate_decoder import PurenetRateDecoder, step_weights

SIDES = (64, 96, 128, 192, 256, 512)
TOGETHER = 16


def milliseconds(work: Callable[[], Any], rounds: int) -> float:
    """Of the shortest of several runs."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def loaded(decoder: str, backend: str) -> PurenetRateDecoder:
    """The decoder of nqe-r."""
    made = registry.load_rate_decoder("nqe-r", "cpu", decoder, backend)
    assert isinstance(made, PurenetRateDecoder)
    return made


def measure(data: bytes, decoder: str, rounds: int) -> dict[str, float]:
    """One row: milliseconds an image."""
    from heqcodec.purenet.torch_frames import RateFrame, TorchFrames

    onnx, by_torch = loaded(decoder, "onnx"), loaded(decoder, "torch")
    window = read_window(data, None, lambda name: onnx)
    assert window is not None and onnx.network is not None
    frame = RateFrame(window.levels, window.transform_sizes, window.steps)
    base, hints = onnx.features(*frame, np.ones(frame.transform_sizes.shape, bool))
    features = BaseFeatures(base, hints[: onnx.network.hints])
    weights, network, frames = step_weights(frame.steps[:1]), onnx.network, TorchFrames(by_torch)
    row = {
        "decode by onnx": milliseconds(lambda: heqcodec.decode(data, decoder=decoder), rounds),
        "network by onnx": milliseconds(lambda: network.frame(features, weights), rounds),
        "levels to pixels by torch, one": milliseconds(lambda: frames.decode([frame]), rounds),
        f"levels to pixels by torch, {TOGETHER}": milliseconds(
            lambda: frames.decode([frame] * TOGETHER), rounds
        ) / TOGETHER,
        "network by onnx, a patch": 0.0,
    }  # fmt: skip
    row["network by onnx, a patch"] = row["network by onnx"] / frame.transform_sizes.size
    return {name: round(value, 3) for name, value in row.items()}


def main(
    photograph: Path,
    rounds: Annotated[int, typer.Option()] = 7,
    out: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Measure, and print JSON."""
    limit_threads(1)
    pixels = load_image(photograph).pixels
    result: dict[str, Any] = {"threads": 1, "milliseconds": {}}
    for decoder in ("fast", "strong"):
        for side in SIDES:
            data = heqcodec.encode(pixels[:side, :side].copy(), quality=40)
            result["milliseconds"][f"{decoder}, {side}"] = measure(data, decoder, rounds)
    text = json.dumps(result, indent=1)
    print(text)
    if out is not None:
        out.write_text(f"{text}\n")


if __name__ == "__main__":
    typer.run(main)
