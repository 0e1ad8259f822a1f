"""The comparison as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from heqcodec.eval.markdown import markdown_table

from .candidate import Candidate
from .speed import FIGURES, Speed, ratio
from .work import Stage

REFERENCE = "bmshj2018-factorized"
"""Whose speed the ratios are to: CompressAI's factorized architecture."""
NETWORKS_ONLY = (
    "The reference wrote no files here (CompressAI or trained weights for it are missing), so that "
    "ratios are of networks only."
)


@dataclass(frozen=True)
class Table:
    """A titled table of text; the first column is to the left."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def work_tables(candidates: Sequence[Candidate]) -> list[Table]:
    """Weights, operations and memory of encoders, entropy coders and decoders."""
    tables = []
    for title, first, second in (
        ("Encoder", "encoder", "choices"),
        ("Entropy coder", "entropy encoder", "entropy decoder"),
        ("Decoder", "decoder", None),
    ):
        headings = ["codec", "weights, bits", "a pixel", "memory, bytes"]
        if second == "choices":
            headings[2:3] = ["a pixel", "choices, by the image"]
        elif second:
            headings[2:3] = ["encoding, a pixel", "decoding, a pixel"]
        rows = []
        for candidate in candidates:
            stage = candidate.cost.stage(first)
            cells = [candidate.cost.name, _bits(stage), _work(stage)]
            if second:
                cells.append(_work(candidate.cost.stage(second)))
            rows.append((*cells, _bytes(stage)))
        tables.append(Table(title, tuple(headings), tuple(rows)))
    return tables


def speed_table(candidates: Sequence[Candidate], speeds: Sequence[Speed]) -> Table:
    """Megapixels a second, and ratios to the reference."""
    reference = reference_speed(candidates, speeds)
    headings = ("codec", "file bpp", *(_heading(figure) for figure in FIGURES))
    rows = []
    for candidate, speed in zip(candidates, speeds, strict=True):
        cells = [candidate.cost.name, "-" if speed.bpp is None else f"{speed.bpp:.3f}"]
        for figure in FIGURES:
            value, share = getattr(speed, figure), ratio(speed, reference, figure)
            reported = "-" if value is None else f"{value:.3g}"
            cells.append(reported if share is None else f"{reported} ({share:.2f}x)")
        rows.append(tuple(cells))
    title = f"Megapixels a second, and as so many times {REFERENCE}"
    return Table(title, headings, tuple(rows))


def reference_speed(candidates: Sequence[Candidate], speeds: Sequence[Speed]) -> Speed:
    """The speed of the codec that ratios are to; one without figures where it is not there."""
    found = [s for c, s in zip(candidates, speeds, strict=True) if c.cost.name == REFERENCE]
    return found[0] if found else Speed()


def remarks(candidates: Sequence[Candidate], speeds: Sequence[Speed]) -> list[str]:
    """What a reader must know, one sentence or two a codec."""
    reported = [f"{candidate.cost.name}: {candidate.cost.note}" for candidate in candidates]
    if speeds and reference_speed(candidates, speeds).files_encode is None:
        reported.append(NETWORKS_ONLY)
    return reported


def markdown(table: Table) -> str:
    """A table as Markdown, with its title as a heading."""
    return f"## {table.title}\n\n{markdown_table(table.headings, table.rows, names=1)}"


def document(candidates: Sequence[Candidate], speeds: Sequence[Speed], run: dict[str, Any]) -> str:
    """Everything as JSON, unrounded; what is not known is null."""
    reference = reference_speed(candidates, speeds) if speeds else Speed()
    codecs = []
    for index, candidate in enumerate(candidates):
        cost = candidate.cost
        reported: dict[str, Any] = {
            "name": cost.name,
            "about": cost.about,
            "note": cost.note,
            "stages": [asdict(stage) for stage in cost.stages],
            "detail": cost.detail,
        }
        if speeds:
            reported["megapixels_per_second"] = asdict(speeds[index])
            reported["ratio"] = {key: ratio(speeds[index], reference, key) for key in FIGURES}
        codecs.append(reported)
    whole = {**run, "reference": REFERENCE, "codecs": codecs}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _heading(figure: str) -> str:
    return figure.replace("_", ", ")


def _bits(stage: Stage | None) -> str:
    if stage is None:
        return "-"
    return "?" if stage.weight_bits is None else f"{stage.weight_bits:,}"


def _work(stage: Stage | None) -> str:
    if stage is None:
        return "-"
    return "?" if stage.work is None else stage.work.text()


def _bytes(stage: Stage | None) -> str:
    if stage is None:
        return "-"
    return "?" if stage.activation_bytes is None else f"{stage.activation_bytes:,}"
