"""Self-ensemble: the mean of the network's outputs on flips and turns of a frame.

PURENET is trained on photographs in all eight flips and turns, but is not exactly equivariant; the
mean is nearer to the photograph than any of them (Timofte et al., "Seven ways to improve
example-based single image super resolution", CVPR 2016): by 0.02 to 0.03 dB with a turn by 180
degrees, 0.04 to 0.05 with four views, 0.05 with all eight. They are the decoders "best-2", "best"
and "best-8".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import BaseFeatures, Features, FrameNetwork

MIRROR, FLIP, TRANSPOSE = 1, 2, 4
"""Left to right, top to bottom, rows to columns: a view is a sum of them, done last to first."""
HALF_TURN = MIRROR + FLIP
VIEWS = {
    2: (0, HALF_TURN),
    4: (0, HALF_TURN, TRANSPOSE, TRANSPOSE + HALF_TURN),
    8: tuple(range(8)),
}
UPRIGHT_VIEWS = (0, HALF_TURN, MIRROR, FLIP)
"""In order of use: those of frames whose rows of patches have different steps."""


class SelfEnsemble:
    """A `FrameNetwork` that runs another on several views.

    Args:
        network: that is run; of codes with pixels of their own, whose transform treats rows and
            columns, left and right alike.
        views: 2, 4 or 8. Where rows of patches differ in their rates no view is transposed, since
            the network takes rates by row: 4 and 8 are then 4 flips.
    """

    def __init__(self, network: FrameNetwork, views: int) -> None:
        self._network, self.radius, self.hints = network, network.radius, network.hints
        self.views = VIEWS[views]

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `FrameNetwork`."""
        assert isinstance(features, BaseFeatures)
        views = self.views if len(rate_weights) == 1 else UPRIGHT_VIEWS[: len(self.views)]
        total: NDArray[np.float32] | None = None
        for view in views:
            # Copies: NumPy takes a turned row of one for contiguous, and torch refuses its stride.
            seen = BaseFeatures(*(_view(part, view).copy() for part in features))
            weights = (rate_weights[::-1] if view & FLIP else rate_weights).copy()
            made = self._network.frame(seen, weights)
            # From (H, W, 3) to planes, which views are of, and back.
            made = _view_back(made.transpose(2, 0, 1), view).transpose(1, 2, 0)
            total = made if total is None else total + made
        assert total is not None
        mean: NDArray[np.float32] = total * np.float32(1 / len(views))
        return mean


def _view(planes: NDArray[np.float32], view: int) -> NDArray[np.float32]:
    """A view of planes (C, H, W)."""
    if view & TRANSPOSE:
        planes = planes.swapaxes(1, 2)
    return planes[:, :: -1 if view & FLIP else 1, :: -1 if view & MIRROR else 1]


def _view_back(planes: NDArray[np.float32], view: int) -> NDArray[np.float32]:
    """The planes of which ``planes`` are a view."""
    planes = planes[:, :: -1 if view & FLIP else 1, :: -1 if view & MIRROR else 1]
    return planes.swapaxes(1, 2) if view & TRANSPOSE else planes
