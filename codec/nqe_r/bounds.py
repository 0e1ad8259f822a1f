"""Which coefficients a level can come from: the intervals of `heqcodec.nqe_r.quantizer`.

With D the step and q the level, a coefficient c was, in units of D::

    q = 0      |c| < 23/16                the highest threshold of the cost layer
    |q| = 1     8/16 <= |c| < 25/16       from the lowest one on
    beyond     |q| - 7/16 <= |c| < |q| + 9/16
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from heqcodec.base.threads import run_batches
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


BATCH = 32
"""Patches that are looked at together: their coefficients stay in a processor's cache."""


class LevelBounds:
    """A `heqcodec.purenet.guard.Bounds` of the levels of some patches.

    Args:
        encoder: whose levels they are.
        levels: int16 (N, C, 1024), C 1 or 3.
        transform_sizes: uint8 (N,).
        steps: index of the quantizer of each patch, int64 (N,), or of all.
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
        self._steps = encoder.level_steps(
            np.broadcast_to(steps, len(transform_sizes)), transform_sizes, levels.shape[1]
        )

    def violations(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `heqcodec.purenet.guard.Bounds`."""
        sums = np.zeros(len(self._levels), dtype=np.float32)
        for size in np.unique(self._transform_sizes).tolist():
            of_size = np.flatnonzero(self._transform_sizes == size)

            def run(part: slice, size: int = size, of_size: NDArray[np.int64] = of_size) -> None:
                chosen = of_size[part]
                found = exact_coefficients(self._encoder, samples[chosen], size)
                found /= self._steps[chosen]
                outside = _distances(found, self._levels[chosen])
                sums[chosen] = np.einsum("ncl,ncl->n", outside, outside)

            run_batches(run, len(of_size), BATCH)
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
    bands[:, :, 0] = bands[:, :, 0] @ (MEANS / 2)
    return found


MEANS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32).T
"""Sums and differences of the four means, by column."""


# Intervals of levels -2 and below, -1, 0, 1, 2 and above: their middles less the level, and half of
# their widths.
_ONE = (1 + ABOVE + LOWEST_ONE) / 2 - 1
_MORE = (ABOVE - BELOW) / 2
MIDDLES = np.array([-_MORE, -_ONE, 0, _ONE, _MORE], np.float32)
HALVES = np.array([(ABOVE + BELOW) / 2, (1 + ABOVE - LOWEST_ONE) / 2, HIGHEST_ZERO], np.float32)
HALVES = np.concatenate([HALVES, HALVES[1::-1]])


def _distances(coefficients: NDArray[np.float32], levels: NDArray[np.int16]) -> NDArray[np.float32]:
    """Distances of coefficients to the intervals of levels, both (N, C, 1024), in steps.

    The coefficients are overwritten.
    """
    kind = np.clip(levels, -2, 2) + 2
    coefficients -= levels
    coefficients -= MIDDLES[kind]
    outside = np.abs(coefficients, out=coefficients)
    outside -= HALVES[kind]
    return np.maximum(outside, 0, out=outside)
