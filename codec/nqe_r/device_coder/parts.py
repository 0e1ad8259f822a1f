"""The parts of a strip of a progressive file."""

from __future__ import annotations

from enum import IntEnum


class Part(IntEnum):
    """Which decisions of its patches a strip has.

    Attributes:
        WHOLE: all.
        LOW: transform size, level 0 and group 0, as if all other levels were 0.
        HIGH: those of the groups from 1 on, when those of `LOW` are known.
    """

    WHOLE = 0
    LOW = 1
    HIGH = 2
