"""The tables of docs/FORMAT.md."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md").read_text("utf-8")


def table(columns: str, page: str = PAGE) -> list[list[str]]:
    """Rows of every table of a page whose heading is ``columns``."""
    rows = []
    pattern = re.escape(columns) + r"\n\|[-|]+\|\n((?:\|.*\|\n)+)"
    for body in re.findall(pattern, page):
        rows += [[cell.strip() for cell in line[1:-1].split("|")] for line in body.splitlines()]
    assert rows, f"the page has no table {columns}"
    return rows
