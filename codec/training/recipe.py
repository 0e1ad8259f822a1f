"""Recipes: everything that makes a model, in one TOML file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.errors import HeqError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Recipe:
    """One training run; the fields are the keys of the TOML file.

    name: of the model, which is also the stem of its weight files.
    family: "transform" (`nqe-t`: the encoder is fitted by counting, PURENET is trained on true
        codes) or "vgg" (`nqe-vgg`: encoder and PURENET are trained together).
    about: one line for ``heqcodec models``.
    steps: optimizer steps of the whole schedule; the learning rate falls to zero at the end.
    batch: crops a step.  crop: side of a crop in patches (at least 3).
    rate, encoder_rate: peak learning rates (Adam) of PURENET and of the encoder.
    warmup: steps of linear growth of the learning rate.
    clip: gradient norm limit, for each network alone.
    average: decay of the running average of the weights, which is what ships.
    rate_weights: how often each of the four rates is drawn.
    seed: of everything.
    tables_patches, tables_bits: patches counted for the coder's tables, and the code length while
        counting (transform).
    views: how many of the eight flips and turns of each tile are coded (transform).
    refresh: steps between refreshes of the quantizers' delta (vgg).
    bsn_at: share of the steps after which bit-shift normalization replaces batch normalization
        (paper: 100 of 220 epochs); 1 or more never (vgg).
    norm_init, rule: see `heqcodec.nqe.vgg.NqeVgg` (vgg).
    purenet: sizes, see `heqcodec.purenet.network.PurenetConfig`.
    """

    name: str
    family: str
    about: str
    steps: int
    batch: int = 12
    crop: int = 5
    rate: float = 1e-3
    encoder_rate: float = 1e-3
    warmup: int = 200
    clip: float = 1.0
    average: float = 0.999
    rate_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    seed: int = 1
    tables_patches: int = 24000
    tables_bits: int = 640
    views: int = 2
    refresh: int = 100
    bsn_at: float = 100 / 220
    norm_init: str = "balanced"
    rule: str = "A"
    purenet: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            HeqError: the file is no TOML, has unknown keys, or lacks one.
        """
        try:
            values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise HeqError(f"{path} cannot be read as a recipe: {error}.") from error
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise HeqError(
                f"{path} has the unknown keys {', '.join(unknown)}; those known are "
                f"{', '.join(sorted(known))}."
            )
        if "rate_weights" in values:
            values["rate_weights"] = tuple(values["rate_weights"])
        try:
            recipe = cls(**values)
        except TypeError as error:
            raise HeqError(f"{path} is no complete recipe: {error}.") from error
        if recipe.family not in ("transform", "vgg") or recipe.crop < 3 or recipe.steps < 1:
            raise HeqError(
                f'{path}: family must be "transform" or "vgg", crop at least 3, steps at least 1.'
            )
        return recipe
