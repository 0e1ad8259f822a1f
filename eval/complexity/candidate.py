"""What is compared: a codec's cost, and how to run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heqcodec.eval.baselines.codec import Codec

from .work import Cost

Begin = Callable[[str], object]
"""Is given the name of each codec whose counting begins."""


def silent(name: str) -> None:
    """The `Begin` that tells nobody."""


@dataclass(frozen=True)
class Networks:
    """A codec's networks alone, on the frame that all are measured on; no files, no entropy coder.

    encode, decode: run everything between pixels and latents, or back, once.
    """

    encode: Callable[[], object]
    decode: Callable[[], object]


@dataclass(frozen=True)
class Candidate:
    """One codec of the comparison.

    cost: counted.
    networks: to be timed; None where there are none.
    codec, setting: for real files, to be timed; None where it cannot write any here.
    """

    cost: Cost
    networks: Networks | None = None
    codec: Codec | None = None
    setting: float = 0.0
