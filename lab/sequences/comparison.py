"""Sequences by each codec: bits, PSNR, what became of the patches, and what a lost frame costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any, NamedTuple, cast

import numpy as np
from heqcodec import decode, encode
from heqcodec.base.constants import PATCH
from heqcodec.base.rate_protocols import RateDecoder, StripCoder
from heqcodec.eval.baselines.video import Coded, h264, motion_jpeg
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.markdown import markdown_table
from heqcodec.eval.metrics import psnr
from heqcodec.file.options import step_of_quality
from heqcodec.nqe_r.coders import OWN
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import LEVELS
from numpy.typing import NDArray

from .patch_states import (
    NEVER_SKIP,
    PLANES,
    PatchStates,
    SequenceDecoder,
    SequenceEncoder,
    StateRules,
)
from .scenes import SCENES, make_sequence

QUALITIES = (20, 40, 60, 80)
JPEG_QUALITIES = (5, 10, 20, 40, 60, 80)
CRFS = (17, 22, 27, 32, 37)
SHIFTS = (NEVER_SKIP, 4, 3, 2, 1, 0)
MODEL = "nqe-r"
FULL = "skip, refine, refresh"
SHARES = ("skipped", "refined", "refreshed")
Rows = list[dict[str, Any]]


class Parts(NamedTuple):
    """Encoder, coder and decoder of the model."""

    encoder: RateNqe
    coder: StripCoder
    decoder: RateDecoder


def load_parts(decoder: str) -> Parts:
    """Those of `MODEL`; ``decoder`` as for `heqcodec.decode`."""
    from heqcodec.models import registry

    return Parts(
        cast(RateNqe, registry.load_rate_encoder(MODEL)),
        registry.load_strip_coder(MODEL, OWN.number),
        registry.load_rate_decoder(MODEL, decoder=decoder),
    )


def patch_count(frame: NDArray[np.uint8]) -> int:
    """Of a frame uint8 (H, W, 3), whose sides are multiples of 32."""
    return frame.shape[0] * frame.shape[1] // PATCH**2


def shown(
    state: PatchStates, frame: NDArray[np.uint8], step: int, decoder: RateDecoder
) -> NDArray[np.uint8]:
    """The picture of a state, of the shape of ``frame``."""
    rows, columns = (size // PATCH for size in frame.shape[:2])
    levels = state.levels.reshape(rows, columns, PLANES, LEVELS)
    sizes = state.transform_sizes.reshape(rows, columns)
    return decoder.decode_frame(levels, sizes, np.full(rows, step, np.int64))


def by_states(
    frames: NDArray[np.uint8], rules: StateRules, parts: Parts
) -> tuple[Coded, NDArray[np.int64]]:
    """A sequence by `SequenceEncoder`, and how many patches were skipped, refined and refreshed."""
    count = patch_count(frames[0])
    sender = SequenceEncoder(parts.encoder, parts.coder, rules, count)
    receiver = SequenceDecoder(parts.coder, rules, count)
    size, decoded, choices = 0, [], np.zeros(3, np.int64)
    for frame in frames:
        payload = sender.encode(frame)
        size += len(payload)
        choices += np.bincount(receiver.decode(payload), minlength=3)
        decoded.append(shown(receiver.state, frame, rules.step, parts.decoder))
    return (size, np.stack(decoded)), choices


def intra_only(frames: NDArray[np.uint8], quality: int, decoder: str) -> Coded:
    """Each frame a .heq file of its own."""
    files = [encode(frame, quality=quality, model=MODEL) for frame in frames]
    shown_frames = [decode(file, decoder=cast(Any, decoder)) for file in files]
    return sum(len(file) for file in files), np.stack(shown_frames)


def figures(frames: NDArray[np.uint8], coded: Coded) -> dict[str, float]:
    """Bits per pixel, and the mean of the frames' PSNR in dB."""
    size, decoded = coded
    values = [psnr(*pair) for pair in zip(frames, decoded, strict=True)]
    return {"bpp": 8 * size / frames[..., 0].size, "psnr": mean(values)}


