"""Files of a search: search.json, front.png, and a recipe for ``heqcodec train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from heqcodec.base.files import write_bytes, write_json

from .exploration import Explored
from .space import NqePrecision, NqeSpace

RECIPE_HEAD = """\
# {about}
# Made by: {command}
# Weights of other layers than binary ones work in floating point only: this recipe trains and
# measures, and its encoder is exported where all layers are binary.
name = "{name}"
family = "vgg"
about = "{about}"
steps = 8000
teacher_steps = 4000
distil_steps = 2200
bsn_at = 1.0
teacher_weight = 0.05
batch = 8
crop = 4
learning_rate = 1e-3
encoder_learning_rate = 1e-3
norm_init = "halfwave"
refresh = 50
border = 0.05
"""
"""The schedule of nqe-vgg, without bit-shift normalization: learned steps are no powers of two."""
RECIPE_SIZES = """\

[purenet]
width = 128
blocks = 6
local_blocks = 1
fine_width = 48
fine_blocks = 3
"""


def recipe_text(precision: NqePrecision, command: str, name: str = "nqe-vgg-searched") -> str:
    """A recipe as TOML, with the table ``[quantizers]`` of a precision."""
    widths = "-".join(map(str, precision.bits))
    form = f"{'' if precision.symmetric else 'a'}symmetric, a step a {precision.granularity}"
    about = f"nqe-vgg at the searched precision {widths}, {form}"
    lines = [RECIPE_HEAD.format(about=about, command=command, name=name), "[quantizers]"]
    lines += [f"{layer} = {_toml(value)}" for layer, value in precision.table().items()]
    return "\n".join(lines) + "\n" + RECIPE_SIZES


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    # Strings, numbers, true and false are written as in JSON.
    return json.dumps(value)


def write_search(out: Path, explored: Explored, run: dict[str, Any], command: str) -> None:
    """Write ``search.json``, ``front.png``, and ``searched.toml`` of the best that was measured.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    space = NqeSpace()
    document = {"command": command, **run, **explored.as_dict(space)}
    write_json(out / "search.json", document)
    best = space.precision(explored.front[0].genes)
    write_bytes(out / "searched.toml", recipe_text(best, command).encode())
    _plot(out / "front.png", explored)


def _plot(path: Path, explored: Explored) -> None:
    """PSNR over bits of weights: all that were measured within the budget, and the front."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 4.4))
    every, front = explored.candidates, sorted(explored.front, key=lambda c: c.costs)
    axis.scatter(
        [c.costs[0] / 2**20 for c in every],
        [c.score for c in every],
        s=12,
        color="#999999",
        label="measured",
    )
    axis.plot(
        [c.costs[0] / 2**20 for c in front],
        [c.score for c in front],
        "o",
        color="#D55E00",
        label="front (PSNR, bits, bit operations)",
    )
    axis.set_xlabel("weights of nqe-vgg, in units of $2^{20}$ bits")
    axis.set_ylabel("PSNR of the subnet (dB)")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
