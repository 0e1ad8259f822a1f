"""Weight quantizers by the name that a recipe gives them."""

from __future__ import annotations

import re
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.quantizers.registry import make_quantizer, quantizer_names
from torch import nn

FULL_PRECISION = "none"
NUMBERED = {"heq": "heq", "max": "uniform"}
"""Names that a number of levels follows, and what the registry calls them."""


def weight_quantizer(name: str, **options: Any) -> nn.Module | None:
    """A new quantizer of one layer's weights.

    Args:
        name: "none" for full precision; "heqN" for histogram equalization with N levels (arXiv
            2501.04517); "maxN" for N levels with a step of 2 max|w| / N; or any name of
            ``heqcodec.quantizers.registry``, such as "binary" or "twn".
        options: of the quantizer, such as ``rule`` or ``window``.

    Returns:
        A parametrization with ``forward(weight)`` and ``refresh(weight)``, or None.

    Raises:
        HeqError: there is no such quantizer, or it has no such option.
    """
    if name == FULL_PRECISION:
        return None
    known = name
    if name not in quantizer_names():
        match = re.fullmatch(r"(heq|max)(\d+)", name)
        if match is None:
            raise HeqError(
                f'there is no weight quantizer "{name}"; those known are {FULL_PRECISION}, heqN, '
                f"maxN (N levels), {', '.join(quantizer_names())}."
            )
        known, options = NUMBERED[match[1]], {**options, "levels": int(match[2])}
    try:
        return make_quantizer(known, **options)
    except (TypeError, ValueError) as error:
        raise HeqError(f'the weight quantizer "{name}" cannot be made: {error}') from error
