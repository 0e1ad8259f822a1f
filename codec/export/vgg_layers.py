"""What each layer of `nqe-vgg` holds and does; see `layers`.

Of the straight path, a comparison of thresholds is an addition, and so is a step of the order that
the class gives; scaling a threshold is two or three shifts and additions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.nqe_t.transform import CHANNEL_GAIN, STAGE_SHIFT
from heqcodec.nqe_vgg.allocation import (
    CLASSES,
    COEFFICIENTS,
    MOST_BITS,
    PRIORITY_STEPS,
    SCALE_BITS,
)
from heqcodec.nqe_vgg.bands import BANDS
from heqcodec.nqe_vgg.convolution import meetings
from heqcodec.nqe_vgg.encoder import BAND_BITS, VggNqe
from heqcodec.nqe_vgg.layer import IntegerLayer
from heqcodec.nqe_vgg.layout import PIXEL_CENTRE
from numpy.typing import NDArray

from .layers import PIXELS, PLANES, Layer, added, colour_layer, transform_layers
from .operations import (
    Operations,
    colour_operations,
    gain_operations,
    pass_operations,
    weight_operations,
)

HIGHEST_LEVEL = 40
"""No level of a band reaches it."""


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
    """The layers of `nqe-vgg` of its tensors."""
    from heqcodec.nqe_vgg.encoder import VggNqe

    return class_layers(VggNqe(tensors))


def class_layers(encoder: VggNqe) -> list[Layer]:
    """The layers of `nqe-vgg`: convolutions, class, transform, quantizer."""
    convolutions = convolution_layers(encoder.network.layers)
    rows, columns = transform_layers(_stem_layers(encoder), STAGE_SHIFT, 32)
    top = columns.highest >> STAGE_SHIFT
    allocation = encoder.allocation
    weights = int(np.abs(encoder.bands.astype(np.int64)).sum(axis=1).max())
    straight = HIGHEST_LEVEL * weights << int(encoder.band_shift[0])
    quantizer = quantizer_operations().times(1 / PIXELS)
    return [
        *convolutions,
        Layer(
            "class",
            encoder.bands.size + CLASSES + 1,
            BAND_BITS,
            class_operations(encoder).additions / PIXELS,
            class_operations(encoder).shifts / PIXELS,
            16 * convolutions[-1].lowest - straight + int(encoder.bias.min()),
            16 * convolutions[-1].highest + straight + int(encoder.bias.max()),
            1,
        ),
        colour_layer(),
        rows,
        added(columns, *(gain_operations(gain) for gain in CHANNEL_GAIN)),
        Layer(
            "quantizer",
            allocation.scales.size + allocation.cuts.size + allocation.gains.size,
            SCALE_BITS,
            quantizer.additions,
            quantizer.shifts,
            -top,
            top,
            COEFFICIENTS,
        ),
    ]


def class_operations(encoder: VggNqe) -> Operations:
    """Totals over positions, levels of bands, their sums and biases, the largest, of a patch."""
    totals = Operations(float(15 * CLASSES), 0.0)
    # Of a band: magnitudes are compared and added, the sum is shifted, its length is counted.
    levels = Operations(float(2 * COEFFICIENTS + HIGHEST_LEVEL * BANDS), float(BANDS * 20))
    straight = weight_operations(encoder.bands).plus(Operations(0.0, float(CLASSES)))
    chosen = Operations(float(3 * CLASSES - 1), 0.0)
    return totals.plus(levels).plus(straight).plus(chosen)


def quantizer_operations() -> Operations:
    """Cells of all coefficients and the order of their bits, of a patch.

    A cell takes seven comparisons with a threshold that is scaled: three shifts and additions at
    odd scales, and a shift. The order goes down all priorities, and each asks every coefficient.
    """
    compared = (MOST_BITS - 1) * COEFFICIENTS
    priorities = PRIORITY_STEPS * ((1 << SCALE_BITS) - 1) + 128
    return Operations(float(4 * compared + priorities * COEFFICIENTS), float(4 * compared))


def straight_operations(encoder: VggNqe) -> Operations:
    """The class and the straight path, per pixel."""
    total = colour_operations().plus(pass_operations(_stem_layers(encoder)).times(2))
    for gain in CHANNEL_GAIN:
        total = total.plus(gain_operations(gain))
    return total.plus(class_operations(encoder).plus(quantizer_operations()).times(1 / PIXELS))


def _stem_layers(encoder: VggNqe) -> NDArray[np.int8]:
    packed = encoder.packed()
    return np.stack([packed["coarse"], packed["fine"]])


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
