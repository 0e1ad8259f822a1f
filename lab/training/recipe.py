"""Recipes: everything that makes a model, in one TOML file."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqError
from heqcodec.models.registry import DECODERS, PLAIN
from heqcodec.nqe_vgg.skips import SKIPS

from .recipe_values import check_keys, is_number, read_values

FAMILIES = ("transform", "vgg", "rate")
NORM_INITS = ("balanced", "halfwave")
STEP_RULES = ("A", "B", "C")
OPTIMIZERS = ("adam", "muon")
LOSSES = ("mse", "ms-ssim")
RATE_COUNT = 4
WHOLE_NUMBERS = {
    "guide_steps": (0, None),
    "distil_steps": (0, None),
    "float_steps": (0, None),
    "steps": (1, None),
    "batch": (1, None),
    "crop": (3, 8),
    "warmup": (0, None),
    "seed": (0, None),
    "tables_patches": (1, None),
    "tables_bits": (16, None),
    "tables_seed": (0, None),
    "coder_iterations": (1, None),
    "cost_iterations": (1, None),
    "views": (1, 8),
    "refresh": (1, None),
    "fade_steps": (0, None),
}
"""Least and largest values. A crop is at most a tile."""
PURENET_SIZES = {
    "width": 1,
    "blocks": 0,
    "local_blocks": 0,
    "mid_width": 1,
    "mid_blocks": 0,
    "fine_width": 1,
    "fine_blocks": 0,
}
"""Least values of what a recipe says about PURENET; inputs and rates follow from the family."""


@dataclass(frozen=True)
class Recipe:
    """One training run; the fields are the keys of the TOML file.

    name: of the model, which is also the stem of its weight files.
    family: "transform" (`nqe-t`: the encoder is fitted by counting, PURENET is trained on true
        codes), "vgg" (`nqe-vgg`: encoder and PURENET are trained together) or "rate" (`nqe-r`, of
        variable rate: PURENET is trained on true levels).
    about: one line for ``heqcodec models``.
    decoder: "strong", or the name of a further decoder beside that of a model that exists (rate).
    loss: "mse", or "ms-ssim" for a decoder that is tuned for MS-SSIM (rate).
    steps: optimizer steps of the whole schedule; the learning rate falls to zero at the end.
    batch: crops a step.  crop: side of a crop in patches, 3 to 8.
    optimizer: "adam", or "muon" (see `heqcodec.lab.training.muon`).
    rate, encoder_rate: peak learning rates of PURENET and of the encoder.
    guide_steps, distil_steps: steps at first in which a guide and PURENET learn, and those after
        them in which the encoder is asked for the guide's bits, see `heqcodec.lab.training.guide`;
        guide: weight of that question when encoder and PURENET begin to learn together, from where
        it falls to 0 at the last step (vgg).
    float_steps, float_rate: steps of the encoder at first in which its weights and activations are
        not quantized, and its learning rate then (vgg).
    warmup: steps of linear growth of the learning rate.
    clip: gradient norm limit, for each network alone.
    average: decay of the running average of the weights, which is what ships.
    rate_weights: how often each of the four rates is drawn (transform, vgg).
    step_range: the least and largest step index, between which one is drawn evenly (rate).
    seed: of everything.
    border: weight of the loss that keeps steps across patch borders as small beside other steps as
        in the photograph (transform, rate).
    tables_patches, tables_bits: patches counted for the coder's tables, and the code length while
        counting (transform).  coder_iterations, cost_iterations: of the packed coder's networks
        and of the encoder's cost layer (rate).
        tables_seed: draws what tables are fitted to (transform, rate).
    default_quality: of ``encode`` with the model, 1 to 100 (rate).
    views: how many of the eight flips and turns of each tile are coded (transform).
    refresh: steps between refreshes of the quantizers' delta (vgg).
    bsn_at: share of the steps after which bit-shift normalization replaces batch normalization
        (paper: 100 of 220 epochs); 1 or more never.  bsn_rate: the encoder's peak learning rate
        from then on.  fade_steps: over how many steps what batch normalization did for each
        channel fades out then (vgg).
    norm_init, rule: see `heqcodec.lab.networks.nqe_vgg.NqeVgg` (vgg).
    quantizers: of the encoder's weights, by layer or stage, see
        `heqcodec.lab.networks.layer_quantizers.layer_choices` (vgg).
    skips: logic gates around layers of the encoder, "none", "or" or "mux", see
        `heqcodec.nqe_vgg.skips` (vgg).
    purenet: sizes, see `heqcodec.purenet.network.PurenetConfig`.
    """

    name: str
    family: str
    about: str
    steps: int
    decoder: str = "strong"
    loss: str = "mse"
    batch: int = 12
    crop: int = 5
    optimizer: str = "adam"
    rate: float = 1e-3
    encoder_rate: float = 1e-4
    guide_steps: int = 0
    distil_steps: int = 0
    guide: float = 0.0
    float_steps: int = 0
    float_rate: float = 1e-3
    warmup: int = 200
    clip: float = 1.0
    average: float = 0.999
    rate_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    step_range: tuple[int, int] = (112, 904)
    seed: int = 1
    border: float = 0.0
    tables_patches: int = 24000
    tables_bits: int = 640
    tables_seed: int = 0
    coder_iterations: int = 6000
    cost_iterations: int = 400
    default_quality: float = 45.0
    views: int = 2
    refresh: int = 100
    bsn_at: float = 100 / 220
    bsn_rate: float = 1e-4
    fade_steps: int = 0
    norm_init: str = "balanced"
    rule: str = "A"
    quantizers: dict[str, Any] = field(default_factory=dict)
    skips: str = "none"
    purenet: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            HeqError: the file is no TOML, has unknown keys, lacks one, or holds a value that
                cannot be; the message names all of them.
        """
        values = read_values(path)
        required = ("name", "family", "about", "steps")
        check_keys(values, (item.name for item in fields(cls)), required, path)
        faults = [told for told, kept in _rules(values) if not kept]
        if faults:
            raise HeqError(f"{path} is no recipe to train from: {'; '.join(faults)}.")
        if "rate_weights" in values:
            values["rate_weights"] = tuple(values["rate_weights"])
        if "step_range" in values:
            values["step_range"] = tuple(values["step_range"])
        return cls(**values)


