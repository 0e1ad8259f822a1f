"""What each layer of `nqe-vgg` holds and does; see `layers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.nqe_vgg.convolution import meetings
from heqcodec.nqe_vgg.layer import IntegerLayer
from heqcodec.nqe_vgg.layout import PIXEL_CENTRE
from numpy.typing import NDArray

from .layers import PIXELS, PLANES, Layer


def convolution_layers(layers: Sequence[IntegerLayer]) -> list[Layer]:
    """The layers of an encoder, one after the other, by `heqcodec eval complexity`'s way to count.

    Args:
        layers: of an `heqcodec.nqe_vgg.integer.IntegerVgg`.

    Returns:
        A layer for each; in the first the subtractions that centre samples, in each the maxima and
        comparisons behind its sums.
    """
    made, side = [], PATCH
    for item in layers:
        after = side // 2 if item.layer.pool else side
        made.append(_layer(item, side, after))
        side = after
    centring = float(PLANES)
    return [made[0]._replace(additions=(made[0].additions or 0) + centring), *made[1:]]


def stored_layers(tensors: Mapping[str, NDArray[Any]]) -> list[Layer]:
    """The layers of an encoder of its tensors."""
    from heqcodec.nqe_vgg.integer import IntegerVgg

    return convolution_layers(IntegerVgg.from_tensors(tensors).layers)


def operations(item: IntegerLayer, side: int) -> tuple[float, float]:
    """Additions and shifts of a layer on a square of `side`, comparisons as additions, of a patch.

    Sums, 2x2 maximum, activation and skip.
    """
    layer = item.layer
    magnitudes = np.abs(item.levels.astype(np.int64))
    additions = meetings((magnitudes > 0).sum((0, 1)), side)
    shifts = meetings((magnitudes == 2).sum((0, 1)), side)
    outputs = layer.outputs * side * side
    if layer.pool:
        outputs //= 4
        additions += 3 * outputs
    if item.thresholds is not None or len(layer.cuts) == 1:
        additions += len(layer.cuts) * outputs
    else:
        # The shift form: one shift, then limits at 0 and at the top level.
        additions += 2 * outputs
        shifts += outputs
    if item.skip != "none":
        # A comparison for the gate, three for the 2x2 maximum of the skip.
        additions += 4 * outputs
    if item.selects is not None:
        additions += outputs
    return additions, shifts


def _layer(item: IntegerLayer, side: int, after: int) -> Layer:
    """A layer on a square of `side`, which leaves one of `after`."""
    layer = item.layer
    additions, shifts = operations(item, side)
    outputs = layer.outputs * after * after
    lowest, highest = _reach(item)
    return Layer(
        layer.name,
        layer.weights,
        layer.level_bits,
        additions / PIXELS,
        shifts / PIXELS,
        lowest,
        highest,
        outputs * len(layer.cuts).bit_length() // 8,
    )


def _reach(item: IntegerLayer) -> tuple[int, int]:
    """The lowest and the highest sum of any patch: all samples at one end or the other."""
    first = item.layer.top == PIXEL_CENTRE
    least, most = (-PIXEL_CENTRE, PIXEL_CENTRE - 1) if first else (0, item.layer.top)
    flat = item.levels.astype(np.int64).reshape(len(item.levels), -1)
    positive, negative = np.maximum(flat, 0).sum(axis=1), np.minimum(flat, 0).sum(axis=1)
    lowest = least * positive + most * negative
    highest = most * positive + least * negative
    return int(lowest.min()), int(highest.max())
