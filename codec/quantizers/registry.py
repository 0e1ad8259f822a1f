"""Weight quantizers by name: one line swaps the quantizer of a layer.

``register_parametrization(layer, "weight", make_quantizer("heq5"))``
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from .base import WeightQuantizer
from .binary import BinaryQuantizer
from .codeq import DeadZoneQuantizer
from .elastic import ElasticQuantizer
from .fixed_step import FixedStepQuantizer
from .hadamard import HadamardQuantizer
from .heq import HistogramEqualizedQuantizer
from .lsq import LsqQuantizer
from .prox_connect import ProxConnectQuantizer
from .q2d2 import PairWeightQuantizer
from .tinyllava import ScalarWeightQuantizer

HEQ_SOURCE = "arXiv 2501.04517"
PROX_SOURCE = "arXiv 2402.17710"


class QuantizerEntry(NamedTuple):
    """A line of the registry.

    Attributes:
        make: the quantizer, from options.
        bits: of one stored weight, with the default options.
        source: the paper.
    """

    make: Callable[..., WeightQuantizer]
    bits: int
    source: str


REGISTRY: dict[str, QuantizerEntry] = {
    "binary": QuantizerEntry(BinaryQuantizer, 1, "arXiv 1511.00363, 1602.02830"),
    "heq": QuantizerEntry(HistogramEqualizedQuantizer, 2, HEQ_SOURCE),
    "heq3": QuantizerEntry(partial(HistogramEqualizedQuantizer, 3), 2, HEQ_SOURCE),
    "heq5": QuantizerEntry(partial(HistogramEqualizedQuantizer, 5), 3, HEQ_SOURCE),
    "twn": QuantizerEntry(partial(FixedStepQuantizer, 3, "twn"), 2, "arXiv 1605.04711"),
    "uniform": QuantizerEntry(FixedStepQuantizer, 2, "linear quantization up to the maximum"),
    "binary-connect": QuantizerEntry(
        partial(ProxConnectQuantizer, "binary-connect"), 1, PROX_SOURCE
    ),
    "bnn": QuantizerEntry(partial(ProxConnectQuantizer, "bnn"), 1, PROX_SOURCE),
    "bnn+": QuantizerEntry(partial(ProxConnectQuantizer, "bnn+"), 1, PROX_SOURCE),
    "bnn++": QuantizerEntry(partial(ProxConnectQuantizer, "bnn++"), 1, PROX_SOURCE),
    "lsq": QuantizerEntry(LsqQuantizer, 4, "arXiv 1902.08153"),
    "eqnet": QuantizerEntry(ElasticQuantizer, 4, "arXiv 2308.07650"),
    "int4-hadamard": QuantizerEntry(HadamardQuantizer, 4, "arXiv 2306.11987"),
    "codeq": QuantizerEntry(DeadZoneQuantizer, 4, "arXiv 2512.12981"),
    "q2d2": QuantizerEntry(PairWeightQuantizer, 3, "arXiv 2512.01537"),
    "tinyllava": QuantizerEntry(ScalarWeightQuantizer, 2, "arXiv 2511.23402"),
}


def quantizer_names() -> tuple[str, ...]:
    """Every name that ``make_quantizer`` takes."""
    return tuple(REGISTRY)


def make_quantizer(name: str, **options: object) -> nn.Module:
    """A new weight quantizer.

    Args:
        name: one of ``quantizer_names()``.
        options: of the class behind the name (``REGISTRY[name].make``), e.g. ``levels=4`` for
            "heq", "uniform" and "tinyllava" (3, 3 and 4 by default), ``bits=2`` for "lsq", "eqnet",
            "int4-hadamard" and "codeq" (4), ``granularity="channel"`` for "eqnet",
            ``shape="hexagonal"`` for "q2d2", ``refreshes=30`` for "bnn++".

    Returns:
        A ``WeightQuantizer``: ``forward``, ``codes``, ``refresh``, ``levels``, ``bits``, ``delta``.

    Raises:
        ValueError: no such name, or an option out of its range.
        TypeError: an option that this quantizer does not have.
    """
    if name not in REGISTRY:
        known = ", ".join(REGISTRY)
        raise ValueError(f"there is no quantizer {name!r}; those known are {known}.")
    return REGISTRY[name].make(**options)
