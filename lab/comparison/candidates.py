"""Which quantizers are compared, in groups of equal bits a stored weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heqcodec.base.errors import HeqError

FLOAT = "full precision"


@dataclass(frozen=True)
class Candidate:
    """One quantizer with its options.

    label: in tables.  name, options: for ``heqcodec.quantizers.make_quantizer``.
    bits: of one stored weight.
    """

    label: str
    name: str
    bits: int
    options: Mapping[str, Any] = field(default_factory=dict)


CANDIDATES: tuple[Candidate, ...] = (
    Candidate("binary-connect", "binary-connect", 1),
    Candidate("bnn", "bnn", 1),
    Candidate("bnn+", "bnn+", 1),
    Candidate("bnn++", "bnn++", 1, {"refreshes": 40}),
    Candidate("heq3", "heq3", 2, {"window": "inward"}),
    Candidate("heq4", "heq", 2, {"levels": 4, "window": "inward"}),
    Candidate("twn", "twn", 2, {"window": "inward"}),
    Candidate("tinyllava4", "tinyllava", 2, {"levels": 4}),
    Candidate("eqnet2", "eqnet", 2, {"bits": 2}),
    Candidate("codeq2", "codeq", 2, {"bits": 2}),
    Candidate("lsq2", "lsq", 2, {"bits": 2}),
    Candidate("heq5", "heq5", 3, {"window": "inward"}),
    Candidate("uniform5", "uniform", 3, {"levels": 5, "window": "inward"}),
    Candidate("tinyllava8", "tinyllava", 3, {"levels": 8}),
    Candidate("eqnet3", "eqnet", 3, {"bits": 3}),
    Candidate("codeq3", "codeq", 3, {"bits": 3}),
    Candidate("lsq3", "lsq", 3, {"bits": 3}),
    Candidate("q2d2", "q2d2", 3),
    Candidate("eqnet4", "eqnet", 4, {"bits": 4}),
    Candidate("int4-hadamard", "int4-hadamard", 4),
)
"""``refreshes`` of bnn++ follow from ``training.REFRESHES``: its weights are signs at four fifths.
The "inward" window is what the codec's own encoder has."""


def chosen(labels: Sequence[str]) -> list[Candidate]:
    """The candidates of these labels, in the order of the table; all of them for none.

    Raises:
        HeqError: a label that there is not.
    """
    known = [candidate.label for candidate in CANDIDATES]
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise HeqError(
            f"there is no quantizer {', '.join(unknown)} to compare; those known are "
            f"{', '.join(known)}."
        )
    return [c for c in CANDIDATES if not labels or c.label in labels]
