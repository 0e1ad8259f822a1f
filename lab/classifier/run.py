"""One recipe from images to ``result.json``, in folders of its own."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_json
from heqcodec.base.version import __version__
from heqcodec.lab.training.checkpoint import FILE
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.run_start import begin_run, claim_source
from heqcodec.quantizers.diagnostics import level_statistics, quantized_layers
from rich.progress import Progress
from torch import nn

from .batches import DeviceImages
from .blocks import weighted_convolutions
from .images import LabelledImages
from .networks import save_classifier, save_latent_state
from .recipe import ClassifierRecipe
from .training import NET, ClassifierTask

FINAL = "final.safetensors"
RESULT = "result.json"
WEIGHTS = "classifier.safetensors"


def prepare_device(device: torch.device) -> None:
    """Let a graphics card choose its quickest convolutions, and compute in TF32 otherwise.

    TF32 keeps integers below 2^11 as they are, and levels, activations and centred pixels are.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True


def finished(recipe: ClassifierRecipe, log_dir: Path) -> dict[str, Any] | None:
    """The result of a run of just this recipe, or None if there is none."""
    try:
        result: dict[str, Any] = json.loads((log_dir / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("recipe") == json.loads(json.dumps(asdict(recipe))) else None


def run_recipe(
    recipe: ClassifierRecipe,
    images: LabelledImages | DeviceImages,
    device: torch.device,
    log_dir: Path,
    state_dir: Path,
    deadline: float = math.inf,
    report: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any] | None:
    """Train by a recipe, or go on with it, and test the result.

    Args:
        recipe: see there.
        images: the data set, or what is on the device of it already.
        device: where.
        log_dir: of this run, for logs, ``result.json`` and the weights to keep.
        state_dir: of this run, for checkpoints; those of other runs, which ``start`` names, stand
            beside it.
        deadline: when to stop, in the units of ``time.monotonic``.
        report: gets each epoch's row.

    Returns:
        What ``result.json`` holds, or None if time was over first.

    Raises:
        HeqError: something does not fit, ``start`` is not finished, or the training diverged.
    """
    if done := finished(recipe, log_dir):
        return done
    prepare_device(device)
    if isinstance(images, LabelledImages):
        images = DeviceImages(images, device, recipe.padding)
    start = state_dir.parent / recipe.start / FINAL if recipe.start else None
    if start is not None and not start.exists():
        raise HeqError(
            f"{recipe.name} starts from {recipe.start}, which is not finished; run that first."
        )
    resume = (state_dir / FILE).exists()
    facts = begin_run(state_dir, recipe.name, resume)
    claim_source(state_dir, facts, {"images": images.sha256})
    task = ClassifierTask(recipe, images, start, report)
    quiet = Progress(disable=True)
    loop = TrainingLoop(task, device, state_dir, facts, quiet, log_dir=log_dir)
    if resume:
        loop.load()
    loop.go(None if math.isinf(deadline) else (deadline - time.monotonic()) / 60)
    if loop.step < task.settings.steps:
        return None
    tested = loop.measured[NET]
    state_dir.mkdir(parents=True, exist_ok=True)
    save_latent_state(tested, state_dir / FINAL)
    result = _result(loop, task)
    log_dir.mkdir(parents=True, exist_ok=True)
    if recipe.keep_weights:
        weights = log_dir / WEIGHTS
        save_classifier(tested, recipe, images.classes, images.side, weights)
        result["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    write_json(log_dir / RESULT, result, indent=2)
    (state_dir / FILE).unlink(missing_ok=True)
    return result


def _result(loop: TrainingLoop, task: ClassifierTask) -> dict[str, Any]:
    begun, tested = time.monotonic(), loop.measured[NET]
    loss, accuracy = task.test(tested, exact=True)
    _, quick = task.test(tested)
    recipe, images, device = task.recipe, task.images, task.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "name": recipe.name,
        "accuracy": round(100 * accuracy, 3),
        "accuracy_in_training_precision": round(100 * quick, 3),
        "test_loss": round(loss, 5),
        "epochs": recipe.all_epochs,
        "minutes": round(loop.minutes, 3),
        "seconds_testing": round(time.monotonic() - begun, 2),
        "protocol": images.protocol,
        "test_images": len(images.test_labels),
        "images_sha256": images.sha256,
        "seed": recipe.seed,
        **weight_figures(tested),
        **({"shifts": task.shifts} if task.shifts else {}),
        "levels": level_figures(task.network),
        "recipe": asdict(recipe),
        "command": " ".join(Path(word).name for word in sys.argv),
        "heqcodec": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": name,
    }


def weight_figures(network: nn.Module) -> dict[str, int]:
    """Numbers of all parameters and of convolution weights, and the bits of the latter.

    Weights in full precision count 32 bits.
    """
    bits = weights = 0
    for _, conv in weighted_convolutions(network):
        each = 32 if conv.quantizer is None else int(getattr(conv.quantizer, "bits", 32))
        bits += each * conv.latent.numel()
        weights += conv.latent.numel()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "conv_weights": weights, "conv_weight_bits": bits}


def level_figures(network: nn.Module) -> dict[str, dict[str, Any]]:
    """Use of the levels at the end, layer by layer; see `level_statistics`."""
    figures = {}
    for name, (quantizer, latent) in quantized_layers(network).items():
        statistics = level_statistics(quantizer, latent)
        kept = ("occupancy", "entropy", "entropy_ratio", "zeros", "delta_sigma")
        figures[name] = {key: statistics[key] for key in kept}
        if not math.isfinite(statistics["delta_sigma"]):
            del figures[name]["delta_sigma"]
    return figures