def choose_shift(
    tiles: Iterable[NDArray[np.uint8]], count: int, side: int, seed: int
) -> tuple[int, Rows]:
    """The `StateRules.skip_shift` of least BD-rate against no skips, over all scenes.

    By the plain inverse transform, which is quick.

    Args:
        tiles: photographs to choose on, uint8 (H, W, 3).
        count, side, seed: see `make_sequence`.

    Returns:
        It, and a row for each shift with its BD-rate in percent.
    """
    parts = load_parts("plain")
    saved: dict[int, list[float]] = {shift: [] for shift in SHIFTS}
    for place, tile in enumerate(tiles):
        for scene in SCENES.values():
            frames = make_sequence(tile, scene, count, side, seed + place)
            curves = {}
            for shift in SHIFTS:
                points = [
                    figures(frames, by_states(frames, rules, parts)[0])
                    for rules in (StateRules(step_of_quality(q), shift) for q in QUALITIES)
                ]
                curves[shift] = [(point["bpp"], point["psnr"]) for point in points]
            for shift in SHIFTS:
                rate = compare(curves[NEVER_SKIP], curves[shift]).rate
                saved[shift].append(0.0 if rate is None else rate)
    means = {shift: mean(rates) for shift, rates in saved.items()}
    rows: Rows = [{"skip_shift": shift, "bd_rate": rate} for shift, rate in means.items()]
    return min(means, key=lambda shift: means[shift]), rows


def measure(
    photographs: Sequence[NDArray[np.uint8]],
    rules: StateRules,
    count: int,
    side: int,
    seed: int,
    report: Callable[[str], None],
) -> Rows:
    """Every scene of every photograph by every codec, at each of its settings.

    Args:
        photographs: not trained on, uint8 (H, W, 3).
        rules: of the states; the step follows from the quality.
        count, side, seed: see `make_sequence`.
        report: gets a line as a scene is done.

    Returns:
        Rows: ``scene``, ``photograph``, ``codec``, ``setting``, ``bpp``, ``psnr``, and `SHARES` of
        the patches, 0 for the codecs without states.
    """
    parts = load_parts("strong")
    rows: Rows = []
    for name, scene in SCENES.items():
        for place, photograph in enumerate(photographs):
            frames = make_sequence(photograph, scene, count, side, seed + place)

            def add(
                codec: str,
                setting: int,
                coded: Coded,
                name: str = name,
                place: int = place,
                frames: NDArray[np.uint8] = frames,
                **more: float,
            ) -> None:
                about = {"scene": name, "photograph": place, "codec": codec, "setting": setting}
                found = {**figures(frames, coded), **dict.fromkeys(SHARES, 0.0), **more}
                rows.append({**about, **{key: round(found[key], 4) for key in found}})

            for quality in QUALITIES:
                add("intra", quality, intra_only(frames, quality, "strong"))
                own = replace(rules, step=step_of_quality(quality))
                for codec, varied in (
                    ("skip, refresh", replace(own, refines=False)),
                    (FULL, own),
                ):
                    coded, choices = by_states(frames, varied, parts)
                    shares = (choices / choices.sum()).tolist()
                    add(codec, quality, coded, **dict(zip(SHARES, shares, strict=True)))
            for quality in JPEG_QUALITIES:
                add("Motion JPEG", quality, motion_jpeg(frames, quality))
            for crf in CRFS:
                add("H.264", crf, h264(frames, crf))
        report(f"{name}: {len(photographs)} sequences are coded.")
    return rows


def bd_rates(rows: Rows) -> dict[str, dict[str, float | None]]:
    """Mean BD-rate in percent of each codec against intra-only files, by scene: over the
    photographs of which the curves overlap, None where none does."""
    found: dict[str, dict[str, float | None]] = {}
    for scene in SCENES:
        own = [row for row in rows if row["scene"] == scene]
        for codec in dict.fromkeys(row["codec"] for row in own):
            rates = []
            for place in sorted({row["photograph"] for row in own}):
                curves = [
                    [
                        (row["bpp"], row["psnr"])
                        for row in own
                        if row["photograph"] == place and row["codec"] == kind
                    ]
                    for kind in ("intra", codec)
                ]
                rates.append(compare(curves[0], curves[1]).rate)
            known = [rate for rate in rates if rate is not None]
            found.setdefault(codec, {})[scene] = mean(known) if known else None
    return found


