"""Arrays of integers as C source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH = 100
INDENT = "    "


class CTable(NamedTuple):
    """A constant array.

    Attributes:
        name: in C.
        values: int8, uint8, uint16 or int32; written row by row, without its dimensions.
        comment: what it holds.
    """

    name: str
    values: NDArray[np.generic]
    comment: str

    def text(self) -> str:
        """Its definition."""
        flat = self.values.reshape(-1)
        kind = f"{flat.dtype.name}_t"
        words = [str(int(value)) for value in flat]
        longest = max(map(len, words))
        lines, line = [], INDENT
        for word in words:
            piece = f"{word:>{longest}},"
            if len(line) + len(piece) > WIDTH:
                lines.append(line.rstrip())
                line = INDENT
            line += piece + " "
        lines.append(line.rstrip())
        body = "\n".join(lines)
        shape = "x".join(map(str, self.values.shape))
        return (
            f"/* {self.comment}; {shape}. */\n"
            f"static const {kind} {self.name}[{len(flat)}] = {{\n{body}\n}};\n"
        )


def table_bytes(tables: list[CTable]) -> int:
    """Bytes of all tables."""
    return sum(table.values.nbytes for table in tables)


def tables_text(tables: list[CTable]) -> str:
    """Definitions of tables, and the check that all of them fit into 2^20 bits."""
    sizes = " +\n    ".join(f"sizeof {table.name}" for table in tables)
    return (
        "\n".join(table.text() for table in tables)
        + f"\nenum {{ WEIGHT_BYTES =\n    {sizes} }};\n\n"
        "/* 2^20 bits. */\n"
        "typedef char weights_fit[WEIGHT_BYTES <= 131072 ? 1 : -1];\n"
    )
