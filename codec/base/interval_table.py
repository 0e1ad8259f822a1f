"""The interval table of the binary arithmetic coders: widths by state and range step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STATES = 128
RANGE_STEPS = 8


def lps_table(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Widths of bit 1 by state and range step.

    Args:
        probabilities: of bit 1, float64 (STATES,), in (0, 1).

    Returns:
        uint16 (STATES, RANGE_STEPS): probability times the middle of the range step, kept so that
        either symbol has a width of at least 1 in every range of the step.
    """
    step = (1 << 15) // RANGE_STEPS
    lowest = (1 << 15) + step * np.arange(RANGE_STEPS)
    width = np.rint(probabilities[:, None] * (lowest + step / 2)[None])
    return np.clip(width, 1, lowest[None] - 1).astype(np.uint16)
