"""The skips of `heqcodec.nqe_vgg.skips` in graphs to train."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from heqcodec.nqe_vgg.layer import IntegerLayer
from heqcodec.nqe_vgg.layout import VggLayer
from heqcodec.nqe_vgg.skips import SKIPPED, Skip
from heqcodec.quantizers.hwmsb import TOP_LEVEL
from torch import Tensor, nn
from torch.nn import functional as F

from .logic_gates import MuxOrSkip, make_skip


def skip_gates(layers: Iterable[VggLayer], kind: Skip) -> nn.ModuleDict:
    """The gates of an encoder's skips by layer, none for "none".

    Args:
        layers: of the encoder, of any width.
        kind: of all skips.

    Raises:
        ValueError: there is no such kind.
    """
    gates = nn.ModuleDict()
    for layer in layers:
        gate = make_skip(kind, layer.outputs, TOP_LEVEL)
        if gate is not None and layer.name in SKIPPED:
            gates[layer.name] = gate
    return gates


def skipped(gates: nn.ModuleDict, layer: VggLayer, main: Tensor, x: Tensor) -> Tensor:
    """A layer's output with its skip, if there is one.

    Args:
        gates: of ``skip_gates``.
        layer: whose output it is.
        main: the output, (N, C, H, W) of 0..3.
        x: the layer's input, of twice the height and width behind a pooling.

    Returns:
        Shape and dtype of ``main``.
    """
    if layer.name not in gates:
        return main
    return cast(Tensor, gates[layer.name](main, F.max_pool2d(x, 2) if layer.pool else x))


def with_skip(item: IntegerLayer, gates: nn.ModuleDict, kind: Skip) -> IntegerLayer:
    """A layer of integers with the skip that goes around it, if there is one.

    Args:
        item: the layer.
        gates: of ``skip_gates``.
        kind: of all skips.
    """
    name = item.layer.name
    if name not in gates:
        return item
    gate, selects = gates[name], None
    if isinstance(gate, MuxOrSkip):
        selects = gate.opening_sums(SKIPPED[name] ** 2).cpu().numpy()
    return replace(item, skip=kind, selects=selects)
