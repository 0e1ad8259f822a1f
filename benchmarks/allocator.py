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


def step_cost(batch: int, steps: int, kept: bool) -> tuple[float, float]:
    """Seconds and page faults a step of the NQE classifier, forward and backward; medians.

    Args:
        batch: images a step, of noise: their content changes nothing.
        steps: to be measured, after two more.
        kept: whether freed memory is kept.
    """
    import resource

    import torch
    from heqcodec.lab.classifier.batches import smoothed_loss
    from heqcodec.lab.classifier.nqe_classifier import NqeClassifier
    from heqcodec.lab.training.allocator import keep_freed_memory

    if kept and not keep_freed_memory():
        raise SystemExit("this C library is not glibc: nothing can be set, and nothing compared.")
    torch.manual_seed(1)
    network = NqeClassifier().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.randint(256, (batch, 32, 32, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(10, (batch,))
    spent, faults = [], []
    for _ in range(steps + 2):
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with torch.autocast("cpu", torch.bfloat16):
            loss = smoothed_loss(network(pixels), labels, 0.0)
        loss.backward()
        spent.append(time.perf_counter() - begun)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return median(spent[2:]), median(faults[2:])


def main(
    batch: Annotated[int, typer.Option("--batch", min=1)] = 512,
    steps: Annotated[int, typer.Option("--steps", min=1)] = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1)] = 3,
) -> None:
    """Print milliseconds an image and page faults a step, both ways, and the ratio of the times."""
    figures: dict[bool, list[list[float]]] = {False: [], True: []}
    for _ in range(repeats):
        for kept, found in figures.items():
            command = [sys.executable, __file__, CHILD, str(batch), str(steps), str(int(kept))]
            output = subprocess.run(command, check=True, stdout=-1, text=True).stdout
            found.append([float(figure) for figure in output.split()])
    medians = {kept: [*map(median, zip(*found, strict=True))] for kept, found in figures.items()}
    given, kept_one = (1000 * medians[kept][0] / batch for kept in (False, True))
    faults = [medians[kept][1] for kept in (False, True)]
    typer.echo(
        f"given back {given:.2f} ms an image and {faults[0]:,.0f} page faults a step, kept "
        f"{kept_one:.2f} and {faults[1]:,.0f}: {given / kept_one:.2f} x"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        print(*step_cost(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"))
    else:
        typer.run(main)
