"""A step for each strip, so that a file has at most so many bytes: one pass, integers alone.

::

    bytes left, strips left ──► share of the next strip ─┐
    mean of the strips so far, at one step ──────────────┴─► step, near that of the strip before
         ▲                                                     │
         └──── this strip's bytes at that step ◄── coded ◄─────┘   too many: again, coarser

A step per strip that follows the strips would give each as many bytes and flat ones too many; best
is one step for all. So the mean takes all strips alike, with one of a usual photograph before the
first, and a strip may take a sixteenth of what the others have, too. Steps and logarithms are
counted alike: `HALVING` steps halve the bytes of a strip, roughly, so that
``step + HALVING * log2(bytes)`` stays the same. The next strip is taken to be the mean one, and its
step is that at which all strips that are left fill what is left. A strip that takes too much is
coded again, at a step that follows from its own bytes, and so are the first and the last ones where
they take too little; after `TRIALS` it takes the coarsest step; and if that is too much, it is not
sent. The last strip is searched for the finest step that fits. The same as heq_rate_control.h of
``codec/export/c``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from heqcodec.base.constants import STEPS
from heqcodec.container.strips import NOT_SENT, Strip

HALVING = 128
"""Steps that halve the bytes of a strip, roughly."""
AT = 512
"""The step at which means are taken."""
UNIT = 8 * HALVING
"""Means are in bytes of a patch times 2^8."""
START = 28928
"""The mean before any strip was coded, 113 bytes of a patch; it counts as a strip."""
MOST_WEIGHT = 32
"""Strips that a mean remembers."""
LARGEST = 26 * HALVING
"""Logarithm of the largest number that goes into a mean."""
TRIALS = 3
"""Codings of a strip before the coarsest step is taken."""
LAST_TRIALS = 16
"""Codings of the last strip."""
CHANGE = 150
"""Steps by which neighbouring strips differ at most, unless they are coded again."""
ENDING = 4
"""Last strips that are coded again where they take much less than their share, as the first is."""


def log2_steps(number: int) -> int:
    """``HALVING * log2(number)``, linear between powers of two; 0 for numbers below 1."""
    number = max(number, 1)
    whole = number.bit_length() - 1
    return HALVING * whole + ((number << 7) >> whole) - 128


def exp2_steps(steps: int) -> int:
    """The number whose `log2_steps` it is, rounded down; 0 and more."""
    return (128 + (steps & 127)) << (steps >> 7) >> 7


class RateControl:
    """Chooses the steps of strips, from top to bottom.

    Args:
        room: bytes for all payloads.
        patches: of each strip.
        strip_room: bytes that a strip may have at most; None for no limit.
    """

    def __init__(self, room: int, patches: list[int], strip_room: int | None = None) -> None:
        self._left = max(room, 0)
        self._patches = patches
        self._strip_room = self._left if strip_room is None else strip_room
        self._done = 0
        self._total, self._weight = START, 1
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

    def _patch_bytes(self, length: int) -> int:
        """Logarithm of the bytes of a patch of the next strip."""
        return log2_steps(length) - log2_steps(self._patches[self._done])

    def _next_step(self) -> int:
        mean = log2_steps(self._total // self._weight) - UNIT
        step = AT + mean - self._patch_bytes(self._share())
        if self._step is not None:
            step = min(max(step, self._step - CHANGE), self._step + CHANGE)
        return min(max(step, 0), STEPS - 1)

    def _learn(self, step: int, length: int) -> None:
        """Take a strip that had so many bytes at a step into the mean."""
        logarithm = step - AT + self._patch_bytes(length) + UNIT
        if self._weight == MOST_WEIGHT:
            self._total -= self._total // MOST_WEIGHT
        else:
            self._weight += 1
        self._total += exp2_steps(min(max(logarithm, 0), LARGEST))

    def _followed(self, encode: Callable[[int], bytes]) -> Strip:
        share = self._share()
        limit = min(share + (self._left - share) // 16, self._strip_room)
        step = self._next_step()
        payload = encode(step)
        repeated = self._step is None or len(self._patches) - self._done <= ENDING
        for trial in range(TRIALS):
            poor = repeated and trial < TRIALS - 1 and len(payload) < share - share // 8
            if len(payload) <= limit and not poor:
                break
            target = min(share, limit)
            move = log2_steps(len(payload)) - log2_steps(target - target // 8)
            other = step + (max(move, 16) if len(payload) > limit else min(move, -16))
            other = STEPS - 1 if trial == TRIALS - 1 else min(max(other, 0), STEPS - 1)
            if other == step:
                break
            again = encode(other)
            if len(again) > limit >= len(payload):
                break
            step, payload = other, again
        if len(payload) > min(self._left, self._strip_room):
            return Strip(NOT_SENT, b"")
        self._learn(step, len(payload))
        self._step = step
        return Strip(step, payload)

    def _filled(self, encode: Callable[[int], bytes]) -> Strip:
        """The last strip: by what its bytes were, and every fourth time by halves."""
        best = Strip(NOT_SENT, b"")
        fine, coarse = -1, STEPS
        step, room = self._next_step(), min(self._left, self._strip_room)
        for trial in range(LAST_TRIALS):
            payload = encode(step)
            if len(payload) <= room:
                best, coarse = Strip(step, payload), step
                if len(payload) >= room - room // 64:
                    break
            else:
                fine = step
            if coarse - fine <= 1:
                break
            move = log2_steps(len(payload)) - log2_steps(room)
            followed = step + move + (1 if move >= 0 else 0)
            step = (fine + coarse) // 2 if trial % 4 == 3 else followed
            step = min(max(step, fine + 1), coarse - 1)
        if not best.sent and fine < STEPS - 1:
            payload = encode(STEPS - 1)
            if len(payload) <= room:
                best = Strip(STEPS - 1, payload)
        return best


def controlled(
    room: int,
    patches: list[int],
    encode: Callable[[int, int], bytes],
    strip_room: int | None = None,
) -> tuple[int, Iterator[Strip]]:
    """The strips of a file of a budget, and the step that its header says.

    Args:
        room: bytes for all payloads.
        patches: of each strip.
        encode: payload of a strip, by its index and a step.
        strip_room: bytes that a strip may have at most; None for no limit.
    """
    control = RateControl(room, patches, strip_room)

    def strips() -> Iterator[Strip]:
        for index in range(len(patches)):
            yield control.coded(lambda step, index=index: encode(index, step))  # type: ignore[misc]

    return control.first_step(), strips()
