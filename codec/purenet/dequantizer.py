"""From levels back to pixels by the plain inverse transform: what PURENET starts from.

Floating point is allowed here: nothing that follows decides a bit of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.base.colour import COLOUR
from heqcodec.base.constants import STEPS
from heqcodec.base.threads import run_batches
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import (
    BANDS,
    LEVELS,
    QUARTERS,
    SUBS,
    band_frequencies,
    cell_places,
    level_maps,
)
from heqcodec.nqe_r.quantizer import OCTAVE
from heqcodec.nqe_r.transform import SIZE, TRANSFORM_SIZES
from heqcodec.nqe_r.weighting import step_of
from numpy.typing import NDArray

MAGNITUDES = 3
"""Classes of magnitude that have their own place in the interval: 1, 2, and 3 or more."""
ZONES = 8
"""Classes of frequency, by the norm of (u, v): up to 1, 2, 3.5, 5, 7, 9, 12, and beyond."""
OCTAVES = STEPS // OCTAVE
BATCH = 32
"""Patches that are transformed together: their coefficients stay in a processor's cache."""
PLACES = "dequantizer.places"
"""Name of the stored reconstruction points, among the tensors of a network."""
_ZONE_ENDS = np.array([1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0])


def band_zones() -> NDArray[np.int64]:
    """The class of frequency of each band, int64 (BANDS,), 0..ZONES - 1."""
    frequency = np.sqrt((band_frequencies() ** 2).sum(axis=1))
    return np.searchsorted(_ZONE_ENDS, frequency, side="left")


def default_places() -> NDArray[np.float32]:
    """Reconstruction points before a fit, float32 (TRANSFORM_SIZES, OCTAVES, ZONES, MAGNITUDES).

    A coefficient of level q stands at ``(|q| + place) step``. Its interval reaches from 0.31 below
    to 0.69 above q steps; small coefficients are the more frequent, so 0.1 is below the middle.
    """
    return np.full((TRANSFORM_SIZES, OCTAVES, ZONES, MAGNITUDES), 0.1, dtype=np.float32)


