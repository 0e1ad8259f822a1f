"""Recipes of classifiers: everything that decides a run but the images, in one TOML file."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.lab.networks.logic_gates import OPENS, SPARSITY_THRESHOLD, Opens
from heqcodec.lab.training.recipe_values import check_keys, is_number, read_values

from .blocks import NORM_INITS

NETWORKS = ("vgg-small", "vgg-11", "ornet-11", "muxornet-11", "nqe")
ACTIVATIONS = ("relu", "hwmsb", "binary")
OPTIMIZERS = ("sgd", "adamw")
WHOLE_NUMBERS = {
    "epochs": (1, None),
    "fine_epochs": (0, None),
    "batch": (1, None),
    "fine_batch": (1, None),
    "width": (1, None),
    "padding": (0, 31),
    "cutout": (0, None),
    "refresh": (0, None),
    "bsn_fade_epochs": (0, None),
    "seed": (0, None),
}
"""Least and largest values."""
SHARES = ("smoothing", "average", "momentum", "bsn_quantile", "gate_threshold")


@dataclass(frozen=True)
class ClassifierRecipe:
    """One training run; the fields are the keys of the TOML file.

    name: of the run, which is also its folder.  about: one line.
    network: "vgg-small", "vgg-11", "ornet-11", "muxornet-11" or "nqe".
    width: channels of the first convolutions; 0 is the network's own.
    active: activation, "relu", "hwmsb" or "binary"; "" is the network's own.
    weights: weight quantizer, see `weight_quantizer`; "mixed" is NQE's own mixture,
        "mixed-max" the same numbers of levels by fixed steps.
    options: of the quantizer.  norm_init: see `heqcodec.lab.classifier.blocks.NORM_INITS`.
    gate_threshold, gate_opens: of MUX gates, see `heqcodec.lab.networks.logic_gates.MuxOrSkip`.
    binary_code: whether NQE's head sees signs.
    start: name of a finished run whose weights this one starts from, "" for none.
    start_norms: whether normalization is taken over too; not if the activations differ.
    epochs, batch, rate: of the main phase; the rate rises for ``warmup`` epochs, then falls to 0
        along a cosine.
    fine_epochs, fine_batch, fine_rate: of the fine-tuning phase after it (HEQ: smaller rate, larger
        batch), whose rate falls to 0 along a cosine.
    optimizer: "sgd" (Nesterov, ``momentum``) or "adamw".  weight_decay: of weights, not of
        normalization and biases.
    smoothing: of labels.  padding: crops move by so much.  flip, cutout: see `DeviceImages.epoch`.
    average: decay per step of the running average of the weights that is tested, 0 for none.
    refresh: epochs from one refresh of the quantizers to the next; 0 is every batch.
    zero_median: whether each refresh first shifts the latent weights' median to 0.
    bsn: whether bit-shift normalization replaces batch normalization at the beginning (NQE, with
        ``start``).  bsn_quantile, bsn_fade_epochs: see `NqeClassifier.switch_to_bsn`; batch
        normalization fades out over so many epochs.
    autocast: whether the network trains in bfloat16 where it can.
    seed: of everything.
    keep_weights: whether weights are worth keeping beside the figures.
    """

    name: str
    network: str
    epochs: int
    about: str = ""
    width: int = 0
    active: str = ""
    weights: str = "none"
    options: dict[str, Any] = field(default_factory=dict)
    norm_init: str = "plain"
    gate_threshold: float = SPARSITY_THRESHOLD
    gate_opens: Opens = "dense"
    binary_code: bool = True
    start: str = ""
    start_norms: bool = True
    batch: int = 512
    rate: float = 0.3
    warmup: float = 3.0
    fine_epochs: int = 0
    fine_batch: int = 1024
    fine_rate: float = 0.02
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    padding: int = 4
    flip: bool = True
    cutout: int = 0
    average: float = 0.0
    refresh: int = 1
    zero_median: bool = False
    bsn: bool = False
    bsn_quantile: float = 0.9
    bsn_fade_epochs: int = 0
    autocast: bool = True
    seed: int = 1
    keep_weights: bool = False

    @property
    def all_epochs(self) -> int:
        """Epochs of both phases."""
        return self.epochs + self.fine_epochs

    @classmethod
    def load(cls, path: Path) -> ClassifierRecipe:
        """Read a recipe.

        Raises:
            HeqError: the file is no TOML, has unknown keys, lacks one, or holds a value that
                cannot be; the message names all of them.
        """
        return cls.of(read_values(path), str(path))

    @classmethod
    def of(cls, values: dict[str, Any], origin: str = "the recipe") -> ClassifierRecipe:
        """A recipe of a TOML file's values; raises as ``load``."""
        required = ("name", "network", "epochs")
        check_keys(values, (item.name for item in fields(cls)), required, origin)
        recipe = cls(**values)
        faults = [told for told, kept in recipe._rules() if not kept]
        if faults:
            raise HeqError(f"{origin} is no recipe to train from: {'; '.join(faults)}.")
        return recipe

    def _rules(self) -> Iterator[tuple[str, bool]]:
        """What each value must be, and whether it is."""
        plain = r"[A-Za-z0-9][A-Za-z0-9._-]*"
        named = isinstance(self.name, str) and re.fullmatch(plain, self.name) is not None
        yield "name must be letters, digits, dots and hyphens: it names a folder", named
        yield f"network must be one of {', '.join(NETWORKS)}", self.network in NETWORKS
        yield f"active must be one of {', '.join(ACTIVATIONS)}", self.active in ("", *ACTIVATIONS)
        yield f"gate_opens must be one of {', '.join(OPENS)}", self.gate_opens in OPENS
        yield f"norm_init must be one of {', '.join(NORM_INITS)}", self.norm_init in NORM_INITS
        yield f"optimizer must be one of {', '.join(OPTIMIZERS)}", self.optimizer in OPTIMIZERS
        yield "options must be a table", isinstance(self.options, dict)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type == "bool":
                yield f"{item.name} must be true or false", isinstance(value, bool)
            if item.type == "str":
                yield f"{item.name} must be text", isinstance(value, str)
        for key, (low, high) in WHOLE_NUMBERS.items():
            if not (key == "width" and self.width == 0):
                told = f"{key} must be a whole number from {low}" + (f" to {high}" if high else "")
                yield told, is_number(getattr(self, key), low, high or math.inf, int)
        for key in ("rate", "fine_rate"):
            yield f"{key} must be above 0", is_number(getattr(self, key), sys.float_info.min)
        for key in ("warmup", "weight_decay"):
            yield f"{key} must be a number from 0", is_number(getattr(self, key), 0)
        for key in SHARES:
            yield f"{key} must be a number from 0 to 1", is_number(getattr(self, key), 0, 1)
        yield (
            'bsn needs network = "nqe" and start',
            not self.bsn or (self.network == "nqe" and bool(self.start)),
        )