def lose_frame(
    photographs: Sequence[NDArray[np.uint8]],
    rules: StateRules,
    count: int,
    side: int,
    seed: int,
    lost: int,
) -> Rows:
    """What the loss of one frame costs until each patch had its refresh.

    Args:
        photographs, count, side, seed: as for `measure`.
        rules: with the step.
        lost: index of the frame that does not arrive.

    Returns:
        A row a scene: ``differing``, the share of patches whose state is not the encoder's after
        each frame, and ``fall``, by how many dB the PSNR of each frame is below that without loss.
    """
    parts = load_parts("strong")
    rows: Rows = []
    for name, scene in SCENES.items():
        differing, fall = [], []
        for place, photograph in enumerate(photographs):
            frames = make_sequence(photograph, scene, count, side, seed + place)
            sender = SequenceEncoder(parts.encoder, parts.coder, rules, patch_count(frames[0]))
            receiver = SequenceDecoder(parts.coder, rules, patch_count(frames[0]))
            shares, falls = [], []
            for index, frame in enumerate(frames):
                payload = sender.encode(frame)
                if index != lost:
                    receiver.decode(payload)
                apart = sender.state.differing(receiver.state)
                shares.append(float(apart.mean()))
                if not apart.any():
                    falls.append(0.0)
                    continue
                whole, damaged = (
                    psnr(frame, shown(side_state, frame, rules.step, parts.decoder))
                    for side_state in (sender.state, receiver.state)
                )
                falls.append(whole - damaged)
            differing.append(shares)
            fall.append(falls)
        rows.append(
            {
                "scene": name,
                "differing": np.mean(differing, axis=0).round(4).tolist(),
                "fall": np.mean(fall, axis=0).round(3).tolist(),
            }
        )
    return rows


def tables(rows: Rows, loss: Rows, classes: Rows) -> str:
    """What was measured, as Markdown: BD-rates, shares of patches, a lost frame, classes."""
    rates = bd_rates(rows)
    lines = [
        [codec, *("n/a" if rate is None else f"{rate:+.1f}" for rate in by_scene.values())]
        for codec, by_scene in rates.items()
        if codec != "intra"
    ]
    text = "BD-rate in percent against intra-only files, means over photographs:\n\n"
    text += markdown_table(["codec", *SCENES], lines, 1)
    text += "\nPatches skipped, refined and refreshed, in percent, by quality:\n\n"
    lines = []
    for quality in QUALITIES:
        cells = [str(quality)]
        for scene in SCENES:
            own = [
                row
                for row in rows
                if (row["codec"], row["setting"], row["scene"]) == (FULL, quality, scene)
            ]
            cells.append(
                ", ".join(f"{100 * mean(row[word] for row in own):.0f}" for word in SHARES)
            )
        lines.append(cells)
    text += markdown_table(["quality", *SCENES], lines, 1)
    if loss:
        text += "\nAfter the loss of a frame:\n\n"
        headings = ["scene", "patches that differ, %", "fall of PSNR, dB", "frames until the same"]
        lines = [
            [
                row["scene"],
                f"{100 * max(row['differing']):.0f}",
                f"{max(row['fall']):.2f}",
                str(sum(share > 0 for share in row["differing"])),
            ]
            for row in loss
        ]
        text += markdown_table(headings, lines, 1)
    if classes:
        text += "\nClasses of sequences, accuracy in percent:\n\n"
        lines = []
        for kind in dict.fromkeys(row["kind"] for row in classes):
            cells = [kind]
            for question in dict.fromkeys(row["question"] for row in classes):
                own = [row for row in classes if (row["kind"], row["question"]) == (kind, question)]
                cells += [
                    f"{mean(row['accuracy'] for row in own):.2f}",
                    ", ".join(f"{row['accuracy']:.2f}" for row in own),
                ]
            lines.append(cells)
        questions = dict.fromkeys(row["question"] for row in classes)
        headings = [cell for question in questions for cell in (question, "by seed")]
        text += markdown_table(["what", *headings], lines, 1)
    return text
