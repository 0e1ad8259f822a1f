"""Block compressed sensing: each patch measured by a few inner products of 8 bits."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .cost import EncoderCost
from .patch_codec import PatchCodec
from .planes import (
    NORMS,
    PIXELS,
    SAMPLES,
    SIDE,
    dct_matrix,
    integer_planes,
    pixels_of,
)
from .tables import load_tables, tables_identity

TABLES = "sensing.safetensors"
MEASUREMENT_BITS = 8
SPLIT = {64: (6, 1, 1), 128: (14, 1, 1), 256: (28, 2, 2), 512: (56, 4, 4)}
"""Bits of a patch -> random measurements of each colour plane; best on validation photographs."""
MOST = max(split[0] for split in SPLIT.values())
LEARNED = 64
"""Rows of the learned measurement matrix."""

_HALF = 2 ** (MEASUREMENT_BITS - 1)
GRAY = 128
_SEED = b"heqcodec block compressed sensing, row "


def random_rows(count: int) -> NDArray[np.int8]:
    """The measurement matrix, int8 (count, 1024) of +1 and -1, the same everywhere and always.

    Row 0 is of ones: the sum of the patch. Each other row has 512 of each sign in an order drawn
    with SHAKE-256 from its number.
    """
    rows = np.ones((count, PIXELS), np.int8)
    for number in range(1, count):
        stream = hashlib.shake_256(_SEED + str(number).encode()).digest(4 * PIXELS)
        order = np.argsort(np.frombuffer(stream, "<u4"), kind="stable")
        rows[number, order[: PIXELS // 2]] = -1
    return rows


def quantized(values: NDArray[np.int64], shifts: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Measurements in 8 bits, in steps of 2^shift, clipped; int64 (N, M) -> uint8 (N, M)."""
    steps = values >> shifts.astype(np.int64)
    return (np.clip(steps, -_HALF, _HALF - 1) + _HALF).astype(np.uint8)


def measured(codes: NDArray[np.uint8], shifts: NDArray[np.integer]) -> NDArray[np.float64]:
    """The middles of the steps of :func:`quantized`."""
    return (codes.astype(np.float64) - _HALF + 0.5) * np.exp2(shifts.astype(np.float64))


def shifts_of(deviations: NDArray[np.float64], reach: float) -> NDArray[np.int8]:
    """The smallest shifts at which 256 steps reach ``reach`` standard deviations to both sides."""
    return np.maximum(0, np.ceil(np.log2(reach * deviations / _HALF))).astype(np.int8)


