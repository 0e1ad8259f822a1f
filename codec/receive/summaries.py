"""What the page and its JSON say of an image."""

from __future__ import annotations

from typing import Any

from heqcodec.file.options import quality_of_step
from heqcodec.models import registry
from heqcodec.packets.layout import Start

from .progress import Progress, model_name
from .store import NOT_DUE

RECEIVING, DECODING, WHOLE, PARTIAL, FAILED = (
    *("receiving", "decoding", "whole", "partial", "failed"),
)
WAITING = "waiting"
"""For a start packet."""


def state_of(row: dict[str, Any]) -> str:
    """In one word, how it stands with an image."""
    facts = row["facts"]
    if "error" in facts:
        return FAILED
    if facts.get("whole"):
        return WHOLE
    if row["due"] != NOT_DUE:
        return DECODING
    if row["start"] is None:
        return WAITING
    return RECEIVING if row["open"] else PARTIAL


def summary(row: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
    """An image as JSON.

    Args:
        row: of the store.
        progress: of an image that is received.

    Returns:
        key, sender, image, state, first, last (seconds since 1970), bytes, duplicates, version
        (changes with the picture); with a start also width, height, rows, columns, model, quality
        or bits of a patch, came and total packets, missing (how many), patches (bits, row by row,
        in hexadecimal) and known (how many); png and heq, whether these files are written; error.
    """
    facts = row["facts"]
    made: dict[str, Any] = {
        "key": row["key"],
        "sender": row["sender"],
        "image": row["image"],
        "state": state_of(row),
        "first": row["first"],
        "last": row["last"],
        "bytes": progress.size if progress else row["size"],
        "duplicates": progress.duplicates if progress else row["duplicates"],
        "version": progress.stored if progress else row["stored"],
        "way": bool(row["way"]),
        "png": "png" in facts,
        "heq": "heq" in facts,
    }
    if "error" in facts:
        made["error"] = facts["error"]
    if row["start"] is None:
        return made
    start = Start.read(row["start"])
    made.update(_start_facts(start))
    # What was decoded knows better than heads of packets do.
    found = facts if "refused" in facts or progress is None else progress.facts()
    if "patches" in found:
        made.update({name: found[name] for name in ("came", "total", "patches")})
        made["missing"] = len(found["missing"])
        made["refused"] = facts.get("refused", 0)
    if "patches" in made:
        made["known"] = int.from_bytes(bytes.fromhex(made["patches"]), "big").bit_count()
    return made


def missing_packets(row: dict[str, Any], progress: Progress | None) -> list[int]:
    """Numbers of the packets that a sender may be asked for; of an image without a start packet 0,
    which is one."""
    if row["start"] is None:
        return [0]
    if progress is not None and "refused" not in row["facts"]:
        return progress.missing()
    return list(row["facts"].get("missing", []))


def _start_facts(start: Start) -> dict[str, Any]:
    name = model_name(start.model)
    facts: dict[str, Any] = {
        "width": start.width,
        "height": start.height,
        "rows": start.rows,
        "columns": start.columns,
        "channels": start.planes,
        "model": name,
    }
    if name and registry.mode_of(name) == registry.RATE_MODE:
        facts["quality"] = quality_of_step(start.step)
    else:
        facts["bits"] = start.step
    return facts
