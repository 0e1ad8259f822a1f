"""A Karhunen-Loeve transform with classes and optimal bit allocation: ``patch-klt``."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cost import EncoderCost
from .lloyd_max import MAX_DEPTH, quantize
from .patch_codec import PatchCodec
from .planes import PIXELS, SAMPLES, SIDE, coefficients, integer_planes, pixels_of, planes_of
from .tables import load_tables, tables_identity

TABLES = "klt.safetensors"
CLASS_BITS = {64: 6, 128: 7, 256: 7, 512: 7}
"""Bits of a patch -> bits of its class. On validation photographs the last of them gains 0.05,
0.09, 0.07 and 0.03 dB, and one more gains 0.01 dB at 256 and 512 bits."""
SPREAD_STEPS = 8
"""Steps of the tables' standard deviations in an octave."""


def spread_of(exponents: NDArray[np.integer]) -> NDArray[np.float32]:
    """Standard deviations of the tables' exponents."""
    return np.exp2(exponents.astype(np.float32) / SPREAD_STEPS)


class CodedClass(NamedTuple):
    """How patches of a class are coded: the coefficients that get bits, in order of their codes.

    place: int64 (n,), plane * 1024 + row * 32 + column.
    depth: int64 (n,), 1 to 8 bits.
    start: int64 (n,), where the code begins in the patch's bits.
    spread: float64 (n,), standard deviation.
    """

    place: NDArray[np.int64]
    depth: NDArray[np.int64]
    start: NDArray[np.int64]
    spread: NDArray[np.float64]


