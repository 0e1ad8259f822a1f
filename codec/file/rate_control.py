"""A step for each strip, so that a file has at most so many bytes: one pass, integers alone.

::

    bytes left, strips left ──► share of the next strip ─┐
    mean complexity of the strips so far ────────────────┴─► step, near that of the strip before
         ▲                                                     │
         └──── complexity of this strip ◄── bytes ◄── coded ◄──┘   too many: again, coarser

The complexity of a strip is the step at which it would have one byte, were its bytes to halve every
`HALVING` steps: ``step + HALVING * log2(bytes)``. The next strip is taken to have the mean
complexity, and the step is that at which all strips that are left fill what is left: so steps
change slowly. A strip that takes too much is coded again, at a step that follows from its own
bytes, and so are the first and the last ones where they take too little; after `TRIALS` it takes
the coarsest step; and if that is too much, it is not sent. The last strip is searched for the
finest step that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from heqcodec.base.constants import STEPS
from heqcodec.container.strips import NOT_SENT, Strip

HALVING = 128
"""Steps that halve the bytes of a strip, roughly."""
START = 553 + HALVING * 6
"""Complexity of a patch before any was coded: 64 bytes, 0.5 bits per pixel, at step 553."""
TRIALS = 3
"""Codings of a strip before the coarsest step is taken."""
LAST_TRIALS = 8
"""Codings of the last strip."""
CHANGE = 40
"""Steps by which neighbouring strips differ at most, unless they are coded again."""
ENDING = 3
"""Last strips that are coded again where they take much less than their share, as the first is."""
MEMORY = 2
"""The mean complexity moves by 1 / 2^MEMORY of the difference to each strip."""


def log2_steps(number: int) -> int:
    """``HALVING * log2(number)``, linear between powers of two; 0 for numbers below 1."""
    number = max(number, 1)
    whole = number.bit_length() - 1
    return HALVING * whole + ((number << 7) >> whole) - 128


class RateControl:
    """Chooses the steps of strips, from top to bottom.

    Args:
        room: bytes for all payloads.
        patches: of each strip.
    """

    def __init__(self, room: int, patches: list[int]) -> None:
        self._left = max(room, 0)
        self._patches = patches
        self._done = 0
        self._mean = START  # complexity of a patch
        self._step: int | None = None

    def first_step(self) -> int:
        """The step that the first strip is to be coded at first: what the header says."""
        return self._next_step()

    def coded(self, encode: Callable[[int], bytes]) -> Strip:
        """Code the next strip, as often as it takes.

        Args:
            encode: its payload at a step.
        """
        last = self._done == len(self._patches) - 1
        strip = self._filled(encode) if last else self._followed(encode)
        self._left -= len(strip.payload)
        self._done += 1
        return strip

    def _share(self) -> int:
        """Bytes of the next strip if all that are left get alike by patch."""
        return self._left * self._patches[self._done] // sum(self._patches[self._done :])

    def _next_step(self) -> int:
        sixteenths = self._share() * 16 // self._patches[self._done]  # of bytes of a patch
        step = self._mean - (log2_steps(sixteenths) - 4 * HALVING)
        if self._step is not None:
            step = min(max(step, self._step - CHANGE), self._step + CHANGE)
        return min(max(step, 0), STEPS - 1)

    def _limit(self) -> int:
        """Bytes that the next strip may take: twice its share, and others keep half of theirs."""
        share = self._share()
        return min(2 * share, self._left - (self._left - share) // 2)

    def _complexity(self, step: int, length: int) -> int:
        """Of a patch of the next strip, which had so many bytes at a step."""
        sixteenths = length * 16 // self._patches[self._done]
        return step + log2_steps(sixteenths) - 4 * HALVING

    def _followed(self, encode: Callable[[int], bytes]) -> Strip:
        step, limit = self._next_step(), self._limit()
        payload = encode(step)
        found = self._complexity(step, len(payload))
        first = self._step is None
        for trial in range(TRIALS):
            poor = len(payload) < self._share() * 3 // 4 and trial < TRIALS - 1
            near_end = len(self._patches) - self._done <= ENDING
            if len(payload) <= limit and not (poor and (first or near_end)):
                break
            target = self._share() * 7 // 8
            move = log2_steps(max(len(payload), 1)) - log2_steps(max(target, 1))
            other = step + (max(move, 16) if len(payload) > limit else min(move, -16))
            other = STEPS - 1 if trial == TRIALS - 1 else min(max(other, 0), STEPS - 1)
            if other == step:
                break
            again = encode(other)
            if len(again) > limit >= len(payload):
                break
            step, payload = other, again
            found = self._complexity(step, len(payload))
        if len(payload) > self._left:
            return Strip(NOT_SENT, b"")
        self._mean = found if first else self._mean + ((found - self._mean) >> MEMORY)
        self._step = step
        return Strip(step, payload)

    def _filled(self, encode: Callable[[int], bytes]) -> Strip:
        """The last strip: a bisection that follows its complexity."""
        best = Strip(NOT_SENT, b"")
        fine, coarse = -1, STEPS
        step = self._next_step()
        for _ in range(LAST_TRIALS):
            payload = encode(step)
            if len(payload) <= self._left:
                best, coarse = Strip(step, payload), step
                if len(payload) * 64 >= self._left * 63:
                    break
            else:
                fine = step
            if coarse - fine <= 1:
                break
            move = log2_steps(max(len(payload), 1)) - log2_steps(max(self._left, 1))
            step = min(max(step + move + (1 if move >= 0 else 0), fine + 1), coarse - 1)
        if not best.sent and fine < STEPS - 1:
            payload = encode(STEPS - 1)
            if len(payload) <= self._left:
                best = Strip(STEPS - 1, payload)
        return best


def controlled(
    room: int, patches: list[int], encode: Callable[[int, int], bytes]
) -> tuple[int, Iterator[Strip]]:
    """The strips of a file of a budget, and the step that its header says.

    Args:
        room: bytes for all payloads.
        patches: of each strip.
        encode: payload of a strip, by its index and a step.
    """
    control = RateControl(room, patches)

    def strips() -> Iterator[Strip]:
        for index in range(len(patches)):
            yield control.coded(lambda step, index=index: encode(index, step))  # type: ignore[misc]

    return control.first_step(), strips()
