"""The encoder of the variable-rate mode, `nqe-r`: a `RateEncoder` made of its tensors.

By the C extension it runs the kernels that a microcontroller has, too: `heqcodec.export` writes the
same sources as a program of their own (codec/native/heq_transform.c, heq_levels.c). Where the
processor has vectors they are the fast ones (heq_transform_fast.c, heq_levels_fast.c); all numbers
are those of `heqcodec.nqe_r.transform` and `heqcodec.nqe_r.quantizer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.base.arguments import TuneName
from heqcodec.base.constants import STEPS, WEIGHTED
from heqcodec.base.errors import HeqError
from heqcodec.base.ids import tensors_id
from heqcodec.base.numerics import Arithmetic
from heqcodec.native.loader import native_extension
from heqcodec.native.transform_packing import PackedTransform, pack_transform
from numpy.typing import NDArray

from .cost_layer import BIAS_SHIFT, COST_TENSORS, INDEX_SHIFT, QUINARY, SHAPES, CostLayer
from .quantizer import OCTAVE, choose_levels, integer_steps, step_table
from .relief import Relief, relief_at
from .transform import SIZE, STAGE_SHIFT, TRANSFORM_SIZES, RateStem, dct_layers
from .weighting import base_step, step_factors, step_of, weighted

STEM_TENSORS = ("layers", "steps")
TENSORS = STEM_TENSORS + COST_TENSORS
_BATCH = 1024
_DIGIT_BITS = 3


def stem_tensors() -> dict[str, NDArray[np.generic]]:
    """The tensors of an encoder that has learned nothing yet.

    The rounded DCT, its steps, and a cost layer whose threshold is 11/16 of a step everywhere.
    """
    layers = dct_layers()
    blank = {name: np.zeros(shape, dtype=np.int8) for name, shape in SHAPES.items()}
    blank["bias"][:] = 3 << (INDEX_SHIFT - BIAS_SHIFT)
    return {"layers": layers, "steps": step_table(RateStem(layers)), **blank}


class RateNqe:
    """The `nqe-r` encoder (a `heqcodec.base.rate_protocols.RateEncoder`).

    Args:
        tensors: ``layers`` int8 (3, 32, 32), quinary levels; ``steps`` uint16 (2, 3, 128); and
            those of `CostLayer`.
        native: use the C extension? By default where it is built; the numbers are the same.

    Raises:
        ValueError: a tensor is not of that kind.
        RuntimeError: ``native`` is required and not built.
    """

    def __init__(
        self, tensors: Mapping[str, NDArray[np.generic]], native: bool | None = None
    ) -> None:
        self.stem = RateStem(tensors["layers"].astype(np.int8))
        self._steps = tensors["steps"].astype(np.uint16)
        if self._steps.shape != (TRANSFORM_SIZES, 3, OCTAVE) or not self._steps.all():
            raise ValueError("the table of steps is not positive, or not of shape (2, 3, 128)")
        self.costs = CostLayer(tensors)
        self.encoder_id = tensors_id(tensors, TENSORS)
        extension = None if native is False else native_extension()
        if native and extension is None:
            raise RuntimeError("heqcodec was installed without its C extension")
        self._native = _NativeEncoder(extension, self.stem, self.costs) if extension else None

    @property
    def kernel(self) -> str:
        """The kernel that encodes, C or numpy."""
        return "C" if self._native else "numpy"

    def coefficients(
        self, patches: NDArray[np.uint8], arithmetic: Arithmetic = "float32"
    ) -> NDArray[np.int32]:
        """uint8 (N, 32, 32, C) to int32 (N, 2, C, 1024), see `RateStem.forward`.

        Raises:
            ValueError: patches of another kind.
        """
        if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:3] != (SIZE, SIZE):
            raise ValueError(
                f"patches must be uint8 (N, {SIZE}, {SIZE}, C), not {patches.dtype} {patches.shape}"
            )
        if self._native and arithmetic == "float32" and patches.shape[3] in (1, 3):
            return self._native.coefficients(patches)
        if len(patches) <= _BATCH:
            return self.stem.forward(patches, arithmetic)
        parts = [
            self.stem.forward(patches[start : start + _BATCH], arithmetic)
            for start in range(0, len(patches), _BATCH)
        ]
        return np.concatenate(parts)

    def integer_steps(self, step: int) -> NDArray[np.int32]:
        """Steps in units of the coefficients, int32 (2, 3), by transform size and colour plane."""
        return integer_steps(self._steps, step)

    def level_steps(
        self, indices: NDArray[np.int64], transform_sizes: NDArray[np.uint8], planes: int
    ) -> NDArray[np.float32]:
        """Steps of the levels of N patches, weights by frequency included.

        Args:
            indices: of their quantizers, int64 (N,).
            transform_sizes: of the patches, uint8 (N,).
            planes: 1 or 3.

        Returns:
            float32 (N, planes, 1024), or (N, planes, 1) where no patch is weighted.
        """
        known, places = np.unique(indices, return_inverse=True)
        steps = np.stack([self.integer_steps(base_step(int(index))) for index in known])
        own = steps[places, transform_sizes][:, :planes, None].astype(np.float32)
        if known[-1] < WEIGHTED:
            return own
        factors = np.where(indices[:, None] < WEIGHTED, np.float32(1), step_factors())
        return own * factors[:, None]

    def levels(
        self, coefficients: NDArray[np.int32], step: int, tune: TuneName = "psnr"
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Choose transform sizes and quantize; see `RateEncoder.levels`.

        Raises:
            ValueError: the index is not in 0..2047, or there is no such tune.
        """
        if not 0 <= step < STEPS + WEIGHTED:
            raise ValueError(f"indices of quantizers are 0 to {STEPS + WEIGHTED - 1}, not {step}")
        steps, relief = self.integer_steps(base_step(step)), relief_at(step_of(step), tune)
        if step >= WEIGHTED:
            coefficients = weighted(coefficients)
        if self._native and coefficients.dtype == np.int32:
            return self._native.levels(coefficients, steps, relief)
        return choose_levels(coefficients, steps, self.costs, relief.of_costs)

    def weight_bits(self) -> dict[str, int]:
        """Bits of what the encoder must hold, its coder excepted, by part."""
        return {
            "transform, quinary (3 bits)": 3 * 3 * SIZE**2,
            "steps (16 bits)": 16 * self._steps.size,
            **self.costs.weight_bits(),
        }


