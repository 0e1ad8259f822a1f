"""The comparison: a float baseline a task, and from it every quantizer for equal minutes."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from heqcodec.base.errors import HeqError
from heqcodec.nqe_vgg.layout import VggLayer
from heqcodec.quantizers import make_quantizer
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.diagnostics import level_statistics
from heqcodec.quantizers.registry import REGISTRY
from torch import nn

from .candidates import FLOAT, Candidate
from .training import TimedTask, train_for

FLOAT_BITS = 32


def compare(
    tasks: Sequence[TimedTask],
    candidates: Sequence[Candidate],
    minutes: float,
    float_minutes: float,
    seed: int,
    report: Callable[[str], None],
) -> Iterator[list[dict[str, Any]]]:
    """Train and measure; every quantizer begins from the same full-precision weights.

    HEQ (arXiv 2501.04517) starts from a pre-trained full-precision model, so all of them do here.
    The full-precision row goes on from there too, for the minutes that quantizers have.

    Args:
        tasks: what for.
        candidates: quantizers, each of which quantizes all layers of the encoder.
        minutes: of training of each quantizer for each task.
        float_minutes: of the float baseline before.
        seed: of everything.
        report: gets a line as each training ends.

    Yields:
        All rows so far, as each is complete: ``label``, ``name``, ``options``, ``bits``,
        ``source``, and of each task by name ``figure``, ``steps``, ``seconds`` and ``layers``
        (name, levels, counts, entropy over its maximum).

    Raises:
        HeqError: a training diverged, or a quantizer has other bits than its group.
    """
    baselines: dict[str, nn.Module] = {}
    for task in tasks:
        baseline = task.build()
        steps = train_for(task, baseline, 60 * float_minutes, seed)
        report(
            f"{task.name}, {FLOAT}: {task.measure(baseline):.2f} {task.unit} after {steps} steps."
        )
        baselines[task.name] = baseline
    rows: list[dict[str, Any]] = []
    for candidate in (None, *candidates):
        row = _described(candidate)
        for task in tasks:
            network = copy.deepcopy(baselines[task.name])
            if candidate is not None:
                encoder = task.encoder(network)
                encoder.quantize(partial(_made, candidate))
                # Statistics of sums of other weights would mislead the first steps.
                task.calibrate(network)
            begun = time.monotonic()
            steps = train_for(task, network, 60 * minutes, seed + 1)
            seconds = time.monotonic() - begun
            figure = task.measure(network)
            row[task.name] = {
                "figure": figure,
                "steps": steps,
                "seconds": round(seconds, 1),
                "layers": layer_use(task, network),
            }
            report(f"{task.name}, {row['label']}: {figure:.2f} {task.unit} after {steps} steps.")
        rows.append(row)
        yield rows


def _described(candidate: Candidate | None) -> dict[str, Any]:
    if candidate is None:
        return {"label": FLOAT, "name": None, "options": {}, "bits": FLOAT_BITS, "source": None}
    return {
        "label": candidate.label,
        "name": candidate.name,
        "options": dict(candidate.options),
        "bits": candidate.bits,
        "source": REGISTRY[candidate.name].source,
    }


def _made(candidate: Candidate, layer: VggLayer) -> WeightQuantizer:
    quantizer = make_quantizer(candidate.name, **candidate.options)
    assert isinstance(quantizer, WeightQuantizer)
    if quantizer.bits != candidate.bits:
        raise HeqError(
            f"{candidate.label} stores {quantizer.bits} bits a weight of {layer.name}, and its "
            f"group has {candidate.bits}."
        )
    return quantizer


@torch.no_grad()
def layer_use(task: TimedTask, network: nn.Module) -> list[dict[str, Any]]:
    """How the weights of each quantized layer are spread over its levels.

    Returns:
        A dict a layer: ``layer``, ``levels``, ``counts`` (weights at each level) and
        ``entropy_ratio`` (entropy over log2 of the number of levels).
    """
    layers = []
    for layer, block in task.encoder(network).reduced_blocks():
        quantizer = block.quantizer
        if quantizer is None:
            continue
        weight = block.latent.detach()
        statistics = level_statistics(quantizer, weight)
        layers.append(
            {
                "layer": layer.name,
                "levels": [float(level) for level in quantizer.levels],
                "counts": [round(p * weight.numel()) for p in statistics["occupancy"]],
                "entropy_ratio": round(statistics["entropy_ratio"], 4),
            }
        )
    return layers
