"""Models of variable rate as candidates: what a device does, and what a server adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.eval.baselines.heq import HeqRate, HeqRatePacked
from heqcodec.file.options import HIGHEST, LOWEST, quality_of_step
from heqcodec.image.patches import split_patches
from heqcodec.models import registry
from heqcodec.models.manifest import stored_tensors
from heqcodec.nqe_r.coders import OWN, PACKED
from heqcodec.nqe_r.device_coder.tables import check_tables
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.transform import QUARTER, SIZE
from numpy.typing import NDArray

from . import device_work, packed_work, rate_work
from .candidate import Candidate, Networks
from .decoders import decoder_stage, inverse_work
from .rate_frame import FrameWork, RateParts, count_frame, fitting_step
from .work import Cost, Stage, Work

Decoding = tuple[Stage, Callable[[], object]]


def rate_candidates(name: str, frame: NDArray[np.uint8], bpp: float) -> list[Candidate]:
    """A model on a frame: with the device coder, with the packed coder, and with each further
    decoder.

    Args:
        name: of the model.
        frame: uint8 (H, W, 3), sides multiples of 32.
        bpp: most that the payloads of the device coder take; the step follows.
    """
    entry = registry.manifest()["models"][name]
    encoder: Any = registry.load_rate_encoder(name)
    parts = RateParts(
        encoder,
        stored_tensors(entry["encoder"]),
        *(stored_tensors(entry["coders"][coder]) for coder in (OWN.name, PACKED.name)),
    )
    step = fitting_step(parts, frame, bpp)
    work = count_frame(parts, frame, step)
    stem_bits = sum(encoder.weight_bits().values())
    coder_bits = sum(registry.weight_bits(name).values()) - stem_bits
    held = rate_work.encoder_activation_bytes()
    encoding = [
        Stage("encoder", stem_bits, work.layers.times(1 / work.pixels), held),
        Stage("choices", 0, work.all_choices().times(1 / work.pixels), held),
    ]
    device = _coder_stages(
        coder_bits, work.device.times(1 / work.pixels), device_work.coder_activation_bytes()
    )
    packed = _coder_stages(
        8 * sum(table.nbytes for table in parts.packed.values()),
        work.packed.times(1 / work.pixels),
        packed_work.packed_activation_bytes(
            min(PACKED.strip_rows, frame.shape[0] // PATCH), frame.shape[1] // PATCH
        ),
    )
    note = _note(parts, work, stem_bits + coder_bits, step)
    patches = split_patches(frame)
    quality = min(max(quality_of_step(step), LOWEST), HIGHEST)
    is_default = name == registry.default_model("rate")
    extra = _inverse_work(work)

    def candidate(
        suffix: str, setting: str, coding: list[Stage], decoding: Decoding, codec: Any
    ) -> Candidate:
        stage, run = decoding
        stages = [*encoding, *coding, stage]
        cost = Cost(name + suffix, str(entry["about"]), setting, stages, _detail(work))
        networks = Networks(encode=_levels_of(encoder, patches, step), decode=run)
        return Candidate(cost, networks, codec if is_default else None, quality)

    packed_note = (
        f"As {name}, with the packed coder of a server, which is counted in products of its "
        "networks and mixes; its memory is for a strip."
    )
    strong = decoder_stage(entry["decoder"], frame, extra)
    made = [
        candidate("", note, device, strong, HeqRate()),
        candidate("-packed", packed_note, packed, strong, HeqRatePacked()),
    ]
    for kind, decoder in entry.get("decoders", {}).items():
        other = f"As {name}, with its {kind} decoder."
        made.append(
            candidate(f"-{kind}", other, device, decoder_stage(decoder, frame, extra), None)
        )
    return made


def _coder_stages(bits: int, work: Work, held: int) -> list[Stage]:
    """Either end: both take the same decisions in the same contexts."""
    return [Stage(f"entropy {end}", bits, work, held) for end in ("encoder", "decoder")]


def _inverse_work(work: FrameWork) -> Work:
    """The plain inverse in the size of each patch, per pixel."""
    share = work.quarters * PATCH**2 / work.pixels
    return inverse_work(SIZE).times(1 - share) + inverse_work(QUARTER).times(share)


def _levels_of(encoder: RateNqe, patches: NDArray[np.uint8], step: int) -> Callable[[], object]:
    return lambda: encoder.levels(encoder.coefficients(patches), step)


def _note(parts: RateParts, work: FrameWork, bits: int, step: int) -> str:
    tables = device_work.table_bytes(check_tables(parts.device)._asdict())
    return (
        "The encoder takes one 32x32 patch at a time, in integers, and is counted at step "
        f"{step}, where the device coder takes {8 * work.device_bytes / work.pixels:.3f} bpp; it "
        f"holds {bits:,} bits of weights of {registry.BUDGET_BITS:,}, and the coder {tables:,} "
        f"bytes of tables and {device_work.strip_bytes():,} of state. Skipping zeros brings the "
        f"sums of the cost layer to {work.sparse / work.pixels:.1f} additions; asking it only "
        f"where it decides brings it to {work.doubtful / work.pixels:.1f}."
    )


def _detail(work: FrameWork) -> dict[str, float]:
    patches = work.pixels / PATCH**2
    detail = {"share of patches in quarters": work.quarters / patches}
    for part, done in work.choices.items():
        detail[f"{part}, additions a pixel"] = done.additions / work.pixels
        detail[f"{part}, shifts a pixel"] = done.shifts / work.pixels
    detail["cost layer, additions a pixel where zeros are skipped"] = work.sparse / work.pixels
    detail["cost layer, additions a pixel where it decides"] = work.doubtful / work.pixels
    detail["device coder, bpp"] = 8 * work.device_bytes / work.pixels
    for kind, count in work.decisions.items():
        detail[f"{kind} decisions a patch"] = count / patches
    return detail
