"""The encoder of the variable-rate mode, `nqe-r`: a `RateEncoder` made of its tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from heqcodec.base.ids import tensors_id
from heqcodec.base.numerics import Arithmetic
from heqcodec.native.loader import native_extension
from numpy.typing import NDArray

from .cost_layer import BIAS_SHIFT, COST_TENSORS, INDEX_SHIFT, SHAPES, CostLayer
from .native_encoder import NativeEncoder
from .quantizer import OCTAVE, choose_levels, integer_steps, step_table
from .transform import SIZE, TRANSFORM_SIZES, RateStem, dct_layers

STEM_TENSORS = ("layers", "steps")
TENSORS = STEM_TENSORS + COST_TENSORS
_BATCH = 1024


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
        RuntimeError: ``native`` is asked for and not built.
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
        self._native = NativeEncoder(extension, self.stem, self.costs) if extension else None

    @property
    def kernel(self) -> str:
        """What encodes, in words."""
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

    def levels(
        self, coefficients: NDArray[np.int32], step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Choose transform sizes and quantize; see `RateEncoder.levels`.

        Raises:
            ValueError: the step index is not in 0..1023.
        """
        steps = self.integer_steps(step)
        if self._native and coefficients.dtype == np.int32:
            return self._native.levels(coefficients, steps)
        return choose_levels(coefficients, steps, self.costs)

    def weight_bits(self) -> dict[str, int]:
        """Bits of what the encoder must hold beside its coder, by part."""
        return {
            "transform, quinary (3 bits)": 3 * 3 * SIZE**2,
            "steps (16 bits)": 16 * self._steps.size,
            **self.costs.weight_bits(),
        }
