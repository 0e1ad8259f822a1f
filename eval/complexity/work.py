"""One codec's cost, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Operations of one stage, each per pixel of the image.

    multiply_accumulates: of a network; the additions in them are not in ``additions``.
    multiplications, additions, shifts: of anything else. Comparisons count as additions.
    symbols: that an entropy coder codes: binary decisions, or latents.
    """

    multiply_accumulates: float = 0.0
    multiplications: float = 0.0
    additions: float = 0.0
    shifts: float = 0.0
    symbols: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, key) + getattr(other, key) for key in vars(self)))

    def times(self, factor: float) -> Work:
        """So many times this, as for converting from a patch to a pixel."""
        return Work(*(factor * value for value in vars(self).values()))

    def text(self) -> str:
        """For a table: what is not zero, rounded to three digits."""
        units = ("MAC", "mul", "add", "shift", "symbols")
        terms = [
            f"{_short(value)} {unit}"
            for value, unit in zip(vars(self).values(), units, strict=True)
            if value
        ]
        return ", ".join(terms) or "0"


@dataclass(frozen=True)
class Stage:
    """One part of a codec.

    name: one of `STAGES`; "choices" are those of an encoder that depend on the image.
    weight_bits: of everything constant that it holds, in the types that it is stored in.
    work: None where nobody has counted it.
    activation_bytes: the most that is alive at once without weights: of a whole frame for networks,
        of one patch for patch encoders (see the entry's note). None where nobody has counted it.
    """

    name: str
    weight_bits: int | None
    work: Work | None
    activation_bytes: int | None


STAGES = ("encoder", "choices", "entropy encoder", "entropy decoder", "decoder")


@dataclass(frozen=True)
class Cost:
    """What one codec needs.

    name: as in lists of codecs or of recipes.
    about: one line.
    note: what a reader of its numbers must know.
    stages: in the order of `STAGES`; those that it does not have are left out.
    detail: other counts, for the JSON alone.
    """

    name: str
    about: str
    note: str
    stages: Sequence[Stage]
    detail: dict[str, float]

    def stage(self, name: str) -> Stage | None:
        """The stage of a name, if it has that one."""
        return next((stage for stage in self.stages if stage.name == name), None)


def _short(value: float) -> str:
    """Three digits, thousands with a k."""
    if value >= 1e5:
        return f"{value / 1e3:.0f} k"
    if value >= 1e3:
        return f"{value / 1e3:.3g} k"
    return f"{value:.3g}"
