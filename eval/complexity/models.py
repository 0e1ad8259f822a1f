"""This project's models: encoders counted from their tables, PURENET by running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.eval.baselines.heq import HeqPatch
from heqcodec.image.patches import split_patches
from heqcodec.models import registry
from heqcodec.models.manifest import stored_tensors
from heqcodec.nqe_t.encoder import TransformNqe
from heqcodec.nqe_vgg.encoder import VggNqe
from numpy.typing import NDArray

from . import transform_work, vgg_work
from .candidate import Begin, Candidate, Networks, silent
from .decoders import decoder_stage, inverse_work
from .rate_models import rate_candidates
from .work import Cost, Stage, Work

BITS = 256
"""A patch, 0.25 bpp: the source paper's rate."""
COUNTED_PATCHES = 64
"""Decisions are counted on so many patches, spread over the frame."""


def our_candidates(frame: NDArray[np.uint8], begin: Begin = silent) -> list[Candidate]:
    """All models on a frame, uint8 (H, W, 3), sides multiples of 32."""
    candidates = []
    for mode in (registry.PATCH_MODE, registry.RATE_MODE):
        for name in registry.model_names(mode):
            begin(name)
            candidates += COUNTERS[registry.manifest()["models"][name]["family"]](name, frame)
    return candidates


def _transform_candidate(name: str, frame: NDArray[np.uint8]) -> list[Candidate]:
    encoder: Any = registry.load_encoder(name)
    patches = split_patches(frame)
    tables = stored_tensors(registry.manifest()["models"][name]["encoder"])
    stages, detail = _transform_stages(encoder, tables, patches, registry.weight_bits(name))
    extra = inverse_work(len(encoder.stem.inverse_matrix))
    return [
        _candidate(name, frame, stages, detail, extra, lambda: encoder.stem.forward(patches)),
    ]


def _vgg_candidate(name: str, frame: NDArray[np.uint8]) -> list[Candidate]:
    encoder: Any = registry.load_encoder(name)
    patches = split_patches(frame)
    stages = _vgg_stages(encoder, registry.weight_bits(name))
    extra = inverse_work(len(encoder.stem.inverse_matrix))
    return [_candidate(name, frame, stages, {}, extra, lambda: encoder.classes(patches))]


def _rate_candidates(name: str, frame: NDArray[np.uint8]) -> list[Candidate]:
    return rate_candidates(name, frame, BITS / PATCH**2)


COUNTERS: dict[str, Callable[[str, NDArray[np.uint8]], list[Candidate]]] = {
    registry.TRANSFORM: _transform_candidate,
    registry.VGG_CLASS: _vgg_candidate,
    registry.RATE: _rate_candidates,
}
"""What counts a model, by its family."""


def _candidate(
    name: str,
    frame: NDArray[np.uint8],
    stages: list[Stage],
    detail: dict[str, float],
    extra: Work,
    encode: Callable[[], object],
) -> Candidate:
    """A patch-constant model of counted stages.

    Args:
        detail: see `Cost`.
        extra: work of the decoder before its network, per pixel.
        encode: runs the encoder without its coder on the frame.
    """
    entry = registry.manifest()["models"][name]
    decoder, run = decoder_stage(entry["decoder"], frame, extra)
    cost = Cost(
        name,
        str(entry["about"]),
        f"The encoder takes one 32x32 patch at a time, in integers, and is counted at {BITS} bits "
        "a patch; the decoder's weights are counted as stored, and it runs in float32 on the whole "
        "frame.",
        [*stages, decoder],
        detail,
    )
    return Candidate(cost, Networks(encode=encode, decode=run), HeqPatch(name), BITS / PATCH**2)


def _transform_stages(
    encoder: TransformNqe,
    tables: dict[str, NDArray[Any]],
    patches: NDArray[np.uint8],
    parts: dict[str, int],
) -> tuple[list[Stage], dict[str, float]]:
    sample = patches[:: max(1, len(patches) // COUNTED_PATCHES)]
    counts = transform_work.count_decisions(encoder, sample, BITS)
    coder = transform_work.coder_work(counts, len(sample))
    stem_bits = sum(bits for part, bits in parts.items() if part.startswith("transform"))
    coder_bits = sum(parts.values()) - stem_bits
    held = transform_work.coder_activation_bytes()
    detail = {
        f"{kind} decisions a patch": sum(n for (k, _), n in counts.items() if k == kind)
        / len(sample)
        for kind in ("flag", "significance", "sign", "refinement")
    }
    stages = [
        Stage(
            "encoder",
            stem_bits,
            transform_work.stem_work(tables["coarse"], tables["fine"]),
            transform_work.stem_activation_bytes(),
        ),
        Stage("entropy encoder", coder_bits, coder, held),
        # The decoder takes the same decisions in the same contexts.
        Stage("entropy decoder", coder_bits, coder, held),
    ]
    return stages, detail


def _vgg_stages(encoder: VggNqe, parts: dict[str, int]) -> list[Stage]:
    work = vgg_work.class_work(encoder)
    held = vgg_work.vgg_activation_bytes(encoder.network.layers)
    return [Stage("encoder", sum(parts.values()), work, held)]