class _NativeEncoder:
    """Coefficients and levels of patches.

    Args:
        extension: the module ``heqcodec._native``.
        stem: the transforms.
        layer: decides between levels of 0 and 1.
    """

    def __init__(self, extension: Any, stem: RateStem, layer: CostLayer) -> None:
        self._extension = extension
        self._stem = stem
        self._transform = _packed_transform(stem)
        self._layer = (packed_near(layer), packed_cross(layer), layer.bias, layer.shifts)

    def coefficients(self, patches: NDArray[np.uint8]) -> NDArray[np.int32]:
        """uint8 (N, 32, 32, C) to int32 (N, 2, C, 1024); see `RateStem.forward`."""
        packed = self._transform
        if packed is None:
            return self._stem.forward(patches)
        count, *sides, channels = patches.shape
        made = np.empty((count, TRANSFORM_SIZES, channels, sides[0] * sides[1]), dtype=np.int32)
        self._extension.rate_coefficients(
            packed.large,
            packed.small,
            packed.layers,
            packed.shift,
            np.ascontiguousarray(patches),
            channels,
            made,
        )
        return made

    def levels(
        self, coefficients: NDArray[np.int32], steps: NDArray[np.int32], relief: Relief
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Sizes and levels; see `heqcodec.nqe_r.quantizer.choose_levels`."""
        count, _, planes, amount = coefficients.shape
        levels = np.empty((count, planes, amount), dtype=np.int16)
        transform_sizes = np.empty(count, dtype=np.uint8)
        self._extension.rate_levels(
            *self._layer,
            np.ascontiguousarray(steps),
            *relief,
            np.ascontiguousarray(coefficients),
            planes,
            levels,
            transform_sizes,
        )
        return levels, transform_sizes


def _packed_transform(stem: RateStem) -> PackedTransform | None:
    """The transform as C holds it, or None: it is not even and odd in turn, as a DCT is."""
    try:
        return pack_transform(stem.layers, STAGE_SHIFT)
    except HeqError:
        return None


def packed_near(layer: CostLayer) -> NDArray[np.uint8]:
    """The 5x5 weights of the cost layer, plus 2, in three bit planes.

    Returns:
        uint8 (24, 3, 13): by transform size, plane and sub; by bit, lowest first; 100 bits, by
        neighbour and its sub, the first in the lowest bit of a byte.
    """
    # From (size, plane, sub, other sub, du, dv) to (size, plane, sub, du, dv, other sub).
    by_cell = np.moveaxis(layer.near, 3, -1).reshape(-1, 1, layer.near[0, 0, 0].size)
    return np.packbits(_digit_bits(by_cell), axis=-1, bitorder="little")


def packed_cross(layer: CostLayer) -> NDArray[np.uint8]:
    """The weights of the other planes, plus 2, in three bit planes: uint8 (3, 6), lowest first."""
    bits = _digit_bits(layer.cross.reshape(1, -1))
    return np.packbits(bits, axis=-1, bitorder="little")


def _digit_bits(digits: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Bits of digits -2..2 plus 2, (..., 1, n) to (..., 3, n)."""
    shifts = np.arange(_DIGIT_BITS, dtype=np.uint8)[:, None]
    return ((digits + QUINARY).astype(np.uint8) >> shifts) & np.uint8(1)
