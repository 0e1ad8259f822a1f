"""Which coefficients a level can come from: the intervals of `heqcodec.nqe_r.quantizer`.

With D the step and q the level, a coefficient c was, in units of D::

    q = 0      |c| < 23/16                the highest threshold of the cost layer
    |q| = 1     8/16 <= |c| < 25/16       from the lowest one on
    beyond     |q| - 7/16 <= |c| < |q| + 9/16
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from numpy.typing import NDArray

from .cost_layer import INDICES
from .encoder import RateNqe
from .layout import BANDS, QUARTERS, SUBS, cell_places, map_levels
from .transform import QUARTER, STAGE_SHIFT

_SIXTEENTH = 1 / 16
LOWEST_ONE = INDICES // 2 * _SIXTEENTH
"""A level of 1 comes from so many steps at least."""
HIGHEST_ZERO = (INDICES // 2 + INDICES - 1) * _SIXTEENTH
"""A level of 0 from so many at most."""
BELOW, ABOVE = 7 * _SIXTEENTH, 9 * _SIXTEENTH
"""How far the interval of a larger level reaches to either side, in steps."""


class LevelBounds:
    """A `heqcodec.purenet.guard.Bounds` of the levels of some patches.

    Args:
        encoder: whose levels they are.
        levels: int16 (N, C, 1024), C 1 or 3.
        transform_sizes: uint8 (N,).
        steps: index of each patch, int64 (N,), or of all.
    """

    trusted, refused = 0.1, 0.4
    """Crops of photographs keep their figures within 0.003 dB from these on, and pictures drawn in
    saturated colours are nearest to their plain inverse."""

    def __init__(
        self,
        encoder: RateNqe,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64] | int,
    ) -> None:
        self._encoder, self._levels, self._transform_sizes = encoder, levels, transform_sizes
        self._steps = encoder.patch_steps(np.broadcast_to(steps, len(transform_sizes)))

    def violations(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `heqcodec.purenet.guard.Bounds`."""
        count, planes = self._levels.shape[:2]
        steps = self._steps.astype(np.float32)[:, :, :planes, None]
        sums = np.zeros(count, dtype=np.float32)
        for size in np.unique(self._transform_sizes):
            chosen = np.flatnonzero(self._transform_sizes == size)
            found = exact_coefficients(self._encoder, samples[chosen], int(size))
            found /= steps[chosen, size]
            outside = _distances(found, self._levels[chosen])
            sums[chosen] = np.einsum("ncl,ncl->n", outside, outside)
        return sums


def exact_coefficients(
    encoder: RateNqe, samples: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """`RateStem.forward` without rounding.

    Args:
        encoder: whose transform is taken.
        samples: (N, C, 32, 32), C 1 or 3.
        size: transform size of these patches, 0 or 1.

    Returns:
        float32 (N, C, 1024), in the encoder's units.
    """
    count, channels = samples.shape[:2]
    if channels == 1:
        planes = 3 * samples
    else:
        planes = np.einsum("dc,nchw->ndhw", COLOUR.astype(np.float32), samples, optimize=True)
    planes[:, 0] += np.float32(PIXEL_OFFSET[0])
    matrix = encoder.stem.matrices[size].astype(np.float32) / (1 << STAGE_SHIFT)
    if size != QUARTERS:
        field = matrix @ planes @ matrix.T
        return field.reshape(count, channels, -1)[..., cell_places()]
    quarters = planes.reshape(count, channels, 2, QUARTER, 2, QUARTER).swapaxes(3, 4)
    field = matrix @ quarters @ matrix.T
    found = map_levels(field.reshape(count, channels, SUBS, QUARTER, QUARTER))
    bands = found.reshape(count, channels, BANDS, SUBS)
    bands[:, :, 0] = bands[:, :, 0] @ (_MEANS / 2)
    return found


_MEANS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32).T
"""Sums and differences of the four means, by column."""


def _distances(coefficients: NDArray[np.float32], levels: NDArray[np.int16]) -> NDArray[np.float32]:
    """Distances of coefficients to the intervals of levels, both (N, C, 1024), in steps."""
    signed = levels.astype(np.float32)
    magnitude = np.abs(signed)
    along = np.where(signed == 0, np.abs(coefficients), coefficients * np.sign(signed))
    high = np.where(signed == 0, HIGHEST_ZERO, magnitude + np.float32(ABOVE))
    low = np.where(magnitude > 1, magnitude - np.float32(BELOW), LOWEST_ONE * magnitude)
    outside = np.maximum(along - high, low - along)
    return np.maximum(outside, 0, out=outside).astype(np.float32, copy=False)
