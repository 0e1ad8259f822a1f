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

from collections.abc import Callable
from typing import Protocol

import numpy as np
from heqcodec.base.constants import PATCH
from numpy.typing import NDArray

from .features import BaseFeatures, Features, FrameNetwork, plain_pixels
from .trust import between_patches, patch_energy

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


def network_frame(
    network: FrameNetwork | None,
    features: Features,
    rate_weights: NDArray[np.float32],
    bounds: Bounds | None,
    known: NDArray[np.bool_],
    channels: int,
    trust: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Decode a window of patches.

    Args:
        network: None for the plain inverse alone.
        features: see `FrameNetwork.frame`; with a base where there is no network.
        rate_weights: as there.
        bounds: of the window's patches; None for a code that says nothing of them.
        known: bool (R, C), false where a patch was lost.
        channels: 1 or 3.
        trust: from the energies of the patches' corrections to their weights, both (R, C), see
            `heqcodec.purenet.trust`; None: all weights are 1.

    Returns:
        RGB / 255 or gray / 255, float32 (32 R, 32 C, channels), not limited to 0..1.
    """
    if network is None:
        assert isinstance(features, BaseFeatures)
        return plain_pixels(features.base, channels)
    frame = network.frame(features, rate_weights)
    if channels == 1:
        frame = frame.mean(axis=2, keepdims=True)
    if bounds is None or not isinstance(features, BaseFeatures):
        return frame
    plain = plain_pixels(features.base, channels)
    if trust:
        # Of a lost patch the plain inverse knows nothing.
        weights = np.where(known, trust(patch_energy(frame, plain)), 1).astype(np.float32)
        frame = plain + between_patches(weights)[..., None] * (frame - plain)
    return guarded(frame, plain, bounds, known)


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
