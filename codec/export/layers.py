"""What each layer of an encoder holds and does, from its weights: for those who build hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from heqcodec.nqe.transform import COLOUR, PIXEL_OFFSET
from numpy.typing import NDArray

from .packing import LARGEST_SAMPLE, squares

PIXELS = 32 * 32
PLANES = 3
TOP_SEEN = 3
"""Largest magnitude that the cost layer is told."""
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
    """The three colour planes."""
    colour = COLOUR.astype(np.int64)
    highest = int(np.maximum(255 * np.clip(colour, 0, None).sum(axis=1), 1).max())
    return Layer(
        "colour planes",
        colour.size,
        3,
        float((colour != 0).sum() - len(colour) + (PIXEL_OFFSET != 0).sum()),
        float((np.abs(colour) == 2).sum()),
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
    left = squares(own)
    butterflies = sum(2 * square.shape[-1] for square in left[:-1])
    digits = np.concatenate([np.abs(square).ravel() for square in left])
    # A coefficient: its digits, then all layers but one put together, and the rounding.
    combined = len(own)
    additions = PLANES * ((butterflies + np.count_nonzero(digits)) / points + combined)
    shifts = PLANES * (float((digits == 2).sum()) / points + combined)
    made, limit = [], LARGEST_SAMPLE
    for name, size in (("rows", 2), ("columns", 4)):
        total = limit * gain + (1 << (shift - 1))
        made.append(
            Layer(
                f"{name}, {points} points",
                digits.size if name == "rows" else 0,  # the columns have the same
                3,
                additions,
                shifts,
                -total,
                total,
                size * PIXELS,
            )
        )
        limit = (total >> shift) + 1
    return made


def cost_layers(tensors: Tensors) -> list[Layer]:
    """The layer that decides between levels of 0 and 1, if it is asked for every level."""
    near, cross, bias = (tensors[name].astype(np.int64) for name in ("near", "cross", "bias"))
    first, second = (int(shift) for shift in tensors["shifts"])

    def reach(weights: NDArray[np.int64], axes: tuple[int, ...]) -> tuple[int, int]:
        return (
            TOP_SEEN * int(np.minimum(weights, 0).sum(axis=axes).min()),
            TOP_SEEN * int(np.maximum(weights, 0).sum(axis=axes).max()),
        )

    def work(weights: NDArray[np.int64]) -> tuple[float, float]:
        # Of one size: each weight meets a level of each band, a quarter of the levels of a plane.
        return (
            float(np.count_nonzero(weights[0])) / 4,
            float((np.abs(weights[0]) == 2).sum()) / 4,
        )

    near_reach, cross_reach = reach(near, (3, 4, 5)), reach(cross, (3,))
    lowest = 4 * int(bias.min()) - (near_reach[1] << first) - (cross_reach[1] << second)
    highest = 4 * int(bias.max()) - (near_reach[0] << first) - (cross_reach[0] << second)
    seen = PLANES * 20 * 20
    return [
        Layer("cost layer, near", near.size, 3, *work(near), *near_reach, seen),
        Layer("cost layer, cross", cross.size, 3, *work(cross), *cross_reach, seen),
        Layer("cost layer, index", bias.size, 8, 12.0, 12.0, lowest, highest, PLANES * PIXELS // 8),
    ]


def rate_layers(tensors: Tensors) -> list[Layer]:
    """The layers of a model of variable rate; the transforms share their weights."""
    from heqcodec.rate.device.tables import check_tables
    from heqcodec.rate.transform import STAGE_SHIFT

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
        *(layer._replace(weights=0) for layer in small),
        Layer("size and levels", tensors["steps"].size, 16, None, None, -top, top, 6 * PIXELS),
        *cost_layers(tensors),
        Layer("device coder", count, round(bits / count), None, None, 0, (1 << 24) - 1, 15600),
    ]


def patch_layers(tensors: Tensors) -> list[Layer]:
    """The layers of a patch-constant model of the family of nqe-t."""
    from heqcodec.nqe.transform import STAGE_SHIFT

    layers = np.stack([tensors["coarse"], tensors["fine"]])
    states = sum(tensors[name].size for name in ("significance", "flag", "refinement"))
    tables = tensors["lps"].size
    return [
        colour_layer(),
        *transform_layers(layers, STAGE_SHIFT, 32),
        Layer("patch coder, states", states, 7, None, None, 0, 127, PLANES * 36 * 36),
        Layer("patch coder, widths", tables, 16, None, None, 0, (1 << 24) - 1, 64),
        Layer("patch coder, order", tensors["order"].size, 8, None, None, 0, 41, 42),
    ]
