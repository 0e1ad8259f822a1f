"""A network's frame under the guard, or the plain inverse where there is no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import BaseFeatures, Features, FrameNetwork, plain_pixels
from .guard import Bounds, guarded


def network_frame(
    network: FrameNetwork | None,
    features: Features,
    shares: NDArray[np.float32],
    bounds: Bounds | None,
    known: NDArray[np.bool_],
    channels: int,
) -> NDArray[np.float32]:
    """Decode a window of patches.

    Args:
        network: None for the plain inverse alone.
        features, shares: see `FrameNetwork.frame`; features with a base where there is no network.
        bounds: of the window's patches; None for a code that says nothing of them.
        known: bool (R, C), false where a patch was lost.
        channels: 1 or 3.

    Returns:
        RGB / 255 or gray / 255, float32 (32 R, 32 C, channels), not limited to 0..1.
    """
    if network is None:
        assert isinstance(features, BaseFeatures)
        return plain_pixels(features.base, channels)
    frame = network.frame(features, shares)
    if channels == 1:
        frame = frame.mean(axis=2, keepdims=True)
    if bounds is None or not isinstance(features, BaseFeatures):
        return frame
    return guarded(frame, plain_pixels(features.base, channels), bounds, known)
