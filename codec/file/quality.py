"""Quality, as people say it, and the step index, as files do."""

from __future__ import annotations

import math

from heqcodec.base.arguments import real, shown
from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqError

LOWEST, HIGHEST = 1, 100
"""Limits of the quality; a target size may lead beyond them, to any step."""
_OFFSET, _SLOPE = 912, 8


def step_of_quality(quality: float) -> int:
    """Step index of a quality: ``912 - 8 quality``, rounded.

    Our choice: 16 points of quality halve the step, and 1 to 100 (indices 904 to 112) span less
    than 0.06 to more than 2 bits per pixel.

    Args:
        quality: 1 (smallest files) to 100; a fraction is as good.

    Raises:
        HeqError: it is not in that range.
    """
    number = real(quality)
    if number is None or not LOWEST <= number <= HIGHEST:
        raise HeqError(f"quality is {shown(quality)}; give a number from {LOWEST} to {HIGHEST}.")
    return min(max(math.floor(_OFFSET - _SLOPE * number + 0.5), 0), STEPS - 1)


def quality_of_step(step: int) -> float:
    """The quality whose step index this is; steps of no quality give less than 1 or more than 100.

    Args:
        step: index, 0 to 1023.
    """
    return (_OFFSET - step) / _SLOPE
