"""Recipes of peers: everything that makes one, in one TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.lab.training.recipe_values import (
    ABOVE_ZERO,
    FILE_NAME,
    FLAG,
    LINE,
    SHARE,
    TABLE,
    Check,
    check_keys,
    faults,
    is_number,
    key,
    number,
    one_of,
    read_values,
    refuse,
    required_keys,
    whole,
)

SIZES = {
    "factorized": ("width", "latents"),
    "mean-scale": ("width", "latents"),
    "mcucoder": ("width",),
}
"""Architectures, and the sizes that a recipe may give."""
CROP = Check("64, 128, 192 or 256", one_of((64, 128, 192, 256)).holds)


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
    learning_rate, density_learning_rate: peak (Adam) of the transforms and of the learned density,
        the same if 0; a density that starts wide and learns slowly costs a short run most of its
        steps.
    aux_learning_rate: learning rate of the quantiles, constant, with an Adam of their own.
    warmup: steps of linear growth of the learning rate.
    clip: gradient norm limit.
    ema: decay of the exponential moving average of the weights, which is what is exported.
    bfloat16: whether convolutions may round their inputs to bfloat16 while training.
    seed: of everything.
    sizes: of the networks, see the classes.
    """

    name: str = key(FILE_NAME)
    architecture: str = key(one_of(SIZES))
    about: str = key(LINE)
    steps: int = key(whole(1))
    lmbda: float = key(ABOVE_ZERO, 0.0)
    batch: int = key(whole(1), 8)
    crop: int = key(CROP, 256)
    learning_rate: float = key(ABOVE_ZERO, 1e-4)
    density_learning_rate: float = key(number(0), 0.0)
    aux_learning_rate: float = key(ABOVE_ZERO, 1e-3)
    warmup: int = key(whole(0), 100)
    clip: float = key(ABOVE_ZERO, 1.0)
    ema: float = key(SHARE, 0.999)
    bfloat16: bool = key(FLAG, True)
    seed: int = key(whole(0), 1)
    sizes: dict[str, int] = field(default_factory=dict, metadata={"check": TABLE})

    @classmethod
    def load(cls, path: Path) -> PeerRecipe:
        """Read a recipe.

        Raises:
            HeqError: the file is no TOML, has unknown keys, lacks one, or holds a value that
                cannot be; the message names all of them.
        """
        values = read_values(path)
        check_keys(values, (item.name for item in fields(cls)), required_keys(cls), path)
        found = [*faults(cls, values), *_size_faults(values)]
        if values["architecture"] in ("factorized", "mean-scale") and "lmbda" not in values:
            found.append("lmbda must be given, the weight of the distortion")
        refuse(found, path)
        return cls(**values)


def _size_faults(values: dict[str, Any]) -> list[str]:
    sizes, architecture = values.get("sizes", {}), values["architecture"]
    offered = SIZES.get(architecture, ()) if isinstance(architecture, str) else ()
    return [
        f"sizes.{name} must be one of {', '.join(offered)}, a whole number from 2"
        for name, value in (sizes.items() if isinstance(sizes, dict) else ())
        if name not in offered or not is_number(value, 2, kind=int)
    ]
