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
        kernels: the condition of the preprocessor under which a kernel has it; "": all.
    """

    name: str
    values: NDArray[np.generic]
    comment: str
    kernels: str = ""

    def text(self) -> str:
        """The definition of the array in C."""
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
        text = (
            f"/* {self.comment}; {shape}. */\n"
            f"static const {kind} {self.name}[{len(flat)}] = {{\n{body}\n}};\n"
        )
        return f"#if {self.kernels}\n{text}#endif\n" if self.kernels else text


FAST_ONLY = "defined(HEQ_KERNEL_FAST)"
TWO_PRODUCTS = "defined(HEQ_TWO_PRODUCTS)"
NOT_FAST = "!defined(HEQ_KERNEL_FAST)"


def packed_tables(tables: list[CTable]) -> list[CTable]:
    """Those that hold each weight once, as densely as any kernel has it."""
    return [table for table in tables if table.kernels in ("", FAST_ONLY)]


def table_bytes(tables: list[CTable]) -> int:
    """Bytes of the packed tables."""
    return sum(table.values.nbytes for table in packed_tables(tables))


def tables_text(tables: list[CTable]) -> str:
    """Definitions of tables, and the check that all of them fit into 2^20 bits."""
    sizes = "".join(
        f"\n#if {table.kernels}\n    + sizeof {table.name}\n#endif"
        if table.kernels
        else f"\n    + sizeof {table.name}"
        for table in tables
    )
    return (
        "\n".join(table.text() for table in tables) + f"\nenum {{ WEIGHT_BYTES = 0{sizes}\n}};\n\n"
        "/* 2^20 bits. */\n"
        "typedef char weights_fit[WEIGHT_BYTES <= 131072 ? 1 : -1];\n"
    )
