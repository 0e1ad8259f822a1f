"""One layer of `nqe-vgg` as integers, with all that it must satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from heqcodec.base.errors import HeqError, HeqFormatError

from .layout import MODEL_NAME, VggLayer
from .skips import Skip, check_skip

FLOAT32_EXACT = 2**24
OFFSET_BITS = 16
MOST_LEVELS = 128
"""Of a layer: of an even number the largest is then 127, which int8 holds."""


@dataclass(frozen=True)
class IntegerLayer:
    """One layer: weights, and either thresholds or a shift.

    Attributes:
        layer: its place in the network.
        levels: int8 (out, in / groups, kernel, kernel), each one of ``layer.levels``.
        thresholds: int32 (out, len(layer.cuts)), ascending; the output is how many of them the
            accumulator reaches. None in the shift form.
        shift: the output is the accumulator, shifted right by so many bits (left if negative) and
            clamped to 0..3; the code layer ignores it and takes the sign, with sign(0) = +1.
        skip: what joins the output with the layer's input, see `heqcodec.nqe_vgg.skips`.
        offset: added to the accumulator before the shift; 0 where there are thresholds, and in the
            code layer.
        selects: of a MUX skip, int32 (out,): the sums of the output's map from which a channel
            opens.
    """

    layer: VggLayer
    levels: np.ndarray
    thresholds: np.ndarray | None = None
    shift: int = 0
    skip: Skip = "none"
    selects: np.ndarray | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        name = self.layer.name
        if self.levels.shape != self.layer.shape or self.levels.dtype != np.int8:
            raise HeqFormatError(
                f"{MODEL_NAME}: the weights of {name} are {self.levels.dtype} of shape "
                f"{self.levels.shape}, but int8 of shape {self.layer.shape} are needed."
            )
        if not np.isin(self.levels, self.layer.levels).all():
            raise HeqFormatError(
                f"{MODEL_NAME}: {name} holds weights other than {self.layer.levels}."
            )
        if self.thresholds is not None:
            shape = (self.layer.outputs, len(self.layer.cuts))
            if self.thresholds.shape != shape or self.thresholds.dtype != np.int32:
                raise HeqFormatError(
                    f"{MODEL_NAME}: the thresholds of {name} must be int32 of shape {shape}."
                )
            lowest, highest = -self.layer.bound, self.layer.bound + 1
            if self.thresholds.min() < lowest or self.thresholds.max() > highest:
                raise HeqFormatError(
                    f"{MODEL_NAME}: the thresholds of {name} must lie in {lowest}..{highest}."
                )
            if (np.diff(self.thresholds, axis=1) < 0).any():
                raise HeqFormatError(f"{MODEL_NAME}: the thresholds of {name} must ascend.")
        if self.offset and (self.thresholds is not None or len(self.layer.cuts) == 1):
            raise HeqFormatError(f"{MODEL_NAME}: {name} has no shift that an offset could precede.")
        check_skip(self.layer, self.skip, self.selects)
        check_float32_exact(self.levels, self.layer.top, name)


def check_float32_exact(levels: np.ndarray, top: int, name: str) -> None:
    """Raise HeqError unless float32 holds every partial sum of the convolution exactly.

    Args:
        levels: integers, (out, ...): the weights of each output along the other axes.
        top: largest magnitude of an input.
        name: for the message.
    """
    magnitudes = np.abs(levels.astype(np.int64)).reshape(len(levels), -1).sum(axis=1)
    worst = int(magnitudes.max()) * top
    if worst >= FLOAT32_EXACT:
        raise HeqError(
            f"{name}: an accumulator can reach {worst}, and float32 is exact below "
            f"{FLOAT32_EXACT} only; split the convolution or use float64."
        )


def offset_bits(layers: Sequence[IntegerLayer]) -> int:
    """Bits of the stored offsets: none where all are 0."""
    return OFFSET_BITS * (len(layers) - 1) if any(item.offset for item in layers) else 0
