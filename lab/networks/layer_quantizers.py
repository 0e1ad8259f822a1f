"""Which quantizer each layer of `nqe-vgg` has: the table ``[quantizers]`` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.nqe_vgg.layout import VGG_LAYERS, VggLayer
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.registry import REGISTRY, make_quantizer

STAGES: dict[str, tuple[str, ...]] = {
    "all": tuple(layer.name for layer in VGG_LAYERS),
    "early": ("conv1", "conv2"),
    "middle": ("conv3", "conv4"),
    "late": ("conv5", "conv6"),
}
"""Stages by the precisions of the paper (arXiv 2501.05097); its binary bottleneck is on its own."""
WINDOWED = ("binary", "heq", "heq3", "heq5", "twn", "uniform")
"""Quantizers with a choice of gradient window, "inward" in this encoder unless said otherwise."""
RULED = ("heq", "heq3", "heq5")

Choice = tuple[str, dict[str, Any]]
"""A name of the registry, and options."""


def layer_choices(table: Mapping[str, Any]) -> dict[str, Choice]:
    """Resolve a table of stages and layers.

    A key is a layer (``conv1`` .. ``conv6``, ``bottleneck``) or a stage of ``STAGES``; a layer's
    own key goes before its stage's, and that before ``all``. A value is a name that
    ``make_quantizer`` knows, or a table of ``name`` and options, such as
    ``{name = "lsq", bits = 2}``.

    Args:
        table: as a recipe has it.

    Returns:
        Layer -> name and options. Layers that nothing is said about are left out.

    Raises:
        HeqError: an unknown layer or quantizer, or options that it does not take.
    """
    layers = STAGES["all"]
    unknown = [key for key in table if key not in STAGES and key not in layers]
    if unknown:
        raise HeqError(
            f"quantizers.{unknown[0]} is no layer of the encoder; those known are "
            f"{', '.join((*STAGES, *layers))}."
        )
    choices: dict[str, Choice] = {}
    for key in sorted(table, key=lambda key: (key != "all", key in layers)):
        choice = _choice(key, table[key])
        choices |= dict.fromkeys(STAGES.get(key, (key,)), choice)
    return choices


def _choice(key: str, value: Any) -> Choice:
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in REGISTRY:
        raise HeqError(
            f"quantizers.{key} must name a quantizer, alone or as name with options; those known "
            f"are {', '.join(REGISTRY)}."
        )
    try:
        make_quantizer(name, **options)
    except (TypeError, ValueError) as error:
        raise HeqError(f"quantizers.{key} has options that {name} cannot have: {error}.") from error
    return name, options


def layer_quantizer(layer: VggLayer, choice: Choice | None, rule: str = "A") -> WeightQuantizer:
    """A new quantizer for a layer.

    Args:
        layer: of ``VGG_LAYERS``.
        choice: of ``layer_choices``; None for what the layer's levels ask for: binary, or HEQ.
        rule: HEQ's step rule, unless the options have one.

    Returns:
        With the gradient window "inward" where there is a choice of one and none was made.
    """
    if choice is None:
        count = len(layer.levels)
        choice = ("binary", {}) if count == 2 else ("heq", {"levels": count})
    name, options = choice
    options = dict(options)
    if name in WINDOWED:
        options.setdefault("window", "inward")
    if name in RULED:
        options.setdefault("rule", rule)
    quantizer = make_quantizer(name, **options)
    assert isinstance(quantizer, WeightQuantizer)
    return quantizer
