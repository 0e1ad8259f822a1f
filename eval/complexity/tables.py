"""The comparison as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from heqcodec.eval.markdown import markdown_table

from .contender import Contender
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


def work_tables(contenders: Sequence[Contender]) -> list[Table]:
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
        for contender in contenders:
            stage = contender.cost.stage(first)
            cells = [contender.cost.name, _bits(stage), _work(stage)]
            if second:
                cells.append(_work(contender.cost.stage(second)))
            rows.append((*cells, _bytes(stage)))
        tables.append(Table(title, tuple(headings), tuple(rows)))
    return tables


def speed_table(contenders: Sequence[Contender], speeds: Sequence[Speed]) -> Table:
    """Megapixels a second, and ratios to the reference."""
    reference = reference_speed(contenders, speeds)
    headings = ("codec", "file bpp", *(_heading(figure) for figure in FIGURES))
    rows = []
    for contender, speed in zip(contenders, speeds, strict=True):
        cells = [contender.cost.name, "-" if speed.bpp is None else f"{speed.bpp:.3f}"]
        for figure in FIGURES:
            value, share = getattr(speed, figure), ratio(speed, reference, figure)
            reported = "-" if value is None else f"{value:.3g}"
            cells.append(reported if share is None else f"{reported} ({share:.2f}x)")
        rows.append(tuple(cells))
    title = f"Megapixels a second, and as so many times {REFERENCE}"
    return Table(title, headings, tuple(rows))


def reference_speed(contenders: Sequence[Contender], speeds: Sequence[Speed]) -> Speed:
    """The speed of the codec that ratios are to; one without figures where it is not there."""
    found = [s for c, s in zip(contenders, speeds, strict=True) if c.cost.name == REFERENCE]
    return found[0] if found else Speed()


def remarks(contenders: Sequence[Contender], speeds: Sequence[Speed]) -> list[str]:
    """What a reader must know, one sentence or two a codec."""
    reported = [f"{contender.cost.name}: {contender.cost.note}" for contender in contenders]
    if speeds and reference_speed(contenders, speeds).files_encode is None:
        reported.append(NETWORKS_ONLY)
    return reported


def markdown(table: Table) -> str:
    """A table as Markdown, with its title as a heading."""
    return f"## {table.title}\n\n{markdown_table(table.headings, table.rows, names=1)}"


def document(contenders: Sequence[Contender], speeds: Sequence[Speed], run: dict[str, Any]) -> str:
    """Everything as JSON, unrounded; what is not known is null."""
    reference = reference_speed(contenders, speeds) if speeds else Speed()
    codecs = []
    for index, contender in enumerate(contenders):
        cost = contender.cost
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
