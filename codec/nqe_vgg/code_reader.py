"""What a code of `nqe-vgg` says of a patch: its class, and expected values of coefficients."""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_t.transform import CHANNEL_GAIN, SIZE
from numpy.typing import NDArray

from .allocation import CELLS, CLASS_BITS, CLASSES, COEFFICIENTS, MOST_BITS, PLACES
from .encoder import VggNqe

POINTS = "points"
"""The tensor of expected magnitudes among those of the decoder."""


class ClassCodeReader:
    """Reads codes of an encoder.

    Args:
        encoder: whose codes are read.
        points: expected magnitudes at scale 0, in the unit of coefficients: float32
            (`MOST_BITS`, `CELLS`), by number of bits known less 1 and cell; of b bits the first
            2^(b - 1) count.

    Raises:
        ValueError: points of another shape.
    """

    hints = CLASSES
    """Numbers a patch in addition to the pixels: 1 for its class, 0 for the others."""

    def __init__(self, encoder: VggNqe, points: NDArray[np.float32]) -> None:
        if points.shape != (MOST_BITS, CELLS):
            raise ValueError(f"expected magnitudes have the shape {points.shape}")
        self._encoder, self._points = encoder, points.astype(np.float32)
        scales = encoder.allocation.scales.astype(np.int64)
        root = np.where(scales & 1, np.float32(45 / 32), np.float32(1))
        self._factors = np.ldexp(root, scales >> 1).astype(np.float32)

    def labels(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Classes of codes uint8 (N, bytes), int64 (N,)."""
        return codes[:, 0].astype(np.int64) >> (8 - CLASS_BITS)

    def coefficients(self, codes: NDArray[np.uint8], channels: int) -> NDArray[np.float32]:
        """Expected values of the coefficients of `PLACES`, float32 (N, 243); 0 where no bit is."""
        bits = np.unpackbits(codes, axis=1)
        labels, length = self.labels(codes), bits.shape[1]
        counts = self._encoder.allocation.counts(length, channels)
        values = np.zeros((len(codes), COEFFICIENTS), dtype=np.float32)
        for label in np.unique(labels):
            chosen = np.flatnonzero(labels == label)
            order = self._encoder.allocation.order(int(label), channels)
            known = bits[chosen, CLASS_BITS:]
            words = np.zeros((len(chosen), COEFFICIENTS), dtype=np.int64)
            for place, index in enumerate(order.coefficient[: length - CLASS_BITS]):
                words[:, index] = 2 * words[:, index] + known[:, place]
            count = counts[label]
            coded = np.flatnonzero(count)
            # The first bit is the sign, those behind it the cell.
            top = 1 << (count[coded] - 1)
            cells, negative = words[:, coded] & (top - 1), words[:, coded] >= top
            sizes = self._points[count[coded] - 1, cells] * self._factors[label, coded]
            values[np.ix_(chosen, coded)] = np.where(negative, -sizes, sizes)
        return values

    def pixels(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The plain inverse transform.

        Args:
            values: of the coefficients, see `coefficients`.

        Returns:
            RGB samples float32 (N, 3, 32, 32), around 0..255 but not limited to it.
        """
        stem = self._encoder.stem
        field = np.zeros((len(values), 3 * SIZE**2), dtype=np.float32)
        field[:, PLACES] = values
        planes = field.reshape(-1, 3, SIZE, SIZE)
        planes /= np.asarray(CHANNEL_GAIN, dtype=np.float32)[:, None, None]
        colours: NDArray[np.float32] = np.matmul(
            stem.inverse_matrix @ planes, stem.inverse_matrix.T, dtype=np.float32
        )
        colours[:, 0] += 384
        return np.einsum("dc,nchw->ndhw", stem.colour_inverse, colours, optimize=True)

    def hints_of(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The classes of codes as float32 (N, 32) of 0 and 1."""
        return np.eye(CLASSES, dtype=np.float32)[self.labels(codes)]
