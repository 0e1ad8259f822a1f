"""Measurements as lines of text: ``images.csv``, and the cells that other files share with it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, get_type_hints

from heqcodec.base.errors import HeqError
from heqcodec.eval.measurement import Measurement

TABLE = "images.csv"
"""Name of the table in a folder of results."""
COLUMNS = tuple(field.name for field in fields(Measurement))


def row_cells(row: Measurement) -> list[str]:
    """Return the fields as text that `row_from_cells` turns back into an equal row."""
    return [_text(name, value) for name, value in zip(COLUMNS, astuple(row), strict=True)]


def row_from_cells(cells: Sequence[str]) -> Measurement:
    """Read a row back. Raises ``ValueError`` when a cell is missing or is not of its type."""
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} cells instead of {len(COLUMNS)}")
    return Measurement(
        **{name: _value(name, cell) for name, cell in zip(COLUMNS, cells, strict=True)}
    )


def table_text(rows: Iterable[Measurement]) -> str:
    """Return the rows as a CSV table, sorted by codec, setting and image."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: (row.codec, row.setting, row.image)):
        writer.writerow(row_cells(row))
    return buffer.getvalue()


def read_table(path: Path) -> list[Measurement]:
    """Read ``images.csv``.

    Raises:
        HeqError: it cannot be read, has other columns, or a cell is not of its column's type.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HeqError(f"{path} cannot be read as a table: {error}.") from error
    lines = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(lines, [])) != COLUMNS:
        raise HeqError(f"{path} has other columns than the tables of this version.")
    rows = []
    for cells in lines:
        try:
            rows.append(row_from_cells(cells))
        except ValueError as error:
            raise HeqError(f"{path}, line {lines.line_num}: {error}.") from error
    return rows


def _text(name: str, value: Any) -> str:
    """Floats as ``repr`` writes them, so that reading gives the same number."""
    if value is None:
        return ""
    return repr(float(value)) if float in _KINDS[name] else str(value)


def _value(name: str, cell: str) -> Any:
    kinds = _KINDS[name]
    if cell == "" and type(None) in kinds:
        return None
    if str in kinds:
        return cell
    if int in kinds:
        return int(cell)
    number = float(cell)
    if number == math.inf and type(None) in kinds:
        return None  # As version 0.1.0 wrote the PSNR of a lossless file.
    if not math.isfinite(number):
        raise ValueError(f"{name} is not a number")
    return number


def _kinds(hint: Any) -> frozenset[type]:
    return frozenset(getattr(hint, "__args__", (hint,)))


_KINDS = {name: _kinds(hint) for name, hint in get_type_hints(Measurement).items()}
