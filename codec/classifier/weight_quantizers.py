"""Weight quantizers by the name that a recipe gives them."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from heqcodec.errors import HeqError
from heqcodec.quantizers import BinaryQuantizer, HistogramEqualizedQuantizer
from torch import nn

from .fixed_step import StatisticQuantizer

REGISTRY = "heqcodec.quantizers.registry"
KNOWN = "none, binary, heq3, heq5 (any odd number), twn, max3 (any odd number)"


def weight_quantizer(name: str, **options: Any) -> nn.Module | None:
    """A new quantizer of one layer's weights.

    Args:
        name: "none" for full precision; "heqN" (histogram-equalized), "twn" (ternary with the
            threshold of Ternary Weight Networks), "maxN" (a step of 2 max|w| / N), "binary"; or
            any name of the registry of quantizers.
        options: of the quantizer, such as ``rule`` or ``window``.

    Returns:
        A parametrization with ``forward(weight)`` and ``refresh(weight)``, or None.

    Raises:
        HeqError: there is no such quantizer, or it has no such option.
    """
    if name == "none":
        return None
    try:
        if name == "binary":
            return BinaryQuantizer(**options)
        if name == "twn":
            return StatisticQuantizer(3, "twn", **options)
        if match := re.fullmatch(r"max(\d+)", name):
            return StatisticQuantizer(int(match[1]), "max", **options)
        match = re.fullmatch(r"heq(\d+)", name)
        if match and int(match[1]) % 2:
            return HistogramEqualizedQuantizer(int(match[1]), **options)
        if find_spec(REGISTRY):
            made: nn.Module = import_module(REGISTRY).make_quantizer(name, **options)
            return made
    except (TypeError, ValueError) as error:
        raise HeqError(f'the weight quantizer "{name}" cannot be made: {error}.') from error
    raise HeqError(f'there is no weight quantizer "{name}"; those known are {KNOWN}.')
