"""Logs of trainings: rows of a CSV file, added as they come."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def append_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows, with a header line if the file is new; written when this returns.

    Args:
        path: of the file; its folder is made.
        rows: all with the same keys; lists and dicts are written as JSON.
    """
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(
            {k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in row.items()}
            for row in rows
        )


def drop_rows(path: Path, key: str, last: int) -> None:
    """Take the rows whose ``key`` is above ``last``, which will be done again, out of a log."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row[key]) <= last]
    path.unlink()
    append_rows(path, list(rows))
