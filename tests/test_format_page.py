"""docs/FORMAT.md and the code say the same: the page's tables are parsed and compared."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from heqcodec import backend
from heqcodec.container import chunks, header, strips
from heqcodec.container.header import Coder, Header, Mode
from heqcodec.container.repair import byte_syndromes
from heqcodec.container.writer import total_size

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "FORMAT.md").read_text("utf-8")
STRUCT_OF_TYPE = {"u8": "B", "u16": "H", "u32": "I"}


def table(columns: str) -> list[list[str]]:
    """Rows of every table of the page whose heading is ``columns``."""
    rows = []
    pattern = re.escape(columns) + r"\n\|[-|]+\|\n((?:\|.*\|\n)+)"
    for body in re.findall(pattern, PAGE):
        rows += [[cell.strip() for cell in line[1:-1].split("|")] for line in body.splitlines()]
    assert rows, f"the page has no table {columns}"
    return rows


def test_header_table_is_the_field_list() -> None:
    rows = table("| offset | size | field | type | value |")
    offsets = header.field_offsets()
    assert [row[:4] for row in rows] == [
        [str(offsets[field.name]), str(field.size), field.name, field.type]
        for field in header.FIELDS
    ]
    for field in header.FIELDS:
        assert field.code == STRUCT_OF_TYPE.get(field.type, f"{field.size}s")


def test_header_constants() -> None:
    values = {row[2]: row[4] for row in table("| offset | size | field | type | value |")}
    assert bytes.fromhex(values["magic"].strip("`")) == header.MAGIC
    assert values["version"] == str(header.FORMAT_VERSION)
    assert PAGE.startswith(f"# The `.heq` file format, version {header.FORMAT_VERSION}\n")
    assert values["header_crc"] == f"CRC-32 of bytes 0 to {header.HEADER_LENGTH - 5}"
    assert f"|  {header.HEADER_LENGTH} bytes |" in PAGE


@pytest.mark.parametrize(
    ("columns", "kind"),
    [("| mode | name | meaning |", Mode), ("| coder | name | with mode | payload |", Coder)],
)
def test_numbers_and_names(columns: str, kind: type[Mode] | type[Coder]) -> None:
    assert [(int(row[0]), row[1]) for row in table(columns)] == [(v, v.name) for v in kind]


def test_coders_of_the_patch_mode() -> None:
    rows = table("| coder | name | with mode | payload |")
    patch = tuple(int(row[0]) for row in rows if row[2] == str(int(Mode.PATCH)))
    assert patch == header.PATCH_CODERS


def test_strip_and_chunk_parts() -> None:
    rows = table("| part | size | type | value |")
    layouts = [rows[:4], rows[4:]]
    for layout, head, crc in zip(
        layouts,
        (strips.STRIP_HEAD, chunks.CHUNK_HEAD),
        (strips.STRIP_CRC, chunks.CHUNK_CRC),
        strict=True,
    ):
        codes = [STRUCT_OF_TYPE.get(row[2], f"{row[1]}s") for row in layout]
        assert struct.calcsize("<" + "".join(codes[:2])) == head.size
        assert "<" + "".join(codes[:2]) == head.format
        assert layout[2][1] == "length"
        assert "<" + codes[3] == crc.format


def test_chunk_types() -> None:
    rows = table("| type | holds | data |")
    assert {row[0].encode(): row[1] for row in rows} == chunks.CHUNK_TYPES


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 65), (1000, 700)])
@pytest.mark.parametrize("strip_rows", [1, 2, 7])
def test_offset_formulas(size: tuple[int, int], strip_rows: int) -> None:
    found = re.search(
        r"strip_offset\(i\)\s+= (.+)\npatch_offset\(r, c\)\s+= (.+)\n.*\n"
        r"total size\s+= (.+)\n\s+\+ \(12 \+ data length\)",
        PAGE,
    )
    assert found
    strip_formula, patch_formula, total_formula = (
        text.replace("12 i", "12 * i").replace("12 n", "12 * n") for text in found.groups()
    )
    head = Header(size[0], size[1], 3, 256, b"encoder.", strip_rows=strip_rows)
    names = {
        "rows": head.patch_rows,
        "columns": head.patch_columns,
        "rate": head.rate,
        "strip_rows": strip_rows,
        "n": head.strip_count,
        "min": min,
    }
    for i in range(head.strip_count + 1):
        assert eval(strip_formula, {**names, "i": i}) == strips.strip_offset(head, i)
    for r in range(head.patch_rows):
        i = r // strip_rows
        for c in range(head.patch_columns):
            place = {"i": i, "r": r, "c": c, "strip_offset": lambda i: strips.strip_offset(head, i)}
            assert eval(patch_formula, {**names, **place}) == strips.patch_offset(head, r, c)
    assert eval(total_formula, names) + 12 == total_size(head)
    assert eval(total_formula, names) + 12 + 12 + 5 == total_size(head, [5])


def test_every_damaged_header_byte_has_its_own_syndrome() -> None:
    assert len(byte_syndromes()) == header.HEADER_LENGTH * 255
    assert f"{header.HEADER_LENGTH * 255:,}" in PAGE
    assert 0 not in byte_syndromes()


@pytest.mark.skipif(shutil.which("file") is None, reason="needs the file command")
def test_magic_snippet(tmp_path: Path) -> None:
    snippet = re.search(r"```\n(0\tstring\t(?:.*\n)+?)```", PAGE)
    assert snippet
    (tmp_path / "magic").write_text(snippet[1])
    (tmp_path / "grey").write_bytes(Header(640, 480, 1, 256, b"encoder.").pack())

    def file(*options: str) -> str:
        command = ["file", "--brief", "-m", "magic", *options, "grey"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    assert file() == "HEQ image data, version 1, 640 x 480, grey"
    assert file("--mime-type") == "image/x-heq"
    assert file("--extension") == "heq"


def test_models_and_container_agree() -> None:
    assert backend.PATCH == header.PATCH
    assert (backend.CODER_NONE, backend.CODER_PATCH) == (Coder.NONE, Coder.PATCH)