class RandomSensing(PatchCodec):
    """Random measurements of each colour plane, rebuilt by the linear estimate of least error.

    After Gan, "Block compressed sensing of natural images", 2007: a fixed random matrix, here of
    +1 and -1 (as good as a Gaussian one in theory, and it needs no multiplication), 8 bits a
    measurement, 8, 16, 32 or 64 of them a patch. Of each plane the first measurement is its sum.
    Luma gets 28 of 32 and each plane of chroma 2 (6, 1, 1 at 8; 14, 1, 1 at 16; 56, 4, 4 at 64;
    about the best on validation photographs); the same rows serve all planes. Steps are powers of
    two. The estimate is the linear one of minimum mean squared error under a covariance that is
    diagonal in the DCT, with variances learned from photographs (the full covariance of 1024
    pixels gained nothing where it was tried, with 8 measurements), and noise of a twelfth of the
    squared step.

    Cost, on paper: colour 4 additions, and one addition a pixel for each measurement of a plane:
    32. Memory: 32 sums of 4 bytes and 28 rows of signs, a bit each; pixels are read once.
    """

    name = "patch-cs"
    about = (
        "block compressed sensing: random +-1 measurements of 32x32 patches, 8 bits each (32 a "
        "patch at 0.25 bpp), linear estimate of least squared error, covariance from photographs"
    )
    kind = 4
    cost = EncoderCost(
        multiplications_per_pixel=0.0,
        additions_per_pixel=36.0,
        memory_bytes=4 * 32 + 28 * PIXELS // 8,
        note="rows of signs could be drawn by a shift register instead of stored",
    )

    @cached_property
    def _rows(self) -> NDArray[np.int8]:
        return random_rows(MOST)

    def _shifts(self, bits: int) -> list[NDArray[np.int8]]:
        table = load_tables(TABLES)["random_shifts"]
        return [table[plane, :count] for plane, count in enumerate(SPLIT[bits])]

    @cached_property
    def _estimators(self) -> dict[int, list[NDArray[np.float64]]]:
        """Bits of a patch -> for each plane pixels of measurements, float64 (1024, M)."""
        variances = load_tables(TABLES)["variances"].astype(np.float64)
        dct = dct_matrix()
        # Rows of the matrix in the DCT, in which the covariance is diagonal.
        images = self._rows.reshape(MOST, SIDE, SIDE).astype(np.float64)
        rows = (dct @ images @ dct.T).reshape(MOST, PIXELS)
        estimators: dict[int, list[NDArray[np.float64]]] = {}
        for bits, split in SPLIT.items():
            estimators[bits] = []
            for plane, (count, shifts) in enumerate(zip(split, self._shifts(bits), strict=True)):
                phi = rows[:count] * NORMS[plane]
                covariance = (phi * variances[plane]) @ phi.T
                noise = np.exp2(2.0 * shifts.astype(np.float64)) / 12
                gain = np.linalg.solve(covariance + np.diag(noise), phi * variances[plane])
                images = dct.T @ gain.reshape(count, SIDE, SIDE) @ dct
                estimators[bits].append(images.reshape(count, PIXELS).T)
        return estimators

    def tables(self) -> bytes:
        """See ``PatchCodec``."""
        return tables_identity(TABLES)

    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        planes = integer_planes(patches).reshape(len(patches), 3, PIXELS)
        codes = []
        for plane, (count, shifts) in enumerate(zip(SPLIT[bits], self._shifts(bits), strict=True)):
            codes.append(quantized(random_values(planes[:, plane], self._rows[:count]), shifts))
        return np.concatenate(codes, axis=1)

    def decode_patches(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        bits = 8 * codes.shape[1]
        planes = np.empty((len(codes), 3, PIXELS))
        first = 0
        for plane, (count, shifts) in enumerate(zip(SPLIT[bits], self._shifts(bits), strict=True)):
            values = measured(codes[:, first : first + count], shifts)
            planes[:, plane] = values @ self._estimators[bits][plane].T
            first += count
        return pixels_of(planes.reshape(-1, 3, SIDE, SIDE))


class LearnedSensing(PatchCodec):
    """Measurements learned by principal component analysis of whole patches, 8 bits each.

    The best linear measurements there are for squared error: the strongest directions of all
    3072 samples of red, green and blue together, so the split between luma and chroma is learned
    too. The rows are 8-bit integers, each scaled to its full range; their pseudo-inverse rebuilds
    the patch. Steps are powers of two.

    Cost, on paper: a multiplication and an addition a sample for each of 32 measurements, of
    samples about mid-gray (3 additions). Memory: 32 rows of 3072 bytes and 32 sums; pixels are
    read once.
    """

    name = "patch-cs-learned"
    about = (
        "block compressed sensing with learned (principal component) measurements of 32x32 "
        "patches, 8 bits each (32 a patch at 0.25 bpp), linear reconstruction"
    )
    kind = 5
    cost = EncoderCost(
        multiplications_per_pixel=96.0,
        additions_per_pixel=99.0,
        memory_bytes=32 * SAMPLES + 4 * 32,
        note="the memory is the measurement matrix",
    )

    @cached_property
    def _inverses(self) -> dict[int, NDArray[np.floating]]:
        """Bits of a patch -> samples of measurements, float64 (3072, M)."""
        rows = load_tables(TABLES)["learned_rows"].astype(np.float64)
        return {bits: np.linalg.pinv(rows[: bits // MEASUREMENT_BITS]) for bits in SPLIT}

    def tables(self) -> bytes:
        """See ``PatchCodec``."""
        return tables_identity(TABLES)

    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        table, count = load_tables(TABLES), bits // MEASUREMENT_BITS
        values = learned_values(patches, table["learned_rows"][:count])
        return quantized(values, table["learned_shifts"][:count])

    def decode_patches(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        shifts = load_tables(TABLES)["learned_shifts"][: codes.shape[1]]
        samples = measured(codes, shifts) @ self._inverses[8 * codes.shape[1]].T
        pixels = np.clip(np.rint(samples + GRAY), 0, 255).astype(np.uint8)
        return pixels.reshape(-1, SIDE, SIDE, 3)


def learned_values(patches: NDArray[np.uint8], rows: NDArray[np.int8]) -> NDArray[np.int64]:
    """Products of rows (M, 3072) with samples about mid-gray, exact, int64 (N, M)."""
    centred = patches.reshape(len(patches), SAMPLES).astype(np.float64) - GRAY
    return (centred @ rows.T.astype(np.float64)).astype(np.int64)


def random_values(planes: NDArray[np.integer], rows: NDArray[np.int8]) -> NDArray[np.int64]:
    """Products of rows (M, 1024) with one plane of patches (N, 1024), exact, int64 (N, M)."""
    return (planes.astype(np.float64) @ rows.T.astype(np.float64)).astype(np.int64)
