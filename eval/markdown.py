"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], names: int | None = None
) -> str:
    """A table, a line for each row, with a line feed at its end.

    Args:
        headings: of the columns.
        rows: their cells, text without line feeds.
        names: how many columns hold names and stand to the left; the others hold numbers and stand
            to the right. None for all to the left.
    """
    left = len(headings) if names is None else names
    rule = "|" + "---|" * left + "---:|" * (len(headings) - left)
    lines = [_line(headings), rule, *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