class Dequantizer:
    """The plain inverse transform of an encoder's levels, without a network.

    Args:
        encoder: whose levels are read.
        places: see `default_places`.
    """

    def __init__(self, encoder: RateNqe, places: NDArray[np.float32]) -> None:
        if places.shape != (TRANSFORM_SIZES, OCTAVES, ZONES, MAGNITUDES):
            raise ValueError(f"reconstruction points have the shape {places.shape}")
        self._encoder, self._places = encoder, places.astype(np.float32)
        self._zones = np.repeat(band_zones(), SUBS)
        self._large, self._small = (
            np.linalg.inv(matrix / 32.0) for matrix in encoder.stem.matrices
        )
        self._colour = np.linalg.inv(COLOUR.astype(np.float64)).astype(np.float32)

    @property
    def places(self) -> NDArray[np.float32]:
        """See `default_places`."""
        return self._places

    def coefficients(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64] | int,
    ) -> NDArray[np.float32]:
        """Coefficients of levels (N, C, 1024), float32 of that shape, in the encoder's units;
        arguments as for `pixels`."""
        patches = np.arange(len(transform_sizes))
        indices = np.broadcast_to(steps, len(transform_sizes))
        units = self._encoder.level_steps(indices, transform_sizes, levels.shape[1])
        magnitude = np.abs(levels.astype(np.int32))
        kind = np.clip(magnitude, 1, MAGNITUDES) - 1
        table = self._places[transform_sizes, step_of(indices) // OCTAVE]
        place = table[patches[:, None, None], self._zones, kind]
        value = (magnitude + place) * units
        signed: NDArray[np.float32] = np.where(levels == 0, 0, np.copysign(value, levels))
        return signed.astype(np.float32)

    def pixels(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64] | int,
        scale: int = 1,
    ) -> NDArray[np.float32]:
        """Plain inverse.

        Args:
            levels: int16 (N, C, 1024), C 1 or 3.
            transform_sizes: uint8 (N,).
            steps: index of the quantizer of each patch, int64 (N,), or of all.
            scale: 1, 2, 4, 8 or 16; a sample is the mean of so many squared.

        Returns:
            RGB samples float32 (N, 3, 32 / scale, 32 / scale), around 0..255 but not limited to it;
            gray patches have three equal ones.
        """
        count, channels = levels.shape[:2]
        side = SIZE // scale
        indices = np.broadcast_to(steps, count)
        frames = np.empty((count, 3, side, side), dtype=np.float32)
        inverse = _means(self._large, scale)

        def run(part: slice) -> None:
            given = self.coefficients(levels[part], transform_sizes[part], indices[part])
            planes = np.zeros((len(given), 3, side, side), dtype=np.float32)
            whole = transform_sizes[part] != QUARTERS
            field = np.empty_like(given[whole])
            field[..., cell_places()] = given[whole]
            field = field.reshape(-1, channels, SIZE, SIZE)
            planes[whole, :channels] = inverse @ field @ inverse.T
            planes[~whole, :channels] = self._quarters(given[~whole], scale)
            planes[:, 0] += 384
            frames[part] = np.einsum("dc,nchw->ndhw", self._colour, planes)

        run_batches(run, count, BATCH)
        return frames

    def _quarters(self, given: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
        """Coefficients float32 (N, C, 1024) of size 1 to planes (N, C, 32 / scale, 32 / scale)."""
        bands = given.reshape(*given.shape[:2], BANDS, SUBS).copy()
        every, side, height, cross = np.moveaxis(bands[..., 0, :].copy(), -1, 0)
        means = [
            every + side + height + cross,
            every - side + height - cross,
            every + side - height - cross,
            every - side - height + cross,
        ]
        bands[..., 0, :] = np.stack(means, axis=-1) / 2
        fields = level_maps(bands.reshape(given.shape))
        inverse = _means(self._small, scale)
        quarters = inverse @ fields @ inverse.T
        grid = quarters.reshape(*given.shape[:2], 2, 2, *quarters.shape[-2:]).swapaxes(3, 4)
        return grid.reshape(*given.shape[:2], SIZE // scale, SIZE // scale)


def _means(inverse: NDArray[np.float64], scale: int) -> NDArray[np.float32]:
    """Rows of an inverse transform (samples by frequency), ``scale`` of them averaged into one."""
    return inverse.reshape(-1, scale, inverse.shape[1]).mean(axis=1).astype(np.float32)


def fit_places(
    encoder: RateNqe, coefficients: NDArray[np.int32], steps: list[int]
) -> NDArray[np.float32]:
    """Reconstruction points by the means of coefficients within their intervals.

    Args:
        encoder: that made the coefficients.
        coefficients: int32 (N, 2, C, 1024).
        steps: indices to measure at; an octave without one takes the nearest that has.

    Returns:
        float32 (TRANSFORM_SIZES, OCTAVES, ZONES, MAGNITUDES).
    """
    shape = (TRANSFORM_SIZES, OCTAVES, ZONES, MAGNITUDES)
    sums, counts = np.zeros(shape), np.zeros(shape)
    zones = np.repeat(band_zones(), SUBS)
    for step in steps:
        levels, transform_sizes = encoder.levels(coefficients, step)
        unit = encoder.integer_steps(step)[:, : levels.shape[1], None]
        for size in range(TRANSFORM_SIZES):
            chosen = levels[transform_sizes == size].astype(np.int32)
            exact = np.abs(coefficients[transform_sizes == size, size]) / unit[size]
            patch, plane, index = np.nonzero(chosen)
            magnitude = np.abs(chosen[patch, plane, index])
            place = (zones[index], np.minimum(magnitude, MAGNITUDES) - 1)
            rest = exact[patch, plane, index] - magnitude
            np.add.at(sums[size, step // OCTAVE], place, rest)
            np.add.at(counts[size, step // OCTAVE], place, 1)
    measured = np.array(sorted({step // OCTAVE for step in steps}))
    nearest = measured[np.abs(np.arange(OCTAVES)[:, None] - measured).argmin(axis=1)]
    # A hundred coefficients' worth of the mean keeps rare classes sane.
    fitted = (sums + 100 * 0.1) / (counts + 100)
    return fitted[:, nearest].astype(np.float32)


__all__ = ["LEVELS", "Dequantizer", "default_places", "fit_places"]


def stored_dequantizer(encoder: RateNqe, tensors: Mapping[str, NDArray[Any]]) -> Dequantizer:
    """The plain inverse of an encoder, by the reconstruction points `PLACES` among tensors."""
    return Dequantizer(encoder, tensors[PLACES].astype(np.float32))
