"""docs/PACKETS.md and the code say the same."""

from __future__ import annotations

from pathlib import Path

from heqcodec.packets import filling, layout, levels, parity, resend
from heqcodec.packets.layout import Kind

PAGE = (Path(__file__).parents[2] / "docs" / "PACKETS.md").read_text(encoding="utf-8")
SIZES = {"u8": ("B", 1), "u16": ("H", 2), "u32": ("I", 4)}


def rows(heading: str, after: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(after) :].splitlines()
    first = next(n for n, line in enumerate(lines) if line == heading) + 2
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_fields_of_a_packet() -> None:
    table = rows("| part | size | type | value |", "## Packet")
    head = [row for row in table if row[0] not in ("payload", "crc")]
    assert "<" + "".join(SIZES[row[2]][0] for row in head) == layout.HEAD.format
    assert all(int(row[1]) == SIZES[row[2]][1] for row in head)
    assert f"{layout.OVERHEAD} of them are not payload" in PAGE
    assert f"A packet has {layout.SMALLEST} to {layout.LARGEST} bytes" in PAGE
    bands = PAGE[PAGE.index("after band ") + 11 : PAGE.index(", the last that fits")]
    assert tuple(map(int, bands.replace(" or ", ", ").split(","))) == filling.CUTS
    runs = PAGE[PAGE.index("the first run of ") + 17 : PAGE.index(" that divides")]
    assert tuple(map(int, runs.replace(" and ", ", ").split(", "))) == levels.RUNS
    assert filling.START_EVERY == 8 and "One in eight is a start packet" in PAGE


def test_fields_of_a_start_packet() -> None:
    table = rows("| part | size | type | value |", "**Start packets**")
    assert "<" + "".join(SIZES[row[2]][0] for row in table) == layout.START.format
    assert f"begin with {layout.START.size} bytes" in PAGE
    assert [row[0] for row in table] == [*layout.Start.__dataclass_fields__]


def test_fields_of_a_resend_list() -> None:
    table = rows("| part | size | type | value |", "## Streams and resend lists")
    assert "<" + "".join(SIZES[row[2]][0] for row in table[:-1]) == resend.RESEND_HEAD.format


def test_kinds() -> None:
    table = rows("| kind | name | payload |", "## Packet")
    assert [(int(row[0]), row[1]) for row in table] == [(k.value, k.name) for k in Kind]


def test_parity_code() -> None:
    assert f"polynomial {parity.POLYNOMIAL:#05X}".replace("0X", "0x") in PAGE
    assert f"K + R at most {parity.MOST}" in PAGE
