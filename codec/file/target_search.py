"""The search for the step at which a file is as large as a target allows."""

from __future__ import annotations

import math
from collections.abc import Callable

from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqError

HALVING = 128
"""Steps that halve a file, roughly: the first guess of a search."""
FIRST_GUESS = 553
"""A step of about 0.5 bits per pixel."""
USUAL_GUESSES = 6
"""Files that a search for a target codes, roughly: for the progress that is reported."""


def finest_fitting_step(
    size_at: Callable[[int], int], target: int, removable: str = "metadata"
) -> int:
    """The step whose file fits into ``target`` while that of the next finer step does not.

    The size is taken to fall with the step. Where it does so only nearly, the step still fits.
    Guesses follow the logarithm of the size along a line and turn to bisection where that is slow,
    so about six files are coded.

    Args:
        size_at: bytes of the file at a step, 0 to 1023. It is called last for a step that fits
            only with the one that is returned, or a coarser one before.
        target: bytes.
        removable: what a message about too large a file says to leave out.

    Raises:
        HeqError: the file of the coarsest step is larger.
    """
    fine, coarse = -1, STEPS  # Too large, and small enough, as far as known.
    sizes: dict[int, int] = {}
    guess = FIRST_GUESS
    while coarse - fine > 1:
        sizes[guess] = size = size_at(guess)
        if size > target:
            fine = guess
        else:
            coarse = guess
        if fine == STEPS - 1:
            raise HeqError(
                f"The smallest file of this image has {size} bytes, more than the {target} that "
                f"are allowed; allow more, leave out {removable}, or make the image smaller."
            )
        if fine in sizes and coarse in sizes:
            guess = _between(fine, coarse, sizes, target, bisect=len(sizes) % 4 == 0)
        else:
            jump = round(HALVING * math.log2(size / max(target, 1)))
            guess = guess + (max(jump, 1) if size > target else min(jump, -1))
        guess = min(max(guess, fine + 1), coarse - 1)
    return coarse


def _between(fine: int, coarse: int, sizes: dict[int, int], target: int, bisect: bool) -> int:
    if bisect or sizes[fine] == sizes[coarse]:
        return (fine + coarse) // 2
    fall = math.log(sizes[fine] / sizes[coarse])
    return fine + math.ceil((coarse - fine) * math.log(sizes[fine] / target) / fall)
