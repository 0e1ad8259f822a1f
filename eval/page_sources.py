"""Where the curves of a report come from: runs, their rows, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import heqcodec
from heqcodec.eval.curves import Curve
from heqcodec.eval.measurement import Measurement
from heqcodec.eval.rows import TABLE, read_table
from heqcodec.eval.summary import Claim, DataSet, claim_of

_FACTS = ("Images", "Command", "Machine", "Versions", "This page")
"""The facts about the results, in order."""


@dataclass(frozen=True)
class Run:
    """What one folder of results holds in addition to its curves."""

    folder: Path
    rows: list[Measurement]
    claims: dict[str, tuple[Claim, DataSet]]  # by codec


def read_run(path: Path) -> Run:
    """Read what accompanies the curves of ``load_results`` in a folder, or in one JSON file.

    Raises:
        HeqError: the table of the folder is damaged.
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    claims = {}
    for file in files:
        # That they are JSON was seen when the curves were loaded.
        found = claim_of(json.loads(file.read_text("utf-8")), file.stem)
        if found is not None:
            claims[file.stem] = found
    table = folder / TABLE
    rows = read_table(table) if path.is_dir() and table.exists() else []
    return Run(folder, rows, claims)


def curve_label(curves: Sequence[Curve], run: Run, codec: str) -> str:
    """The label of a codec's curve, which has the folder's name where two are named alike."""
    renamed = f"{run.folder.resolve().name}/{codec}"
    return next((c.label for c in curves if not c.published and c.name == renamed), codec)


def source_rows(curves: Sequence[Curve], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The table of sources: each curve, who measured it, with which version."""
    claims = {
        curve_label(curves, run, codec): claim
        for run in runs
        for codec, (claim, _) in run.claims.items()
    }
    rows = []
    for curve in curves:
        claim = None if curve.published else claims.get(curve.label)
        rows.append(
            {
                "label": curve.label,
                "source": "published" if curve.published else "measured",
                "version": claim.version if claim else None,
                "images": curve.images,
                "about": claim.about if claim else curve.description,
            }
        )
    return rows


def run_facts(runs: Sequence[Run]) -> list[list[str]]:
    """How the results came about: each different record once."""
    facts: dict[tuple[str, str], None] = {}
    for run in runs:
        for claim, data in run.claims.values():
            facts["Images", f"{data.images}, SHA-256 {data.sha256}"] = None
            record = claim.record
            texts = {
                "Command": record.get("command"),
                "Machine": ", ".join(_machine(record)),
                "Versions": ", ".join(
                    f"{name} {version}"
                    for name, version in (record.get("versions") or {}).items()
                    if version
                ),
            }
            facts.update({(name, str(text)): None for name, text in texts.items() if text})
    facts["This page", f"heqcodec {heqcodec.__version__}"] = None
    return [list(fact) for fact in sorted(facts, key=lambda fact: _FACTS.index(fact[0]))]


def _machine(record: dict[str, Any]) -> Iterable[str]:
    yield str(record.get("processor") or record.get("machine") or "unknown processor")
    for key in ("cores", "processes", "threads"):
        if record.get(key) is not None:
            yield f"{key}: {record[key]}"
    if record.get("device") not in (None, "cpu"):
        yield str(record["device"])
