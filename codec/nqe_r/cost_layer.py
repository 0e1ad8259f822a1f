"""The learned layer of the variable-rate encoder: what a level of 1 costs, and so its threshold.

::

    |c| ── (+ 5/16 step) / step, at most 3 ──► x: 12 maps of 16x16 (plane, sub)
                                                 │
               quinary 5x5, 4 maps to 4 a plane  │  quinary, the same place in the other planes
                        (near)                   │            (cross)
                           └──── << shift[0] ────┴──── << shift[1] ────┐
        bias of each level << 2 ───────────────────────────────────► minus
                                                                       │  >> 4, limited to 0..15
    |c| at least (8 + index) / 16 step? ◄──────────── index ◄──────────┘
        │
        └─► level 1, else 0   (from 1.5625 steps on: 2 and more, by `heqcodec.nqe_r.quantizer`)

A level that stands alone costs many bits, one among others few; at a step of D, a bit is worth
about 0.14 D^2 of squared error. The layer is trained to say the log odds of a level being 0, given
the levels around it (`heqcodec.lab.training.cost_fit`); with them a coefficient becomes 1 only
where
that pays (our choice: rate-distortion optimized quantization in one pass, in additions, with no
coder in the loop). Sums are integers below 2^15.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .layout import BANDS, LEVELS, SUBS, band_frequencies

PLANES = 3
REACH = 2
"""Of the near weights, in bands."""
SPAN = 2 * REACH + 1
TOP = 3
"""Larger magnitudes count as this one: 2 bits."""
INDICES = 16
BIAS_SHIFT = 2
INDEX_SHIFT = 4
QUINARY = 2
LARGEST_SHIFT = 4
COST_TENSORS = ("near", "cross", "bias", "shifts")
SHAPES = {
    "near": (2, PLANES, SUBS, SUBS, SPAN, SPAN),
    "cross": (2, PLANES, SUBS, PLANES - 1),
    "bias": (2, PLANES, LEVELS),
    "shifts": (2,),
}


class CostLayer:
    """The layer as integers.

    Args:
        tensors: int8, by `COST_TENSORS`: ``near`` -2..2 (size, plane, sub out, sub in, du, dv), 0
            at the level itself; ``cross`` -2..2 (size, plane, sub, which), which of the planes
            ``(plane + 1 + which) mod 3``; ``bias`` (size, plane, level); ``shifts`` 0..4, of near
            and cross.

    Raises:
        ValueError: a tensor is not of that kind.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        self.near, self.cross, self.bias, self.shifts = (
            _checked(name, tensors[name]) for name in COST_TENSORS
        )
        for name, weights in (("near", self.near), ("cross", self.cross)):
            if np.abs(weights).max() > QUINARY:
                raise ValueError(f"the weights {name} of the cost layer are not quinary")
        own = self.near[:, :, range(SUBS), range(SUBS), REACH, REACH]
        if own.any():
            raise ValueError("the cost layer weighs a level's own magnitude")
        if self.shifts.min() < 0 or self.shifts.max() > LARGEST_SHIFT:
            raise ValueError(f"shifts of the cost layer are 0 to {LARGEST_SHIFT}")

    @cached_property
    def _operators(self) -> list[list[NDArray[np.float32]]]:
        """The near weights as matrices, by transform size and plane, 24 MB; not made for C."""
        return [[_operator(near) for near in planes] for planes in self.near]

    def indices(
        self,
        magnitudes: NDArray[np.integer],
        size: int,
        relief: NDArray[np.int32] | None = None,
    ) -> NDArray[np.uint8]:
        """Indices of thresholds.

        Args:
            magnitudes: any integers from 0, (N, C, 1024), C 1 or 3; what is above 3 counts as 3.
            size: transform size of these patches, 0 or 1.
            relief: int32 (N,), taken off the indices of a patch; they stay at least 0.

        Returns:
            uint8 (N, C, 1024), 0..15.
        """
        count, planes = magnitudes.shape[:2]
        inputs = np.zeros((count, PLANES, LEVELS), dtype=np.float32)
        np.minimum(magnitudes, TOP, out=inputs[:, :planes], casting="unsafe")
        made = np.empty(magnitudes.shape, dtype=np.uint8)
        for plane in range(planes):
            # Integers in float32 are exact here: no sum passes 100 * 2 * 3.
            near = (inputs[:, plane] @ self._operators[size][plane]).astype(np.int32)
            others = [inputs[:, (plane + 1 + which) % PLANES] for which in range(PLANES - 1)]
            cross = sum(
                _by_sub(self.cross[size, plane, :, which]) * other.astype(np.int32)
                for which, other in enumerate(others)
            )
            total = (self.bias[size, plane].astype(np.int32) << BIAS_SHIFT) - (
                (near << int(self.shifts[0])) + (cross << int(self.shifts[1]))
            )
            index = np.clip(total >> INDEX_SHIFT, 0, INDICES - 1)
            made[:, plane] = index if relief is None else np.maximum(index - relief[:, None], 0)
        return made

    def weight_bits(self) -> dict[str, int]:
        """Bits of what a device holds, by part."""
        return {
            "cost layer, quinary (3 bits)": 3 * (self.near.size + self.cross.size),
            "cost layer, biases (8 bits)": 8 * self.bias.size,
        }


def thresholds(steps: NDArray[np.int32]) -> NDArray[np.int32]:
    """From which magnitude on a coefficient becomes 1, by index.

    Args:
        steps: integer steps, any shape; at least 1.

    Returns:
        int32 (..., INDICES): ``((8 + index) * step) >> 4``; a device adds up the multiples once an
        image.
    """
    return ((INDICES // 2 + np.arange(INDICES, dtype=np.int32)) * steps[..., None]) >> 4


def _checked(name: str, tensor: NDArray[np.generic]) -> NDArray[np.int8]:
    if tensor.dtype != np.int8 or tensor.shape != SHAPES[name]:
        raise ValueError(
            f"{name} of the cost layer is {tensor.dtype} {tensor.shape}, not int8 {SHAPES[name]}"
        )
    return tensor  # type: ignore[return-value]


def _by_sub(values: NDArray[np.int8]) -> NDArray[np.int32]:
    """One value a sub to one a level."""
    return np.tile(values.astype(np.int32), BANDS)


def _operator(near: NDArray[np.int8]) -> NDArray[np.float32]:
    """The 5x5 weights of a plane as a matrix from levels to levels, float32 (1024, 1024)."""
    frequencies = band_frequencies()
    band_at = np.full((16 + 2 * REACH, 16 + 2 * REACH), -1)
    band_at[tuple((frequencies + REACH).T)] = np.arange(BANDS)
    matrix = np.zeros((BANDS, SUBS, BANDS, SUBS), dtype=np.float32)
    for du in range(SPAN):
        for dv in range(SPAN):
            source = band_at[tuple((frequencies + np.array([du, dv])).T)]
            inside = np.flatnonzero(source >= 0)
            matrix[source[inside], :, inside, :] = near[:, :, du, dv].T
    return matrix.reshape(LEVELS, LEVELS)
