"""Which coefficients a code of `nqe-t` can come from: what its bit planes say of each."""

from __future__ import annotations

import numpy as np
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from numpy.typing import NDArray

from . import zones as geometry
from .contexts import TOP_PLANE
from .patch_code import Coefficients
from .transform import CHANNEL_GAIN, SIZE, TransformStem

LEAST_STEP = np.float32(2048)
"""In units of the coefficients, of which an orthonormal one of samples has 28: a patch is doubted
where its squared error is over 10 a sample in a plane more than the code allows."""


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
        cells = geometry.cell_map()[: channels * SIZE**2]
        self._stem, self._shape = stem, (-1, channels, SIZE, SIZE)
        significant = coefficients.width[cells] > 0
        zone_of = np.zeros(geometry.CELLS, dtype=np.int64)
        for index, zone in enumerate(geometry.zones()):
            zone_of[zone.cells] = index
        unseen = np.ldexp(
            np.float32(1), TOP_PLANE + 1 - coefficients.reached[zone_of[cells]].astype(int)
        )
        low = np.where(significant, coefficients.low[cells], 0).astype(np.float32)
        width = np.where(significant, coefficients.width[cells], unseen).astype(np.float32)
        self._low, self._width = self._patches(low), self._patches(width)
        sign = np.where(coefficients.negative[cells], np.float32(-1), np.float32(1))
        self._sign = self._patches(np.where(significant, sign, 0))

    def violations(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `heqcodec.purenet.guard.Bounds`."""
        found = exact_coefficients(self._stem, samples)
        along = np.where(self._sign == 0, np.abs(found), found * self._sign)
        outside = np.maximum(self._low - along, along - self._low - self._width)
        outside = np.maximum(outside, 0) / np.maximum(self._width, LEAST_STEP)
        sums: NDArray[np.float32] = np.einsum("nchw,nchw->n", outside, outside)
        return sums

    def _patches(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(coefficients, N) to (N, channels, 32, 32)."""
        return np.ascontiguousarray(values.T.astype(np.float32)).reshape(self._shape)


def exact_coefficients(stem: TransformStem, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """`TransformStem.forward` without rounding: (N, C, 32, 32) samples to as many coefficients."""
    channels = samples.shape[1]
    planes: NDArray[np.float32]
    if channels == 1:
        planes = np.float32(3) * samples
    else:
        planes = np.einsum(
            "dc,nchw->ndhw", COLOUR.astype(np.float32), samples, optimize=True
        ).astype(np.float32, copy=False)
    planes[:, 0] += np.float32(PIXEL_OFFSET[0])
    matrix = stem.matrices[0].astype(np.float32) / np.float32(8)
    gains = np.array(CHANNEL_GAIN[:channels], dtype=np.float32)
    found: NDArray[np.float32] = matrix @ planes @ matrix.T
    found *= gains[:, None, None]
    return found
