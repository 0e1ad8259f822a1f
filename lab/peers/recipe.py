"""Recipes of peers: everything that makes one, in one TOML file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.lab.training.recipe_values import check_keys, read_values

SIZES = {
    "factorized": ("width", "latents"),
    "mean-scale": ("width", "latents"),
    "mcucoder": ("width",),
}
"""Architectures, and the sizes that a recipe may give."""
REQUIRED = ("name", "architecture", "about", "steps")


@dataclass(frozen=True)
class PeerRecipe:
    """One training run of a peer; the fields are the keys of the TOML file.

    name: also the stem of its files.
    architecture: one of `SIZES`.
    about: one line for reports.
    steps: optimizer steps of the whole schedule; the learning rate falls to zero on a cosine.
    lmbda: weight of the distortion, loss = lmbda * 255^2 * MSE + bits per pixel, as CompressAI
        has it; without effect where bits are not learned (mcucoder).
    batch: crops a step.  crop: their side in pixels, a multiple of 64 up to 256.
    rate, density_rate: peak learning rates (Adam) of the transforms and of the learned density,
        the same if 0; a density that starts wide and learns slowly costs a short run most of its
        steps.
    aux_rate: learning rate of the quantiles, constant, with an Adam of their own.
    warmup: steps of linear growth of the learning rate.
    clip: gradient norm limit.
    average: decay of the running average of the weights, which is what is exported.
    bfloat16: whether convolutions may round their inputs to bfloat16 while training.
    seed: of everything.
    sizes: of the networks, see the classes.
    """

    name: str
    architecture: str
    about: str
    steps: int
    lmbda: float = 0.0
    batch: int = 8
    crop: int = 256
    rate: float = 1e-4
    density_rate: float = 0.0
    aux_rate: float = 1e-3
    warmup: int = 100
    clip: float = 1.0
    average: float = 0.999
    bfloat16: bool = True
    seed: int = 1
    sizes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> PeerRecipe:
        """Read a recipe.

        Raises:
            HeqError: the file is no TOML, has unknown keys, lacks one, or holds a value that
                cannot be; the message names all of them.
        """
        values = read_values(path)
        check_keys(values, (item.name for item in fields(cls)), REQUIRED, path)
        faults = [told for key, (good, told) in _RULES.items() if not good(values.get(key, _NONE))]
        faults += _size_faults(values)
        if values["architecture"] in ("factorized", "mean-scale") and "lmbda" not in values:
            faults.append("lmbda must be given, the weight of the distortion")
        if faults:
            raise HeqError(f"{path} is no recipe to train from: {'; '.join(faults)}.")
        return cls(**values)


_NONE = object()


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: value is _NONE or (type(value) is int and value >= least)


def _above_zero(value: Any) -> bool:
    return value is _NONE or (type(value) in (int, float) and 0 < value < float("inf"))


def _size_faults(values: dict[str, Any]) -> list[str]:
    sizes, architecture = values.get("sizes", {}), values["architecture"]
    if not isinstance(sizes, dict):
        return ["sizes must be a table"]
    offered = SIZES.get(architecture, ()) if isinstance(architecture, str) else ()
    return [
        f"sizes.{key} must be one of {', '.join(offered)}, a whole number from 2"
        for key, value in sizes.items()
        if key not in offered or type(value) is not int or value < 2
    ]


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (
        lambda value: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(value)) is not None,
        "name must be letters, digits, dots and hyphens: it names files",
    ),
    "about": (lambda value: isinstance(value, str) and bool(value), "about must be a line of text"),
    "architecture": (
        lambda value: isinstance(value, str) and value in SIZES,
        f"architecture must be one of {', '.join(SIZES)}",
    ),
    "steps": (_whole(1), "steps must be a whole number from 1"),
    "batch": (_whole(1), "batch must be a whole number from 1"),
    "warmup": (_whole(0), "warmup must be a whole number from 0"),
    "seed": (_whole(0), "seed must be a whole number from 0"),
    "crop": (
        lambda value: value is _NONE or (type(value) is int and value in (64, 128, 192, 256)),
        "crop must be 64, 128, 192 or 256",
    ),
    "lmbda": (_above_zero, "lmbda must be a number above 0"),
    "rate": (_above_zero, "rate must be a number above 0"),
    "density_rate": (
        lambda value: value == 0 or _above_zero(value),
        "density_rate must be a number from 0",
    ),
    "aux_rate": (_above_zero, "aux_rate must be a number above 0"),
    "clip": (_above_zero, "clip must be a number above 0"),
    "average": (
        lambda value: value is _NONE or (type(value) in (int, float) and 0 <= value <= 1),
        "average must be a number from 0 to 1",
    ),
    "bfloat16": (
        lambda value: value is _NONE or isinstance(value, bool),
        "bfloat16 must be true or false",
    ),
}
