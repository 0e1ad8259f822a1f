"""What each layer of an encoder holds and does, from its weights: for those who build hardware."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from heqcodec.base.colour import COLOUR
from heqcodec.native.transform_packing import LARGEST_SAMPLE, squares
from heqcodec.nqe_t.transform import CHANNEL_GAIN
from numpy.typing import NDArray

from .operations import (
    Operations,
    colour_operations,
    cross_operations,
    gain_operations,
    index_operations,
    means_operations,
    near_operations,
    pass_operations,
)

PIXELS = 32 * 32
PLANES = 3
TOP_SEEN = 3
"""Largest magnitude that the cost layer takes."""
Tensors = Mapping[str, NDArray[Any]]


class Layer(NamedTuple):
    """A layer on a colour patch.

    Attributes:
        name: what it does.
        weights: how many there are.
        bits: of each.
        additions, shifts: a pixel of the image, comparisons counted as additions; None where they
            depend on the image, which `heqcodec eval complexity` counts.
        lowest, highest: of its sums, for any patch.
        activation_bytes: of what it gives to the next, in the types of the C source.
    """

    name: str
    weights: int
    bits: int
    additions: float | None
    shifts: float | None
    lowest: int
    highest: int
    activation_bytes: int

    @property
    def sum_bits(self) -> int:
        """Width of a signed number that holds every sum."""
        return max(self.highest.bit_length(), (-self.lowest - 1).bit_length()) + 1


def colour_layer() -> Layer:
    """The colour transform: three planes of RGB samples."""
    colour = COLOUR.astype(np.int64)
    highest = int(np.maximum(255 * np.clip(colour, 0, None).sum(axis=1), 1).max())
    return Layer(
        "colour planes",
        colour.size,
        3,
        *colour_operations(),
        -LARGEST_SAMPLE,
        highest,
        2 * PLANES * PIXELS,
    )


def transform_layers(layers: NDArray[np.int8], shift: int, points: int) -> list[Layer]:
    """Rows and columns of a transform, by butterflies.

    Args:
        layers: int8 (L, 32, 32), digits of 32 points.
        shift: of the rounding.
        points: 32, or 16 for the even rows cut to half.
    """
    own = layers if points == 32 else layers[:, ::2, :16]
    worth = 4 ** np.arange(len(own) - 1, -1, -1)
    gain = int(np.abs((worth[:, None, None] * own.astype(np.int64)).sum(axis=0)).sum(axis=1).max())
    digits = sum(square.size for square in squares(own))
    made, limit = [], LARGEST_SAMPLE
    for name, size in (("rows", 2), ("columns", 4)):
        total = limit * gain + (1 << (shift - 1))
        made.append(
            Layer(
                f"{name}, {points} points",
                digits if name == "rows" else 0,  # the columns have the same
                3,
                *pass_operations(own),
                -total,
                total,
                size * PIXELS,
            )
        )
        limit = (total >> shift) + 1
    return made


def cost_layers(tensors: Tensors) -> list[Layer]:
    """The layer that decides between levels of 0 and 1, if it is evaluated for every level.

    Operations are those of the transform size that takes more additions: each has weights of its
    own.
    """
    near, cross, bias = (tensors[name].astype(np.int64) for name in ("near", "cross", "bias"))
    first, second = (int(shift) for shift in tensors["shifts"])

    def reach(weights: NDArray[np.int64], axes: tuple[int, ...]) -> tuple[int, int]:
        return (
            TOP_SEEN * int(np.minimum(weights, 0).sum(axis=axes).min()),
            TOP_SEEN * int(np.maximum(weights, 0).sum(axis=axes).max()),
        )

    def work(patch: Operations) -> Operations:
        return patch.times(1 / PIXELS)

    by_size = zip(tensors["near"], tensors["cross"], strict=True)
    near_work, cross_work = max(
        ((near_operations(near), cross_operations(cross)) for near, cross in by_size),
        key=lambda sums: sums[0].additions + sums[1].additions,
    )
    near_reach, cross_reach = reach(near, (3, 4, 5)), reach(cross, (3,))
    lowest = 4 * int(bias.min()) - (near_reach[1] << first) - (cross_reach[1] << second)
    highest = 4 * int(bias.max()) - (near_reach[0] << first) - (cross_reach[0] << second)
    seen = PLANES * 20 * 20
    return [
        Layer(
            "cost layer, near",
            near.size,
            3,
            *work(near_work),
            *near_reach,
            seen,
        ),
        Layer(
            "cost layer, cross",
            cross.size,
            3,
            *work(cross_work),
            *cross_reach,
            seen,
        ),
        Layer(
            "cost layer, index",
            bias.size,
            8,
            *work(index_operations(tensors["shifts"])),
            lowest,
            highest,
            PLANES * PIXELS // 8,
        ),
    ]


def rate_layers(tensors: Tensors) -> list[Layer]:
    """The layers of a model of variable rate; the transforms share their weights."""
    from heqcodec.nqe_r.device_coder.tables import check_tables
    from heqcodec.nqe_r.transform import STAGE_SHIFT

    large = transform_layers(tensors["layers"], STAGE_SHIFT, 32)
    small = transform_layers(tensors["layers"], STAGE_SHIFT, 16)
    top = large[-1].highest >> STAGE_SHIFT
    tables = check_tables(tensors)
    count = sum(table.size for table in tables)
    bits = sum(8 * table.nbytes for table in tables)
    return [
        colour_layer(),
        *large,
        # The weights of 16 points are among those of 32.
        *(layer._replace(weights=0) for layer in small[:-1]),
        added(small[-1], means_operations())._replace(weights=0),
        Layer("size and levels", tensors["steps"].size, 16, None, None, -top, top, 6 * PIXELS),
        *cost_layers(tensors),
        Layer("device coder", count, round(bits / count), None, None, 0, (1 << 24) - 1, 15600),
    ]


def patch_layers(tensors: Tensors) -> list[Layer]:
    """The layers of a patch-constant model of the family of nqe-t."""
    from heqcodec.nqe_t.transform import STAGE_SHIFT

    layers = np.stack([tensors["coarse"], tensors["fine"]])
    rows, columns = transform_layers(layers, STAGE_SHIFT, 32)
    states = sum(tensors[name].size for name in ("significance", "flag", "refinement"))
    tables = tensors["lps"].size
    return [
        colour_layer(),
        rows,
        added(columns, *(gain_operations(gain) for gain in CHANNEL_GAIN)),
        Layer("patch coder, states", states, 7, None, None, 0, 127, PLANES * 36 * 36),
        Layer("patch coder, widths", tables, 16, None, None, 0, (1 << 24) - 1, 64),
        Layer("patch coder, order", tensors["order"].size, 8, None, None, 0, 41, 42),
    ]


def layer_operations(layers: Iterable[Layer]) -> Operations:
    """The one count of an encoder's operations a pixel: those of its layers, for any image.

    What depends on the image is not in it.
    """
    counted = [layer for layer in layers if layer.additions is not None]
    return Operations(
        sum(layer.additions or 0.0 for layer in counted),
        sum(layer.shifts or 0.0 for layer in counted),
    )


def added(layer: Layer, *more: Operations) -> Layer:
    """The layer with further operations."""
    return layer._replace(
        additions=(layer.additions or 0) + sum(part.additions for part in more),
        shifts=(layer.shifts or 0) + sum(part.shifts for part in more),
    )
