"""A network's frame, blended with its plain inverse by trust and guard; or the plain inverse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .features import BaseFeatures, Features, FrameNetwork, plain_pixels
from .guard import Bounds, guarded
from .trust import between_patches, patch_energy


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
