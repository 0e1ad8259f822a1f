"""Patch codecs without networks: what their classes say of their encoders."""

from __future__ import annotations

from heqcodec.eval.baselines import codec_names, make_codec

from .candidate import Candidate
from .work import Cost, Stage, Work

BPP = 0.25
NOTE = "The encoder is counted on paper for a small device; memory includes constant tables."


def classical_candidates() -> list[Candidate]:
    """All codecs that tell the cost of their encoder and can run here."""
    from heqcodec.eval.baselines.patch.cost import EncoderCost

    candidates = []
    for name in codec_names():
        codec = make_codec(name)
        cost = getattr(codec, "cost", None)
        if not isinstance(cost, EncoderCost) or codec.missing() is not None:
            continue
        work = Work(
            multiplications=cost.multiplications_per_pixel, additions=cost.additions_per_pixel
        )
        costs = Cost(
            codec.name,
            codec.about,
            f"{NOTE} {cost.note}",
            [Stage("encoder", None, work, cost.memory_bytes)],
            {},
        )
        candidates.append(Candidate(costs, None, codec, BPP))
    return candidates
