"""`nqe-vgg`: seven convolutions choose a bit allocation, a transform measures.

::

    pixels ─┬─► conv1 .. conv6, bottleneck ──► 32 sums at 4x4 positions ──► totals + biases ──► +
            │       2 bits an activation                                                        ▲
            │                          levels of 23 bands ── quinary weights ── << shift ───────┤
            │                                  ▲                                                │
            └─► 32-point transform, two ──► coefficients                          the largest: class
                quinary layers                 └──► signs and cells, as the class says ──► code

The paper's network (arXiv 2501.05097) loses detail between its layers and keeps what kind of patch
it sees: so its bottleneck decides what is worth saying, and a straight path from the pixels, which
also adds to the bottleneck's sums, says it (our choice; docs/EVALUATION.md has what each step
brought). All is additions, shifts and comparisons, in at most 2^20 bits of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.base.constants import BUDGET_BITS
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.base.ids import tensors_id
from heqcodec.base.numerics import Arithmetic
from heqcodec.native.transform_packing import squares
from heqcodec.nqe_t.transform import TransformStem
from numpy.typing import NDArray

from .allocation import ALLOCATION_TENSORS, CLASSES, Allocation
from .bands import BANDS, band_levels
from .integer import IntegerVgg
from .packing import pack_layers, unpack_layers
from .payload import RATES, check_rate

STEM_TENSORS = ("coarse", "fine")
CLASS_TENSORS = ("bands", "band_shift", "bias")
BIAS_BITS = 16
BAND_BITS = 3
QUINARY = 2
"""Largest magnitude of a weight."""
MOST_SHIFT = 8
_BATCH = 512


class VggNqe:
    """The encoder, a `PatchEncoder`.

    Args:
        tensors: of the convolutions (`heqcodec.nqe_vgg.packing.pack_layers`); ``bands``, int8
            (32, 23), -2..2, weights of the levels of bands by class; ``band_shift``, uint8 (1,);
            ``bias``, int16 (32,), of the classes; ``coarse`` and ``fine`` of the transform, as
            `nqe-t` has them; and those of `Allocation`.
        native: use the C extension? By default where it is built; the codes are the same.

    Raises:
        HeqFormatError: they do not make such an encoder.
        HeqError: they take more than 2^20 bits.
        KeyError: one is missing.
    """

    coder = 0
    coder_id = bytes(8)
    rates: tuple[int, ...] = RATES

    def __init__(self, tensors: Mapping[str, NDArray[Any]], native: bool = True) -> None:
        self.network = IntegerVgg(unpack_layers(tensors), native)
        self.stem = TransformStem(*(tensors[name] for name in STEM_TENSORS))
        self.allocation = Allocation(tensors)
        self.bands, self.band_shift, self.bias = (tensors[name] for name in CLASS_TENSORS)
        for name, array, dtype, shape in (
            ("weights of bands", self.bands, np.int8, (CLASSES, BANDS)),
            ("shift of bands", self.band_shift, np.uint8, (1,)),
            ("biases", self.bias, np.int16, (CLASSES,)),
        ):
            if array.shape != shape or array.dtype != dtype:
                raise HeqFormatError(f"its {name} are {array.dtype} of shape {array.shape}")
        if np.abs(self.bands.astype(int)).max() > QUINARY or self.band_shift[0] > MOST_SHIFT:
            raise HeqFormatError(
                "its weights of bands are not quinary, or their shift is too large"
            )
        self._layers = np.stack([tensors[name] for name in STEM_TENSORS])
        self._tensors = {name: tensors[name] for name in encoder_names(self.network)}
        self.encoder_id = tensors_id(self._tensors, tuple(self._tensors))
        if (bits := sum(self.weight_bits().values())) > BUDGET_BITS:
            raise HeqError(f"nqe-vgg takes {bits} bits, more than {BUDGET_BITS}.")

    @property
    def kernel(self) -> str:
        """What computes the convolutions, in words."""
        return self.network.kernel

    def scores(
        self,
        patches: NDArray[np.uint8],
        coefficients: NDArray[np.int32],
        arithmetic: Arithmetic = "float32",
    ) -> NDArray[np.int64]:
        """Scores of the classes, int64 (N, 32); the first of the largest is the patch's class.

        Args:
            patches: as for `encode_patches`.
            coefficients: of the patches, by ``stem``.
            arithmetic: see `IntegerVgg.codes`.
        """
        straight = band_levels(coefficients) @ self.bands.T.astype(np.int64)
        totals = self.network.totals(patches, arithmetic)
        return totals + (straight << int(self.band_shift[0])) + self.bias

    def classes(
        self, patches: NDArray[np.uint8], arithmetic: Arithmetic = "float32"
    ) -> NDArray[np.int64]:
        """The class of each patch, int64 (N,); arguments as of `scores`."""
        coefficients = self.stem.forward(patches, arithmetic)
        return self.scores(patches, coefficients, arithmetic).argmax(axis=1)

    def encode_patches(
        self, patches: NDArray[np.uint8], bits: int, arithmetic: Arithmetic = "float32"
    ) -> NDArray[np.uint8]:
        """uint8 (N, 32, 32, C) to codes uint8 (N, bits // 8); see `PatchEncoder`.

        ``arithmetic`` is for checks, see `IntegerVgg.codes`.

        Raises:
            HeqUnsupportedError: ``bits`` is not one of ``rates``.
            ValueError: patches of another shape or dtype.
        """
        check_rate(bits)
        codes = np.empty((len(patches), bits // 8), dtype=np.uint8)
        for start in range(0, len(patches), _BATCH):
            part = patches[start : start + _BATCH]
            coefficients = self.stem.forward(part, arithmetic)
            labels = self.scores(part, coefficients, arithmetic).argmax(axis=1)
            whole = self.allocation.encode(coefficients, labels)
            codes[start : start + _BATCH] = np.packbits(whole[:, :bits], axis=1)
        return codes

    def packed(self) -> dict[str, NDArray[Any]]:
        """The tensors that it was made of."""
        return dict(self._tensors)

    def weight_bits(self) -> dict[str, int]:
        """Bits of everything that the encoder must hold, by part."""
        return {
            **self.network.weight_bits(),
            "bands, quinary (3 bits)": BAND_BITS * self.bands.size,
            "biases and shift of classes": BIAS_BITS * CLASSES + 8,
            "transform, quinary (3 bits)": 3 * transform_digits(self._layers),
            **self.allocation.weight_bits(),
        }


def encoder_names(network: IntegerVgg) -> list[str]:
    """The tensors of an encoder with these convolutions, in the order they are hashed."""
    return [*pack_layers(network.layers), *CLASS_TENSORS, *STEM_TENSORS, *ALLOCATION_TENSORS]


def transform_digits(layers: NDArray[np.int8]) -> int:
    """Digits of a transform that a device holds: rows are even or odd about their middle.

    Args:
        layers: int8 (L, 32, 32).

    Raises:
        HeqError: they are not.
    """
    return sum(square.size for square in squares(layers))
