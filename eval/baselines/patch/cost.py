"""What the encoder of a patch codec needs, as numbers for the comparison of encoders."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderCost:
    """Operations and memory of an encoder on a small device, at 256 bits a patch, RGB.

    Counted on paper for the algorithm as a device would run it, one patch at a time, and not for
    the NumPy code here, which works on many patches at once. The derivation of each codec's
    numbers stands in its class.

    multiplications_per_pixel: of two variables, or of a variable and a constant that is no power
        of two.
    additions_per_pixel: additions, subtractions and comparisons; shifts are free.
    memory_bytes: constant tables, and what is kept while one patch is coded. Pixels are taken as
        they are read and count only where they are needed again; so do not rows of a sensor that
        wait for their patch, which are the same for all.
    note: one sentence that says what dominates, or what is an estimate.
    """

    multiplications_per_pixel: float
    additions_per_pixel: float
    memory_bytes: int
    note: str
