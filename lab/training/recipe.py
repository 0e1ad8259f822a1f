"""Recipes: everything that makes a model, in one TOML file: common keys, and those of a family."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqError
from heqcodec.models.registry import DECODERS, PLAIN, RATE, TRANSFORM, VGG, VGG_CLASS
from heqcodec.nqe_vgg.skips import SKIPS
from heqcodec.purenet.config import PurenetConfig

from .recipe_values import (
    ABOVE_ZERO,
    FILE_NAME,
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

RATE_COUNT = 4
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


def _are_weights(value: Any) -> bool:
    four = isinstance(value, list) and len(value) == RATE_COUNT
    return four and all(is_number(weight, 0) for weight in value) and sum(value) > 0


def _are_quantizer_steps(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2
    return pair and all(is_number(at, 0, STEPS - 1, int) for at in value) and value[0] <= value[1]


def _are_first_blocks(value: Any) -> bool:
    stages = ("local", "coarse", "mid", "fine")
    return isinstance(value, dict) and all(
        stage in stages and is_number(first, 0, kind=int) for stage, first in value.items()
    )


FIRST_BLOCKS = Check("whole numbers by stage: local, coarse, mid, fine", _are_first_blocks)
RATE_WEIGHTS = Check(f"{RATE_COUNT} numbers from 0, not all 0", _are_weights)
QUANTIZER_STEPS = Check(f"two step indices from 0 to {STEPS - 1}, in order", _are_quantizer_steps)


@dataclass(frozen=True)
class Recipe:
    """One training run: the keys that all families have.

    name: of the model, which is also the stem of its weight files.
    family: a key of `RECIPES`.
    about: one line for ``heqcodec models``.
    steps: optimizer steps of the whole schedule; the learning rate falls to zero at the end.
    batch: crops a step.  crop: side of a crop in patches, 3 to 8 (8 are a tile).
    optimizer: "adam", or "muon" (see `heqcodec.lab.training.muon`).
    learning_rate: peak learning rate of PURENET.
    warmup: steps of linear growth of the learning rate.
    clip: gradient norm limit, for each network alone.
    ema: decay of the exponential moving average of the weights, which is what ships.
    seed: of everything.
    border: weight of the loss that keeps steps across patch borders, relative to other steps, as
        small as in the photograph.
    purenet: sizes, see `heqcodec.purenet.network.PurenetConfig`.
    """

    name: str = key(FILE_NAME)
    family: str = key(one_of((TRANSFORM, VGG, RATE, VGG_CLASS)))
    about: str = key(LINE)
    steps: int = key(whole(1))
    batch: int = key(whole(1), 12)
    crop: int = key(whole(3, 8), 5)
    optimizer: str = key(one_of(("adam", "muon")), "adam")
    learning_rate: float = key(ABOVE_ZERO, 1e-3)
    warmup: int = key(whole(0), 200)
    clip: float = key(ABOVE_ZERO, 1.0)
    ema: float = key(SHARE, 0.999)
    seed: int = key(whole(0), 1)
    border: float = key(number(0), 0.0)
    purenet: dict[str, Any] = field(default_factory=dict, metadata={"check": TABLE})

    @staticmethod
    def load(path: Path) -> Recipe:
        """Read a recipe; its class is that of its family in `RECIPES`.

        Raises:
            HeqError: the file is no TOML, has unknown keys or those of another family, lacks one,
                or holds a value that cannot be; the message names all of them.
        """
        values = read_values(path)
        known = {item.name for kind in RECIPES.values() for item in fields(kind)}
        check_keys(values, known, required_keys(Recipe), path)
        family = values["family"]
        kind = RECIPES.get(family, Recipe) if isinstance(family, str) else Recipe
        found = [*faults(kind, values), *kind.own_faults(values)]
        if kind is not Recipe:
            found = [*_foreign_keys(kind, values), *found]
        refuse(found, path)
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return kind(**{**values, **lists})

    @classmethod
    def own_faults(cls, values: dict[str, Any]) -> list[str]:
        """What is wrong with values that one field alone cannot tell."""
        sizes = values.get("purenet", {})
        sizes = dict(sizes) if isinstance(sizes, dict) else {}
        hidden = sizes.pop("hidden", [])
        found = [
            f"purenet.{name} must be one of {', '.join(PURENET_SIZES)}, a whole number from "
            f"{PURENET_SIZES.get(name, 0)}"
            for name, value in sizes.items()
            if name not in PURENET_SIZES or not is_number(value, PURENET_SIZES[name], kind=int)
        ]
        if not isinstance(hidden, list) or not all(is_number(w, 1, kind=int) for w in hidden):
            return [*found, "purenet.hidden must be a list of whole numbers from 1"]
        try:
            if not found:
                # A size that is left out is that of `PurenetConfig`.
                _ = PurenetConfig(inputs=1, has_base=True, hidden=hidden, **sizes).stages
        except ValueError as error:
            found.append(f"purenet.hidden does not fit the blocks: {error}")
        return found


@dataclass(frozen=True)
class TransformRecipe(Recipe):
    """`nqe-t`: the encoder is fitted by counting, PURENET is trained on true codes.

    rate_weights: how often each of the four rates is drawn.
    views: how many of the eight flips and turns of each tile are coded.
    tables_patches, tables_bits: patches counted for the coder's tables, and the code length while
        counting, a multiple of 16.  tables_seed: draws the patches.
    """

    rate_weights: tuple[float, ...] = key(RATE_WEIGHTS, (1.0, 1.0, 1.0, 1.0))
    views: int = key(whole(1, 8), 2)
    tables_patches: int = key(whole(1), 24000)
    tables_bits: int = key(
        Check("a multiple of 16", lambda value: is_number(value, 16, kind=int) and value % 16 == 0),
        640,
    )
    tables_seed: int = key(whole(0), 0)


@dataclass(frozen=True)
class ClassRecipe(Recipe):
    """`nqe-vgg`: bit allocations are fitted, convolutions learn to choose one, PURENET follows.

    rate_weights: how often each of the four rates is drawn.
    convolutions: a model here; its first four layers are kept, its others where training begins.
    class_patches, class_steps, class_learning_rate: patches that the choice is learned on, and for
        how long, see `heqcodec.lab.training.class_layers`.
    fit_patches, fit_rounds: patches of those that the allocations are fitted to, and rounds of it,
        see `heqcodec.lab.training.class_allocation`.
    """

    rate_weights: tuple[float, ...] = key(RATE_WEIGHTS, (1.0, 1.0, 1.0, 1.0))
    convolutions: str = key(LINE, "nqe-vgg")
    class_patches: int = key(whole(256), 40000)
    class_steps: int = key(whole(1), 3000)
    class_learning_rate: float = key(ABOVE_ZERO, 2e-3)
    fit_patches: int = key(whole(64), 16000)
    fit_rounds: int = key(whole(1), 12)


@dataclass(frozen=True)
class VggRecipe(Recipe):
    """The paper's encoder with a code of signs: encoder and PURENET are trained together.

    rate_weights: how often each of the four rates is drawn.
    encoder_learning_rate: peak learning rate of the encoder.
    teacher_steps, distil_steps: steps at first in which a teacher and PURENET learn, and those
        after them in which the encoder learns the teacher's bits, see
        `heqcodec.lab.training.teacher`; teacher_weight: of that loss when encoder and PURENET
        begin to learn together, from where it falls to 0 at the last step.
    float_steps, float_learning_rate: steps of the encoder at first in which its weights and
        activations are not quantized, and its learning rate then.
    refresh: steps between refreshes of the quantizers' delta.
    bsn_at: share of the steps after which bit-shift normalization replaces batch normalization
        (paper: 100 of 220 epochs); 1 or more never.  bsn_learning_rate: the encoder's peak
        learning rate from then on.  fade_steps: over how many steps what batch normalization did
        for each channel fades out then.
    norm_init, rule: see `heqcodec.lab.networks.nqe_vgg.NqeVgg`.
    quantizers: of the encoder's weights, by layer or stage, see
        `heqcodec.lab.networks.layer_quantizers.layer_choices`.
    skips: logic gates around layers of the encoder, "none", "or" or "mux", see
        `heqcodec.nqe_vgg.skips`.
    """

    rate_weights: tuple[float, ...] = key(RATE_WEIGHTS, (1.0, 1.0, 1.0, 1.0))
    encoder_learning_rate: float = key(ABOVE_ZERO, 1e-4)
    teacher_steps: int = key(whole(0), 0)
    distil_steps: int = key(whole(0), 0)
    teacher_weight: float = key(number(0), 0.0)
    float_steps: int = key(whole(0), 0)
    float_learning_rate: float = key(ABOVE_ZERO, 1e-3)
    refresh: int = key(whole(1), 100)
    bsn_at: float = key(number(0), 100 / 220)
    bsn_learning_rate: float = key(ABOVE_ZERO, 1e-4)
    fade_steps: int = key(whole(0), 0)
    norm_init: str = key(one_of(("balanced", "halfwave")), "balanced")
    rule: str = key(one_of(("A", "B", "C")), "A")
    quantizers: dict[str, Any] = field(default_factory=dict, metadata={"check": TABLE})
    skips: str = key(one_of(SKIPS), "none")

    @classmethod
    def own_faults(cls, values: dict[str, Any]) -> list[str]:
        """Stages that leave no steps, a teacher without steps, quantizers that there are not."""
        from heqcodec.lab.networks.layer_quantizers import layer_choices

        found = super().own_faults(values)
        taught, distilled = (values.get(name, 0) for name in ("teacher_steps", "distil_steps"))
        if all(is_number(steps, 0, kind=int) for steps in (taught, distilled, values["steps"])):
            if taught + distilled >= values["steps"]:
                found.append("teacher_steps and distil_steps must leave steps")
            if (distilled or values.get("teacher_weight", 0)) and not taught:
                found.append("distil_steps and teacher_weight need teacher_steps")
        table = values.get("quantizers", {})
        try:
            layer_choices(table if isinstance(table, dict) else {})
        except HeqError as error:
            found.append(str(error).rstrip("."))
        return found


@dataclass(frozen=True)
class RateRecipe(Recipe):
    """`nqe-r`, of variable rate: PURENET is trained on true levels.

    decoder: "strong", or the name of a further decoder of a model that exists.
    loss: "mse"; "psnr", the mean of decibels; or "ssimulacra2" for a decoder that is tuned for it.
    quantizer_steps: the least and largest index of a quantizer step, between which one is drawn
        evenly.
    coder_iterations, cost_iterations: of the packed coder's networks and of the encoder's cost
        layer.  tables_seed: draws what these are fitted to.
    default_quality: of ``encode`` with the model, 1 to 100.
    new_blocks, start_learning_rate: where ``--start`` gives a smaller network, the number of the
        first block that it lacks, by stage (local, coarse, mid or fine), and the peak learning rate
        of all else; `learning_rate` is then that of the new blocks.
    """

    decoder: str = key(one_of(name for name in DECODERS if name != PLAIN), "strong")
    loss: str = key(one_of(("mse", "psnr", "ssimulacra2")), "mse")
    quantizer_steps: tuple[int, int] = key(QUANTIZER_STEPS, (112, 904))
    coder_iterations: int = key(whole(1), 6000)
    cost_iterations: int = key(whole(1), 400)
    tables_seed: int = key(whole(0), 0)
    default_quality: float = key(number(1, 100), 45.0)
    new_blocks: dict[str, int] = field(default_factory=dict, metadata={"check": FIRST_BLOCKS})
    start_learning_rate: float | None = key(ABOVE_ZERO, None)

    @classmethod
    def own_faults(cls, values: dict[str, Any]) -> list[str]:
        """New blocks without a learning rate for the rest, or the other way round."""
        found = super().own_faults(values)
        if ("start_learning_rate" in values) != bool(values.get("new_blocks")):
            found.append("new_blocks and start_learning_rate need each other")
        return found


RECIPES: dict[str, type[Recipe]] = {
    TRANSFORM: TransformRecipe,
    VGG: VggRecipe,
    VGG_CLASS: ClassRecipe,
    RATE: RateRecipe,
}
"""The class of each family."""


def _foreign_keys(kind: type[Recipe], values: dict[str, Any]) -> list[str]:
    """A line for each key that only other families have."""
    own = {item.name for item in fields(kind)}
    found = []
    for name in values:
        if name not in own:
            users = [f for f, k in RECIPES.items() if name in {item.name for item in fields(k)}]
            found.append(f"{name} is a key of the family {' and '.join(users)}")
    return found
