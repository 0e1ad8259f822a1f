"""Skip connections of `nqe-vgg`: logic gates between integer maps (arXiv 2501.04517).

The gates of ORNet and MUXORNet stand where a residual network adds, around a convolution with as
many channels in as out: conv2, conv4 and conv6. A maximum follows each of them, and it passes
through an OR, so both maps are pooled first.

x ---+---> convolution ---> 2x2 maximum ---> level 0..3 ---> main ---+
     |                                                              OR (MUX of OR and main) ---> y
     +------------------> 2x2 maximum ---------------------> skip ---+

Levels 0 .. 3 are three binary maps, "level at least k", and their OR is the maximum. MUX takes the
OR in channels whose main map has a large enough sum, and main alone in the others. All of it is
comparisons and, for MUX, one sum a channel. See `heqcodec.lab.networks.logic_gates` for training.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from heqcodec.base.constants import BUDGET_BITS, PATCH
from heqcodec.base.errors import HeqFormatError

from .layout import MODEL_NAME, VGG_LAYERS, VggLayer, total_bits

Skip = Literal["none", "or", "mux"]
SKIPS: tuple[Skip, ...] = ("none", "or", "mux")
"""In the order of a weights file's numbers."""


def _sides() -> dict[str, int]:
    found, side = {}, PATCH
    for layer in VGG_LAYERS:
        side //= 2 if layer.pool else 1
        if layer.inputs == layer.outputs:
            found[layer.name] = side
    return found


SKIPPED = _sides()
"""The layers that a skip can go around, and the sides of the maps that their gates join."""


def full_sum(layer: VggLayer) -> int:
    """The largest sum of a channel's map at a gate."""
    return SKIPPED[layer.name] ** 2 * len(layer.cuts)


def select_bits(layer: VggLayer) -> int:
    """Bits of a stored opening sum: 0 (always open) to one more than the largest sum (never)."""
    return math.ceil(math.log2(full_sum(layer) + 2))


def skip_bits(skip: Skip) -> int:
    """Bits that the skips of an encoder take: opening sums of a MUX, nothing for OR."""
    if skip != "mux":
        return 0
    return sum(la.outputs * select_bits(la) for la in VGG_LAYERS if la.name in SKIPPED)


def check_skip(layer: VggLayer, skip: Skip, selects: np.ndarray | None) -> None:
    """Raise HeqFormatError unless a layer can have this skip with these opening sums."""
    name = layer.name
    if skip not in SKIPS or (skip != "none" and name not in SKIPPED):
        raise HeqFormatError(f"{MODEL_NAME}: {name} can have no skip {skip!r}.")
    if (selects is not None) != (skip == "mux"):
        raise HeqFormatError(f"{MODEL_NAME}: opening sums of {name} belong to a MUX skip.")
    if selects is None:
        return
    if selects.shape != (layer.outputs,) or selects.dtype != np.int32:
        raise HeqFormatError(
            f"{MODEL_NAME}: the opening sums of {name} must be int32 of shape ({layer.outputs},)."
        )
    never = full_sum(layer) + 1
    if selects.min() < 0 or selects.max() > never:
        raise HeqFormatError(f"{MODEL_NAME}: the opening sums of {name} must lie in 0..{never}.")


def pooled(x: np.ndarray, plane: tuple[int, int]) -> np.ndarray:
    """2x2 maximum over two axes next to each other, of even sides; same dtype."""
    first = (slice(None),) * plane[0]
    rows = np.maximum(x[(*first, slice(0, None, 2))], x[(*first, slice(1, None, 2))])
    both = (slice(None),) * plane[1]
    highest: np.ndarray = np.maximum(
        rows[(*both, slice(0, None, 2))], rows[(*both, slice(1, None, 2))]
    )
    return highest


def joined(
    skip: Skip,
    selects: np.ndarray | None,
    main: np.ndarray,
    x: np.ndarray,
    plane: tuple[int, int],
) -> np.ndarray:
    """A layer's output with its skip.

    Args:
        skip: its kind; "none" gives ``main``.
        selects: opening sums of a MUX.
        main: integers 0..3 in any type, (N, H, W, C) or (N, C, H, W).
        x: the layer's input, of twice the height and width.
        plane: the axes of height and width, (1, 2) or (2, 3).

    Returns:
        Shape and dtype of ``main``.
    """
    if skip == "none":
        return main
    either = np.maximum(main, pooled(x, plane))
    if selects is None:
        return either
    sums = main.sum(axis=plane, keepdims=True)
    shape = [1, 1, 1, 1]
    shape[6 - sum(plane)] = len(selects)
    return np.where(sums >= selects.reshape(shape), either, main)


for _form in ("shift", "thresholds"):
    if total_bits(_form) + skip_bits("mux") > BUDGET_BITS:
        raise AssertionError(f"nqe-vgg with its {_form} and MUX skips exceeds {BUDGET_BITS} bits")