class KltBlockCode(PatchCodec):
    """Transform code of each patch with a fixed number of bits for each coefficient.

    The textbook's code: colour planes; a separable 32x32 Karhunen-Loeve transform of each,
    learned from photographs; Lloyd-Max quantizers of a Laplacian variable; bits by greedy, that is
    optimal, allocation over the variances of all 3072 coefficients (Huang and Schultheiss 1963,
    Fox 1966). And, since one allocation does not suit all patches, classes with allocations of
    their own (Chen and Smith 1977), 64 at 64 bits and 128 above, fitted by a Lloyd iteration; the
    encoder tries all and takes the best. No entropy coding, so any bit may be damaged and costs
    one coefficient. Code of a patch: number of its class, then the coefficients' indices.

    Chosen on validation photographs: classes are worth 2.5 dB at 256 bits; a transform that is
    not separable gains 0.2 dB with one class, loses 0.1 dB with 16, and its matrices would be of
    megabytes; quantizers of a Gaussian variable lose 0.3 dB.

    Cost, on paper: colour 4 additions; the transform, whose vectors are even or odd, 32
    additions of mirrored samples and two 16x16 products for 32 samples, that is 16
    multiplications and 17 additions a sample and direction: 96 and 102 a pixel. Classes: for each
    coefficient with bits of each class its scaling, as many comparisons as it has bits, its point
    scaled back, and what it takes off the squared error, in all 3 multiplications and 2 additions
    without the comparisons, counted in the tables. Memory: tables of this rate (4 bytes for each
    such coefficient, 510 points of 4 bytes, three matrices of 16 bits), and the coefficients as
    32-bit integers (12,288).
    """

    name = "patch-klt"
    about = (
        "Karhunen-Loeve transform of each patch, 64 or 128 classes with optimal bit allocation, "
        "Lloyd-Max quantizers, fixed-length codes; tables fitted to training photographs"
    )
    kind = 3

    @cached_property
    def cost(self) -> EncoderCost:
        """See ``PatchCodec``; the classes' part is counted in the tables."""
        bits = 256
        classes = self._classes(bits)
        entries = sum(len(c.place) for c in classes)
        depths = sum(int(c.depth.sum()) for c in classes)
        return EncoderCost(
            multiplications_per_pixel=round(96 + 3 * entries / PIXELS, 1),
            additions_per_pixel=round(4 + 102 + (2 * entries + depths) / PIXELS, 1),
            memory_bytes=4 * entries + 4 * len(self._table["points"]) + 2 * SAMPLES + 4 * SAMPLES,
            note=f"the transform, and the trial of all {len(classes)} classes; tables in memory",
        )

    @cached_property
    def _table(self) -> dict[str, np.ndarray]:
        return load_tables(TABLES)

    @cached_property
    def _points(self) -> list[NDArray[np.float64]]:
        """Points of the quantizers by depth."""
        points = self._table["points"].astype(np.float64)
        return [points[2**depth - 2 : 2 ** (depth + 1) - 2] for depth in range(MAX_DEPTH + 1)]

    def _classes(self, bits: int) -> list[CodedClass]:
        return self._all_classes[bits]

    @cached_property
    def _all_classes(self) -> dict[int, list[CodedClass]]:
        return {bits: self._read_classes(bits) for bits in CLASS_BITS}

    def _read_classes(self, bits: int) -> list[CodedClass]:
        ends = self._table[f"ends_{bits}"]
        classes = []
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            depth = self._table[f"depth_{bits}"][first:end].astype(np.int64)
            classes.append(
                CodedClass(
                    self._table[f"place_{bits}"][first:end].astype(np.int64),
                    depth,
                    CLASS_BITS[bits] + np.cumsum(depth) - depth,
                    spread_of(self._table[f"spread_{bits}"][first:end]).astype(np.float64),
                )
            )
        return classes

    def tables(self) -> bytes:
        """See ``PatchCodec``."""
        return tables_identity(TABLES)

    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        exact = coefficients(integer_planes(patches), self._table["matrices"])
        exact = exact.reshape(len(patches), SAMPLES)
        classes = self._classes(bits)
        best, labels = np.full(len(exact), np.inf), np.zeros(len(exact), np.int64)
        for label, coded_class in enumerate(classes):
            change = self._error_change(exact[:, coded_class.place], coded_class)
            closer = change < best
            best[closer], labels[closer] = change[closer], label
        code = np.zeros((len(exact), bits), np.uint8)
        code[:, : CLASS_BITS[bits]] = _bits_of(labels, CLASS_BITS[bits])
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            self._write(code, rows, exact, classes[label])
        return np.packbits(code, axis=1)

    def _error_change(
        self, values: NDArray[np.float64], coded_class: CodedClass
    ) -> NDArray[np.float64]:
        """Squared error of coded coefficients, less that of leaving them zero, for each patch."""
        change = np.zeros(len(values))
        for depth in np.unique(coded_class.depth):
            places = np.flatnonzero(coded_class.depth == depth)
            original, spread = values[:, places], coded_class.spread[places]
            points = self._points[depth]
            coded = points[quantize(original / spread, points)] * spread
            change += np.sum(coded * (coded - 2 * original), axis=1)
        return change

    def _write(
        self,
        code: NDArray[np.uint8],
        rows: NDArray[np.intp],
        exact: NDArray[np.float64],
        coded_class: CodedClass,
    ) -> None:
        """Put the indices of patches of a class into their bits."""
        for depth in np.unique(coded_class.depth):
            places = np.flatnonzero(coded_class.depth == depth)
            values = exact[np.ix_(rows, coded_class.place[places])] / coded_class.spread[places]
            indices = quantize(values, self._points[depth])
            columns = coded_class.start[places][:, None] + np.arange(depth)
            code[rows[:, None, None], columns] = _bits_of(indices, depth)

    def decode_patches(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        code = np.unpackbits(codes, axis=1)
        bits = code.shape[1]
        labels = _number_of(code[:, : CLASS_BITS[bits]])
        exact = np.zeros((len(codes), SAMPLES))
        for label in np.unique(labels):
            rows, coded_class = np.flatnonzero(labels == label), self._classes(bits)[label]
            for depth in np.unique(coded_class.depth):
                places = np.flatnonzero(coded_class.depth == depth)
                columns = coded_class.start[places][:, None] + np.arange(depth)
                indices = _number_of(code[rows[:, None, None], columns])
                values = self._points[depth][indices] * coded_class.spread[places]
                exact[np.ix_(rows, coded_class.place[places])] = values
        planes = exact.reshape(-1, 3, SIDE, SIDE)
        return pixels_of(planes_of(planes, self._table["matrices"]))


def _bits_of(numbers: NDArray[np.integer], width: int) -> NDArray[np.uint8]:
    """Binary digits, highest first, along a new last axis."""
    return (numbers[..., None] >> np.arange(width)[::-1] & 1).astype(np.uint8)


def _number_of(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Numbers of binary digits along the last axis, highest first."""
    return digits.astype(np.int64) @ (1 << np.arange(digits.shape[-1])[::-1])
