"""How well the quantized layers use their levels: figures for the training log, and a plot."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .base import WeightQuantizer

COLLAPSE = 0.5


def level_statistics(quantizer: WeightQuantizer, weight: Tensor) -> dict[str, Any]:
    """Occupancy of the levels by one layer's latent weights.

    Args:
        quantizer: the layer's quantizer, with its present step.
        weight: latent weights, any shape.

    Returns:
        A dict: ``occupancy`` (list of fractions, one a level, ascending, sum 1), ``entropy``
        (bits a weight), ``entropy_ratio`` (over log2 of the number of levels, 1 is ideal),
        ``sigma`` (standard deviation of the latent weights), ``delta`` (step, NaN for binary),
        ``delta_sigma`` (their ratio, the stability indicator that we log in place of the paper's
        tau, whose definition was not available), ``zeros`` (fraction at level 0) and ``collapsed``
        (more than half of them: HEQ's sign of a step that is too large).
    """
    with torch.no_grad():
        levels = torch.tensor(quantizer.levels, device=weight.device, dtype=weight.dtype)
        values = quantizer.codes(weight.detach()).flatten()
        counts = (values[None, :] == levels[:, None]).sum(dim=1)
        occupancy = (counts.double() / values.numel()).tolist()
        sigma = float(weight.detach().double().std(correction=0))
    entropy = -sum(p * math.log2(p) for p in occupancy if p > 0)
    zeros = dict(zip(quantizer.levels, occupancy, strict=True)).get(0, 0.0)
    delta = quantizer.delta()
    return {
        "occupancy": occupancy,
        "entropy": entropy,
        "entropy_ratio": entropy / math.log2(len(quantizer.levels)),
        "sigma": sigma,
        "delta": delta,
        "delta_sigma": delta / sigma if sigma > 0 else math.nan,
        "zeros": zeros,
        "collapsed": zeros > COLLAPSE,
    }


def quantized_layers(model: nn.Module) -> dict[str, tuple[WeightQuantizer, Tensor]]:
    """All layers of the model whose weight has a WeightQuantizer: name -> (quantizer, latent)."""
    found = {}
    for name, module in model.named_modules():
        if not parametrize.is_parametrized(module, "weight"):
            continue
        lists = cast(nn.ModuleDict, module.parametrizations)
        chain = cast(parametrize.ParametrizationList, lists["weight"])
        if isinstance(chain[0], WeightQuantizer):
            found[name] = (chain[0], cast(Tensor, chain.original))
    return found


def layer_report(model: nn.Module, step: int) -> list[dict[str, Any]]:
    """One flat row for each quantized layer, for a CSV log.

    Args:
        model: any module; layers are found by their parametrizations.
        step: training step, copied into the rows.

    Returns:
        Rows with the keys ``step``, ``layer``, those of ``level_statistics``, and the occupancy
        as one string of fractions separated by spaces.
    """
    rows = []
    for name, (quantizer, weight) in quantized_layers(model).items():
        row = {"step": step, "layer": name, **level_statistics(quantizer, weight)}
        row["occupancy"] = " ".join(f"{p:.4f}" for p in row["occupancy"])
        rows.append(row)
    return rows


def code_statistics(code: Tensor) -> dict[str, float]:
    """Use of the binary code by a batch.

    Args:
        code: (N, C, H, W), -1 and +1 (not truncated).

    Returns:
        ``entropy``, the mean over all C*H*W bits of the binary entropy of each (1 is ideal), and
        ``stuck``, the fraction of bits that never changed within the batch.
    """
    p = (code.detach() > 0).double().mean(dim=0).flatten()
    entropy = -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)
    return {"entropy": float(entropy.mean()), "stuck": float(((p == 0) | (p == 1)).double().mean())}


def plot_layer_log(log: str | os.PathLike[str], image: str | os.PathLike[str]) -> None:
    """Draw a CSV log of ``layer_report`` rows over the training steps.

    Three panels: entropy ratio, step over sigma, fraction of zeros with the collapse line.

    Args:
        log: the CSV file, with a header line.
        image: the picture to write; its suffix chooses the format.

    Raises:
        ImportError: matplotlib is missing (it comes with the ``train`` extra).
        ValueError: the log has no rows.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with Path(log).open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{log} has no rows to plot; train for at least one logging interval.")
    layers: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        layers[row["layer"]].append(row)
    panels: Sequence[tuple[str, str]] = (
        ("entropy_ratio", "entropy / log2(levels)"),
        ("delta_sigma", "step / sigma"),
        ("zeros", "fraction of zeros"),
    )
    figure, axes = plt.subplots(len(panels), 1, sharex=True, figsize=(8, 9))
    for axis, (key, label) in zip(axes, panels, strict=True):
        for name, history in layers.items():
            steps = [int(row["step"]) for row in history]
            axis.plot(steps, [float(row[key]) for row in history], label=name)
        axis.set_ylabel(label)
    axes[-1].axhline(COLLAPSE, color="black", linestyle=":")
    axes[-1].set_xlabel("step")
    axes[0].legend(fontsize="small", ncol=2)
    figure.tight_layout()
    figure.savefig(image)
    plt.close(figure)