def _quantizer_fault(table: Any) -> str:
    """What is wrong with a table of quantizers, or nothing."""
    from heqcodec.lab.networks.layer_quantizers import layer_choices

    if not isinstance(table, dict):
        return "quantizers must be a table"
    try:
        layer_choices(table)
    except HeqError as error:
        return str(error).rstrip(".")
    return ""


def _rules(values: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """What each value must be, and whether it is."""
    for key in ("name", "about"):
        yield f"{key} must be a line of text", isinstance(values[key], str) and bool(values[key])
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(values["name"])) is not None
    yield "name must be letters, digits, dots and hyphens: it names files", plain
    choices = {
        "family": FAMILIES,
        "norm_init": NORM_INITS,
        "rule": STEP_RULES,
        "optimizer": OPTIMIZERS,
        "decoder": tuple(name for name in DECODERS if name != PLAIN),
        "loss": LOSSES,
        "skips": SKIPS,
    }
    for key, offered in choices.items():
        if key in values:
            yield f"{key} must be one of {', '.join(offered)}", values[key] in offered
    for key, (low, high) in WHOLE_NUMBERS.items():
        if key in values:
            told = f"{key} must be a whole number from {low}" + (f" to {high}" if high else "")
            yield told, is_number(values[key], low, high or math.inf, int)
    for key in ("rate", "encoder_rate", "float_rate", "bsn_rate", "clip"):
        if key in values:
            yield f"{key} must be a number above 0", is_number(values[key], sys.float_info.min)
    if "average" in values:
        yield "average must be a number from 0 to 1", is_number(values["average"], 0, 1)
    for key in ("bsn_at", "guide", "border"):
        if key in values:
            yield f"{key} must be a number from 0", is_number(values[key], 0)
    if "default_quality" in values:
        good = is_number(values["default_quality"], 1, 100)
        yield "default_quality must be a number from 1 to 100", good
    if "tables_bits" in values and is_number(values["tables_bits"], 16, kind=int):
        yield "tables_bits must be a multiple of 16", values["tables_bits"] % 16 == 0
    stages = [values.get(key, 0) for key in ("guide_steps", "distil_steps")]
    if all(is_number(value, 0, kind=int) for value in (*stages, values["steps"])):
        yield "guide_steps and distil_steps must leave steps", sum(stages) < values["steps"]
        asked = stages[1] or values.get("guide", 0)
        yield "distil_steps and guide need guide_steps", not asked or stages[0] > 0
    if "rate_weights" in values:
        weights = values["rate_weights"]
        four = isinstance(weights, list) and len(weights) == RATE_COUNT
        good = four and all(is_number(weight, 0) for weight in weights) and sum(weights) > 0
        yield f"rate_weights must be {RATE_COUNT} numbers from 0, not all 0", good
    if "step_range" in values:
        span = values["step_range"]
        pair = isinstance(span, list) and len(span) == 2
        good = pair and all(is_number(index, 0, STEPS - 1, int) for index in span)
        yield (
            f"step_range must be two step indices from 0 to {STEPS - 1}, in order",
            good and span[0] <= span[1],
        )
    if "skips" in values:
        yield "skips are of the family vgg", values["family"] == "vgg"
    if "quantizers" in values:
        yield "quantizers are of the family vgg", values["family"] == "vgg"
        told = _quantizer_fault(values["quantizers"])
        yield told, not told
    if "purenet" in values:
        sizes = values["purenet"]
        table = isinstance(sizes, dict)
        yield "purenet must be a table", table
        for key, value in sizes.items() if table else ():
            yield (
                f"purenet.{key} must be one of {', '.join(PURENET_SIZES)}, a whole number from "
                f"{PURENET_SIZES.get(key, 0)}",
                key in PURENET_SIZES and is_number(value, PURENET_SIZES[key], kind=int),
            )
