"""``python benchmarks/allocator.py``: a training step on a CPU with and without memory given back.

glibc gives large blocks back to the system as they are freed, and `keep_freed_memory` keeps them.
The setting holds for a whole process, so each figure is of a process of its own, in turns.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Annotated

import typer

CHILD = "child"


def step_seconds(batch: int, steps: int, kept: bool) -> float:
    """Seconds a step of the NQE classifier, quantized, forward and backward; the median of some.

    Args:
        batch: images a step, of noise: their content changes nothing.
        steps: to be measured, after two more.
        kept: whether freed memory is kept.
    """
    import torch
    from heqcodec.classifier.batches import smoothed_loss
    from heqcodec.classifier.nqe_classifier import NqeClassifier
    from heqcodec.training.allocator import keep_freed_memory

    if kept and not keep_freed_memory():
        raise SystemExit("this C library is not glibc: nothing can be set, and nothing compared.")
    torch.manual_seed(1)
    network = NqeClassifier().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.randint(256, (batch, 32, 32, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(10, (batch,))
    spent = []
    for _ in range(steps + 2):
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = smoothed_loss(network(pixels), labels, 0.0)
        loss.backward()
        spent.append(time.perf_counter() - begun)
    return median(spent[2:])


def main(
    batch: Annotated[int, typer.Option("--batch", min=1)] = 512,
    steps: Annotated[int, typer.Option("--steps", min=1)] = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1)] = 3,
) -> None:
    """Print milliseconds an image, both ways, and their ratio."""
    figures: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(repeats):
        for kept, found in figures.items():
            command = [sys.executable, __file__, CHILD, str(batch), str(steps), str(int(kept))]
            found.append(float(subprocess.run(command, check=True, stdout=-1, text=True).stdout))
    given, kept_one = (1000 * median(figures[kept]) / batch for kept in (False, True))
    typer.echo(f"given back {given:.2f} ms an image, kept {kept_one:.2f}: {given / kept_one:.2f} x")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        print(step_seconds(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"))
    else:
        typer.run(main)
