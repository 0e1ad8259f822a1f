"""A decoded patch must be one that the file can describe; else it takes the plain inverse.

::

    frame of the network ──► the encoder's transform ──► coefficients
                                                             │  squared distance to the intervals
    what the file says ──► an interval of each coefficient ──┘  that they were coded from, in steps
                                                             ▼
                              sum of a patch: up to one bound the network's, from another on the
                              plain inverse's, a blend between; and over 8 pixels of the
                              neighbours, so that no seam shows

On photographs the sum is 0.000 in half of the patches and 0.06 at the 99th percentile; on saturated
pictures, which no network had learned, it was 6 to 7,000 (our choice: a projection onto the
intervals alone regains less than half of what is lost there, and nothing on photographs).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from heqcodec.base.constants import PATCH
from numpy.typing import NDArray

RAMP = 8
"""Pixels over which a refused patch fades into its neighbours."""
GUARD_REACH = PATCH
"""Pixels by which the guard makes a patch reach further: it judges whole neighbours."""


class Bounds(Protocol):
    """What a file says of the coefficients of some patches.

    trusted, refused: sums up to which a patch is the network's alone, and from which on it is the
        plain inverse's.
    """

    trusted: float
    refused: float

    def violations(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far decoded patches are from what the file can describe.

        Args:
            samples: float32 (N, C, 32, 32), 0..255.

        Returns:
            For each patch the sum of squared distances of its coefficients to their intervals, each
            in units of its quantizer's step, float32 (N,).
        """
        ...


def guarded(
    frame: NDArray[np.float32],
    plain: NDArray[np.float32],
    bounds: Bounds,
    known: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """A frame whose patches keep to the bounds.

    The weights are continuous in the frame, so devices that differ in the last bits, and tiles that
    are cut elsewhere, still give the same samples.

    Args:
        frame: of the network, RGB / 255 or gray / 255, float32 (32 R, 32 C, channels).
        plain: by the plain inverse, the same shape.
        bounds: of the R C patches, row by row.
        known: bool (R, C), false where a patch was lost: there is nothing to keep to.

    Returns:
        float32, the same shape; the frame itself where nothing was refused.
    """
    rows, columns = known.shape
    grid = np.clip(frame, 0, 1).reshape(rows, PATCH, columns, PATCH, -1)
    samples = np.ascontiguousarray(grid.transpose(0, 2, 4, 1, 3)) * np.float32(255)
    sums = bounds.violations(samples.reshape(-1, *samples.shape[2:])).reshape(rows, columns)
    doubt = (sums - bounds.trusted) / (bounds.refused - bounds.trusted)
    doubt = np.clip(doubt, 0, 1).astype(np.float32) * known
    if not doubt.any():
        return frame
    weight = spread(doubt)
    weight *= known.repeat(PATCH, axis=0).repeat(PATCH, axis=1)
    return frame + weight[..., None] * (plain - frame)


def spread(doubt: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of patches (R, C) to weights of pixels (32 R, 32 C), fading over `RAMP` pixels."""
    rows, columns = doubt.shape
    wide = _spread_last(doubt)
    return _spread_last(wide.T).T.reshape(rows * PATCH, columns * PATCH)


def _spread_last(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(M, N) to (M, 32 N)."""
    near = np.maximum(1 - (np.arange(PATCH, dtype=np.float32) + 0.5) / RAMP, 0)
    around = np.pad(weights, ((0, 0), (1, 1)))[:, :, None]
    own = around[:, 1:-1]
    fading = np.maximum(around[:, :-2] * near, around[:, 2:] * near[::-1])
    return np.maximum(own, fading).reshape(len(weights), -1)
