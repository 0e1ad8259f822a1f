"""Recipes of classifiers: everything that decides a run but the images, in one TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.lab.networks.logic_gates import OPENS, SPARSITY_THRESHOLD, Opens
from heqcodec.lab.training.recipe_values import (
    ABOVE_ZERO,
    FILE_NAME,
    FLAG,
    SHARE,
    TABLE,
    Check,
    check_keys,
    faults,
    key,
    number,
    one_of,
    read_values,
    refuse,
    required_keys,
    whole,
)

from .blocks import NORM_INITS

NETWORKS = (
    *("vgg-small", "vgg-11", "ornet-11", "muxornet-11"),
    *("resnet-20", "resnet-56", "nqe"),
)
TEXT = Check("text", lambda value: isinstance(value, str))
ACTIVATIONS = ("relu", "hwmsb", "binary")
OWN_OR_ACTIVATION = Check(
    f"one of {', '.join(ACTIVATIONS)}", lambda value: value in ("", *ACTIVATIONS)
)


@dataclass(frozen=True)
class ClassifierRecipe:
    """One training run; the fields are the keys of the TOML file.

    name: of the run, which is also its folder.  about: one line.
    network: "vgg-small", "vgg-11", "ornet-11", "muxornet-11", "resnet-20", "resnet-56" or "nqe".
    width: channels of the first convolutions; 0 is the network's own.
    active: activation, "relu", "hwmsb" or "binary"; "" is the network's own.
    weights: weight quantizer, see `weight_quantizer`; "mixed" is NQE's own mixture,
        "mixed-max" the same numbers of levels by fixed steps.
    options: of the quantizer.  norm_init: see `heqcodec.lab.classifier.blocks.NORM_INITS`.
    gate_threshold, gate_opens: of MUX gates, see `heqcodec.lab.networks.logic_gates.MuxOrSkip`.
    skips: of a residual network, "none", "or", "mux" or "add", see
        `heqcodec.lab.networks.logic_gates.make_skip`.
    binary_code: whether NQE's head sees signs.  code_channels: of NQE's code, 16 bits each.
    start: name of a finished run whose weights this one starts from, "" for none.
    start_norms: whether normalization is taken over too; not if the activations differ.
    epochs, batch, learning_rate: of the main phase; the learning rate rises for ``warmup`` epochs,
        then falls to 0 along a cosine.
    fine_epochs, fine_batch, fine_learning_rate: of the fine-tuning phase after it (HEQ: smaller
        learning rate, larger batch), which falls to 0 along a cosine.
    optimizer: "sgd" (Nesterov, ``momentum``) or "adamw".  weight_decay: of weights, not of
        normalization and biases.
    smoothing: of labels.  padding: crops move by so much.  flip, cutout: see `DeviceImages.epoch`.
    ema: decay per step of the exponential moving average of the weights that is tested, 0 for
        none.
    refresh: epochs from one refresh of the quantizers to the next; 0 is every batch.
    zero_median: whether each refresh first shifts the latent weights' median to 0.
    bsn: whether bit-shift normalization replaces batch normalization at the beginning (NQE, with
        ``start``).  bsn_quantile, bsn_steps, bsn_fade_epochs: see `NqeClassifier.switch_to_bsn`;
        batch normalization fades out over so many epochs.
    gradients, gradient_bits, bifurcated: quantized gradients of the convolutions, "full", "ptq",
        "psq" or "bhq", see `quantize_gradients`.
    head: the last layer, see `linear_head`.
    distribution_loss: weight of EQ-Net's regularization of skewness and kurtosis, 0 for none.
    guidance: whether each batch trains three subnets of elastic weights, each guided by the one of
        more bits (EQ-Net); what is tested has the precision of ``options``.
    autocast: whether the network trains in bfloat16 where it can.
    seed: of everything.
    keep_weights: whether weights are kept with the figures.
    """

    name: str = key(FILE_NAME)
    network: str = key(one_of(NETWORKS))
    epochs: int = key(whole(1))
    about: str = key(TEXT, "")
    width: int = key(whole(0), 0)
    active: str = key(OWN_OR_ACTIVATION, "")
    weights: str = key(TEXT, "none")
    options: dict[str, Any] = field(default_factory=dict, metadata={"check": TABLE})
    norm_init: str = key(one_of(NORM_INITS), "plain")
    gate_threshold: float = key(SHARE, SPARSITY_THRESHOLD)
    gate_opens: Opens = field(default="dense", metadata={"check": one_of(OPENS)})
    skips: str = key(one_of(("none", "or", "mux", "add")), "or")
    binary_code: bool = key(FLAG, True)
    code_channels: int = key(whole(1), 16)
    start: str = key(TEXT, "")
    start_norms: bool = key(FLAG, True)
    batch: int = key(whole(1), 512)
    learning_rate: float = key(ABOVE_ZERO, 0.3)
    warmup: float = key(number(0), 3.0)
    fine_epochs: int = key(whole(0), 0)
    fine_batch: int = key(whole(1), 1024)
    fine_learning_rate: float = key(ABOVE_ZERO, 0.02)
    optimizer: str = key(one_of(("sgd", "adamw")), "sgd")
    momentum: float = key(SHARE, 0.9)
    weight_decay: float = key(number(0), 5e-4)
    smoothing: float = key(SHARE, 0.1)
    padding: int = key(whole(0, 31), 4)
    flip: bool = key(FLAG, True)
    cutout: int = key(whole(0), 0)
    ema: float = key(SHARE, 0.0)
    refresh: int = key(whole(0), 1)
    zero_median: bool = key(FLAG, False)
    bsn: bool = key(FLAG, False)
    bsn_quantile: float = key(SHARE, 0.9)
    bsn_steps: int = key(whole(1), 1)
    bsn_fade_epochs: int = key(whole(0), 0)
    gradients: str = key(one_of(("full", "ptq", "psq", "bhq")), "full")
    gradient_bits: int = key(whole(2, 16), 8)
    bifurcated: bool = key(FLAG, False)
    head: str = key(one_of(("full", "int4", "int4-best-block", "int4-all-rows")), "full")
    distribution_loss: float = key(number(0), 0.0)
    guidance: bool = key(FLAG, False)
    autocast: bool = key(FLAG, True)
    seed: int = key(whole(0), 1)
    keep_weights: bool = key(FLAG, False)

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
        check_keys(values, (item.name for item in fields(cls)), required_keys(cls), origin)
        found = faults(cls, values)
        if values.get("bsn") and not (values["network"] == "nqe" and values.get("start")):
            found.append('bsn needs network = "nqe" and start')
        if values.get("bsn_steps", 1) != 1 and values.get("keep_weights"):
            found.append("bsn_steps above 1 are no shifts, and weights with them are not kept")
        if values.get("bifurcated") and values.get("gradients", "full") == "full":
            found.append("bifurcated needs gradients")
        refuse(found, origin)
        return cls(**values)
