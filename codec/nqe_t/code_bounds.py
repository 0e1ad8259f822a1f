"""Which coefficients a code of `nqe-t` can come from: what its bit planes say of each."""

from __future__ import annotations

from functools import cache

import numpy as np
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from heqcodec.base.threads import run_batches
from numpy.typing import NDArray

from . import zones as geometry
from .contexts import TOP_PLANE
from .patch_code import Coefficients
from .transform import CHANNEL_GAIN, TransformStem

LEAST_STEP = np.float32(2048)
"""In units of the coefficients, of which an orthonormal one of samples has 28: a patch is doubted
where its squared error is over 10 a sample in a plane more than the code allows."""
_BATCH = 64


class CodeBounds:
    """A `heqcodec.purenet.guard.Bounds` of the codes of some patches.

    A coefficient that is significant lies in an interval of its width; another lies below the last
    bit plane that its zone was coded to the end of. Either is the step of the coefficient, but at
    least `LEAST_STEP`: in calm patches steps are far below what a network smooths away, and to
    refuse it there drew borders (1.09 times the photograph's on Kodak, and 0.03 dB on validation
    photographs) where nothing was wrong.

    Args:
        stem: of the encoder.
        coefficients: what the codes tell.
        channels: 1 or 3.
    """

    trusted, refused = 2.0, 6.0
    """On 9 validation photographs at three rates the network's squared error is 0.84 of the plain
    inverse's in patches of sums from 0.4 to 2.4, 1.06 from 2.4 to 14, and 2.4 times beyond."""

    def __init__(self, stem: TransformStem, coefficients: Coefficients, channels: int) -> None:
        self._stem, self._channels = stem, channels
        parts = coefficients.low, coefficients.width, coefficients.negative
        self._low, self._width, self._negative = (
            geometry.by_patch(part)[:, :channels] for part in parts
        )
        self._bound = np.ldexp(np.float32(1), TOP_PLANE + 1 - coefficients.reached.T.astype(int))

    def violations(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `heqcodec.purenet.guard.Bounds`."""
        sums = np.empty(len(samples), dtype=np.float32)

        def run(part: slice) -> None:
            outside = self._outside(part, exact_coefficients(self._stem, samples[part]))
            np.einsum("nchw,nchw->n", outside, outside, out=sums[part])

        run_batches(run, len(samples), _BATCH)
        return sums

    def _outside(self, part: slice, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances of coefficients to the intervals of some patches, in steps."""
        width = self._width[part].astype(np.float32)
        unseen = width == 0
        bound = self._bound[part].take(zone_map()[: self._channels], axis=1)
        np.copyto(width, bound, where=unseen)
        low = self._low[part].astype(np.float32)
        along = np.where(self._negative[part], -found, found)
        np.abs(along, out=along, where=unseen)
        outside = np.maximum(low - along, along - low - width)
        steps: NDArray[np.float32] = np.maximum(width, LEAST_STEP)
        return np.maximum(outside, 0) / steps


@cache
def zone_map() -> NDArray[np.int64]:
    """The zone of each coefficient, int64 (3, 32, 32)."""
    zone_of = np.zeros((geometry.CELLS, 1), dtype=np.int64)
    for index, zone in enumerate(geometry.zones()):
        zone_of[zone.cells] = index
    return np.ascontiguousarray(geometry.by_patch(zone_of)[0])


def exact_coefficients(stem: TransformStem, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """`TransformStem.forward` without rounding: (N, C, 32, 32) samples to as many coefficients."""
    channels = samples.shape[1]
    planes: NDArray[np.float32]
    if channels == 1:
        planes = np.float32(3) * samples
    else:
        colours = COLOUR.astype(np.float32) @ samples.reshape(len(samples), 3, -1)
        planes = colours.reshape(samples.shape)
    planes[:, 0] += np.float32(PIXEL_OFFSET[0])
    matrix = stem.matrices[0].astype(np.float32) / np.float32(8)
    gains = np.array(CHANNEL_GAIN[:channels], dtype=np.float32)
    found: NDArray[np.float32] = matrix @ planes @ matrix.T
    found *= gains[:, None, None]
    return found
