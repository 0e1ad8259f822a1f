"""docs/FORMAT.md and the code say the same: the page's tables are parsed and compared."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from format_tables import PAGE, table
from heqcodec.base import colour, patch_protocols
from heqcodec.base.ids import tensors_id
from heqcodec.container import chunks, header, strips
from heqcodec.container.header import Coder, Header, Mode
from heqcodec.container.repair import byte_syndromes
from heqcodec.container.strips import smallest_size, total_size
from heqcodec.file import options
from heqcodec.models import registry
from heqcodec.nqe_r import cost_layer, quantizer
from heqcodec.nqe_r import transform as rate_transform
from heqcodec.nqe_r.coders import CODERS
from heqcodec.nqe_r.encoder import TENSORS, RateNqe, stem_tensors
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_t import arithmetic, contexts, transform
from heqcodec.nqe_t import encoder as transform_nqe
from heqcodec.nqe_t.zones import cell, zones
from heqcodec.nqe_vgg import payload
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.layout import VGG_LAYERS

STRUCT_OF_TYPE = {"u8": "B", "u16": "H", "u32": "I"}


PATCH_PAYLOAD = PAGE[PAGE.index("\n## Patch payload\n") : PAGE.index("\n## Variable rate ")]
RATE_LEVELS = PAGE[PAGE.index("\n### Levels of nqe-r\n") : PAGE.index("\n### Device payload ")]


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
    assert f"{header.GRAY_AS_RGB} grey, given back as RGB" in values["channels"]
    assert f"A file with {header.GRAY_AS_RGB} in byte {header.field_offsets()['channels']}" in PAGE


@pytest.mark.parametrize(
    ("columns", "kind"),
    [("| mode | name | meaning |", Mode), ("| coder | name | with mode | payload |", Coder)],
)
def test_numbers_and_names(columns: str, kind: type[Mode] | type[Coder]) -> None:
    assert [(int(row[0]), row[1]) for row in table(columns)] == [(v, v.name) for v in kind]


def test_coders_of_the_modes() -> None:
    rows = table("| coder | name | with mode | payload |")
    for mode in Mode:
        coders = header.PATCH_CODERS if mode == Mode.PATCH else header.RATE_CODERS
        assert tuple(int(row[0]) for row in rows if str(int(mode)) in row[2].split(", ")) == coders


def test_steps_and_strips_of_the_rate_mode() -> None:
    values = {row[2]: row[4] for row in table("| offset | size | field | type | value |")}
    assert f"mode 1: step index, 0 (finest) to {header.STEPS - 1}" in values["rate"]
    rows = {kind.number: kind.strip_rows for kind in CODERS.values()}
    assert (
        f"heqcodec writes 1 in mode 0, {rows[Coder.DEVICE]} with coder 2, {rows[Coder.PACKED]} "
        "with coder 3"
    ) in values["strip_rows"]
    assert f"Step indices are {quantizer.OCTAVE} to an octave" in PAGE
    formula = re.search(r"is the index\n`(\d+ - \d+ \* quality)`, rounded", PAGE)
    assert formula
    for value in range(1, 101):
        assert eval(formula[1], {"quality": value}) == options.step_of_quality(value)
    assert f"A patch has {LEVELS:,} levels a colour plane" in PAGE
    head = Header(100, 300, 3, 512, bytes(8), coder=Coder.DEVICE, mode=Mode.RATE)
    least = re.search(r"mode 1: `(44 \+ 12 n \+ 12)`", PAGE)
    assert least
    assert eval(least[1].replace("12 n", "12 * n"), {"n": 10}) == smallest_size(head)


def test_strip_and_chunk_parts() -> None:
    rows = table("| part | size | type | value |")
    layouts = [rows[:5], rows[5:]]
    for layout, head, crc in zip(
        layouts,
        (strips.STRIP_HEAD, chunks.CHUNK_HEAD),
        (strips.STRIP_CRC, chunks.CHUNK_CRC),
        strict=True,
    ):
        codes = [STRUCT_OF_TYPE.get(row[2], f"{row[1]}s") for row in layout]
        assert "<" + "".join(codes[:-2]) == head.format
        assert layout[-2][1] == "length"
        assert "<" + codes[-1] == crc.format
    rates = {row[0]: row[3] for row in layouts[0]}["rate"]
    assert rates.endswith(f"0 to {header.STEPS - 1}, or {strips.NOT_SENT}")
    assert f"A file has at most {header.MOST_STRIPS:,} strips" in PAGE
    assert f"`height` is at most {header.MOST_STRIPS * 255 * header.PATCH:,}" in PAGE


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
    (tmp_path / "grey").write_bytes(Header(640, 480, 1, 256, b"encoder.", gray_as_rgb=True).pack())
    assert file() == "HEQ image data, version 1, 640 x 480, RGB (coded as grey)"
    assert file("--mime-type") == "image/x-heq"
    assert file("--extension") == "heq"


def test_models_and_container_agree() -> None:
    assert (patch_protocols.CODER_NONE, patch_protocols.CODER_PATCH) == (Coder.NONE, Coder.PATCH)


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    """The tensors of the shipped `nqe-t`."""
    encoder = registry.load_encoder("nqe-t")
    assert isinstance(encoder, transform_nqe.TransformNqe)
    coarse, fine = transform.dct_layers()
    return {"coarse": coarse, "fine": fine, **encoder.tables._asdict()}


def span(text: str) -> range:
    """ "3 to 8" or "3"."""
    first, _, last = text.partition(" to ")
    return range(int(first), int(last or first) + 1)


def test_constants_of_the_patch_code() -> None:
    modules = (contexts, arithmetic, transform_nqe)
    for name, value, _ in table("| constant | value | meaning |", PATCH_PAYLOAD):
        assert [int(value)] == [getattr(part, name) for part in modules if hasattr(part, name)]
    assert f"for p = {contexts.TOP_PLANE} down to {contexts.BOTTOM_PLANE}, T = 2^p" in PAGE
    assert f"k = {contexts.TOP_PLANE} - p:" in PAGE
    assert f"code({arithmetic.EVEN}, c < 0?)" in PAGE
    assert f"encoder: range = {arithmetic.RANGE_START}, low = 0" in PAGE
    assert f"decoder of N bits: range = {arithmetic.RANGE_START}," in PAGE
    assert f"if fixed >= {transform_nqe.LONGEST}: do nothing" in PAGE
    assert f"at most {contexts.FLAG_BINS - 1}: of Z" in PAGE
    assert f"(sum over x of W[v][x] * P[y][x] + 4) >> {transform.STAGE_SHIFT} " in PAGE
    assert f"P[0] = R + G + B - {-colour.PIXEL_OFFSET[0]} " in PAGE


def test_tensors_of_the_patch_code(tensors: dict[str, np.ndarray]) -> None:
    rows = table("| tensor | type | shape | holds |", PATCH_PAYLOAD)
    assert [row[:3] for row in rows] == [
        [name, str(array.dtype), ", ".join(map(str, array.shape))]
        for name, array in tensors.items()
    ]
    shapes = {row[0]: tuple(map(int, row[2].split(","))) for row in rows}
    assert shapes["significance"] == contexts.SIGNIFICANCE_SHAPE
    assert shapes["flag"] == contexts.FLAG_SHAPE
    assert shapes["refinement"] == contexts.REFINEMENT_SHAPE
    assert shapes["lps"] == (arithmetic.STATES, arithmetic.RANGE_STEPS)


def test_ids_of_the_transform_encoder(tensors: dict[str, np.ndarray]) -> None:
    parts = {}
    for name, kind, shape, _ in table("| tensor | type | shape | holds |", PATCH_PAYLOAD):
        code = {"int8": "|i1", "uint8": "|u1", "uint16": "<u2"}[kind]
        line = f"{name} {code} ({shape}{'' if ',' in shape else ','})"
        parts[name] = f"{line}\n".encode() + tensors[name].astype(code).tobytes()
        if name in ("flag", "lps", "order", "fine"):
            assert f"`{line}`" in PAGE
    encoder = registry.load_encoder("nqe-t")
    names = list(parts)
    for wanted, given in ((encoder.encoder_id, names[:2]), (encoder.coder_id, names[2:])):
        assert hashlib.sha256(b"".join(parts[name] for name in given)).digest()[:8] == wanted


def test_zones_of_the_patch_code() -> None:
    zone_of = {int(place): index for index, zone in enumerate(zones()) for place in zone.cells}
    luma = table("| ring of plane 0 | u^2 + v^2 | horizontal | vertical | diagonal |")
    chroma = table("| ring of planes 1, 2 | u^2 + v^2 | plane 1 | plane 2 | beside it in plane 0 |")
    assert "horizontal where `2 u <= v`, else vertical where `2 v <= u`, else diagonal" in PAGE
    for u, v in np.ndindex(32, 32):
        orientation = 0 if 2 * u <= v else 1 if 2 * v <= u else 2
        (row,) = [row for row in luma if u * u + v * v in span(row[1])]
        assert int(row[2 + orientation]) == zone_of[cell(0, u, v)]
        (row,) = [row for row in chroma if u * u + v * v in span(row[1])]
        assert [int(part) for part in row[2:4]] == [zone_of[cell(p, u, v)] for p in (1, 2)]
    for number, (_, _, first, second, beside) in enumerate(chroma):
        own = [[int(row[column]) for row in chroma] for column in (2, 3)]
        for zone, plane in ((int(first), 0), (int(second), 1)):
            near = {own[1 - plane][number], *map(int, beside.split(", "))}
            near |= set(own[plane][max(number - 1, 0) : number + 2]) - {zone}
            assert near == set(zones()[zone].near)
    rings = [[int(part) if part else None for part in row[2:]] for row in luma]
    for number, row in enumerate(rings):
        for orientation, zone in enumerate(row):
            if zone is not None:
                around = [ring[orientation] for ring in rings[max(number - 1, 0) : number + 2]]
                near = {*around, *row} - {zone, None}
                assert near == set(zones()[zone].near)


def test_near_sums_of_the_patch_code() -> None:
    ((name, *bins),) = table("| S | 0 | 1 | 2 | 3 to 4 | 5 to 7 | 8 to 11 | 12 to 17 | 18 to 48 |")
    spans = re.search(r"\| S \|(.*)\|\n", PAGE)
    assert spans and name == "near"
    found = {
        s: int(bin_)
        for part, bin_ in zip(spans[1].split("|"), bins, strict=True)
        for s in span(part.strip())
    }
    largest = 3 * (2 * 4 + 8)
    assert found == {s: sum(s >= cut for cut in contexts.SUM_CUTS) for s in range(largest + 1)}
    assert "0, 1, 2, 2 for the largest L 0, 1, 2, 3 at the same u, v" in PAGE


def test_layers_of_nqe_vgg() -> None:
    rows = table("| layer | inputs | outputs | groups | kernel | weights | then |")
    for row, layer in zip(rows, VGG_LAYERS, strict=True):
        numbers = (layer.inputs, layer.outputs, layer.groups, layer.kernel)
        assert row[:5] == [layer.name, *map(str, numbers)]
        between = " to " if 0 in layer.levels else " or "
        assert row[5] == f"{layer.levels[0]}{between}{layer.levels[-1]}"
        assert row[6] == ("maximum of 2 x 2" if layer.pool else "")
    rates = [str(rate) for rate in payload.RATES]
    assert f"rate is {', '.join(rates[:-1])} or {rates[-1]}" in PAGE


def test_tensors_and_id_of_nqe_vgg() -> None:
    encoder = registry.load_encoder("nqe-vgg")
    assert isinstance(encoder, VggNqe)
    stored = encoder.packed()
    for name, dtype, shape, _ in table("| tensor of nqe-vgg | type | shape | holds |"):
        assert stored[name].dtype == dtype
        assert ", ".join(map(str, stored[name].shape)) == shape
    sentence = re.search(r"bytes of the layers' tensors, ([\w,\s]+), as for nqe-t", PAGE)
    assert sentence
    layers = [
        row[0] for row in table("| layer | inputs | outputs | groups | kernel | weights | then |")
    ]
    names = [*layers, *re.split(r",\s+", sentence[1])]
    assert list(stored) == names
    assert tensors_id(stored, tuple(names)) == encoder.encoder_id


@pytest.fixture(scope="module")
def rate_encoder() -> tuple[dict[str, np.ndarray], RateNqe]:
    """An encoder whose tensors all differ from 0."""
    from sample_cost_layers import random_cost_layer

    made = {**stem_tensors(), **random_cost_layer(9)}
    return made, RateNqe(made)


def test_tensors_and_id_of_nqe_r(rate_encoder: tuple[dict[str, np.ndarray], RateNqe]) -> None:
    given, encoder = rate_encoder
    rows = table("| tensor | type | shape | holds |", RATE_LEVELS)
    assert [row[:3] for row in rows] == [
        [name, str(given[name].dtype), ", ".join(map(str, given[name].shape))] for name in TENSORS
    ]
    digest = hashlib.sha256()
    for name, kind, shape, _ in rows:
        code = {"int8": "|i1", "uint16": "<u2"}[kind]
        digest.update(f"{name} {code} ({shape}{'' if ',' in shape else ','})\n".encode())
        digest.update(given[name].astype(code).tobytes())
    assert digest.digest()[:8] == encoder.encoder_id
    holds = {row[0]: row[3] for row in rows}
    for name in ("layers", "near", "cross"):
        assert f"-{cost_layer.QUINARY} to {cost_layer.QUINARY}" in holds[name]
    assert f"0 to {cost_layer.LARGEST_SHIFT}" in holds["shifts"]


def test_steps_of_nqe_r(rate_encoder: tuple[dict[str, np.ndarray], RateNqe]) -> None:
    given, encoder = rate_encoder
    formula = re.search(r"\*\*Step\*\* of index s: `D = (.+)`\.", RATE_LEVELS)
    assert formula
    for index in (0, 1, 127, 128, 553, 1023):
        steps = encoder.integer_steps(index)
        for size, plane in np.ndindex(2, 3):
            names = {"steps": given["steps"].tolist(), "t": size, "p": plane, "s": index}
            assert eval(formula[1], names) == steps[size, plane]


def test_size_costs_of_nqe_r() -> None:
    found = re.search(r"\| bound \| (.*) \|\n\|[-|]+\|\n\| costs \| (.*) \|\n", RATE_LEVELS)
    more = re.search(r"with `E = (.+?)`\.", RATE_LEVELS)
    assert found and more
    bounds = [bound.strip("` ") for bound in found[1].split("|")]
    adds = [int(number) for number in found[2].split("|")]
    for step in (7, 38, 1001):
        given = np.linspace(-40 * step, 40 * step, LEVELS).astype(np.int32)
        names = {"D": step, "E": eval(more[1], {"D": step})}
        given_bounds = [eval(re.sub(r"(\d) E", r"\1 * E", bound), names) for bound in bounds]
        expected = sum(
            weight * int((np.abs(given) > bound).sum())
            for bound, weight in zip(given_bounds, adds, strict=True)
        )
        own = quantizer.transform_costs(given[None, None], np.array([step] * 3, dtype=np.int32))
        assert expected == own[0]


def test_constants_of_nqe_r() -> None:
    half = 1 << (rate_transform.STAGE_SHIFT - 1)
    assert RATE_LEVELS.count(f" + {half}) >> {rate_transform.STAGE_SHIFT}") == 4
    weights = re.search(r"`W = (\d+) A \+ (\d+) B \+ C`", RATE_LEVELS)
    assert weights
    layers = np.zeros((3, 32, 32), dtype=np.int8)
    layers[:, 0, 0] = 1
    large, _ = rate_transform.RateStem(layers).matrices
    assert int(weights[1]) + int(weights[2]) + 1 == large[0, 0]
    assert f"/ D, {cost_layer.TOP})" in RATE_LEVELS
    assert f"(bias[t][p][i] << {cost_layer.BIAS_SHIFT})" in RATE_LEVELS
    assert f">> {cost_layer.INDEX_SHIFT}, 0), {cost_layer.INDICES - 1})" in RATE_LEVELS
    assert f"`min(g, {quantizer.LARGEST})`" in RATE_LEVELS
    threshold = re.search(r"`\|c\| >= (.+)`, else 0", RATE_LEVELS)
    assert threshold
    for step in (5, 77):
        given_bounds = [eval(threshold[1], {"j": j, "D": step}) for j in range(cost_layer.INDICES)]
        assert given_bounds == cost_layer.thresholds(np.array(step, dtype=np.int32)).tolist()


def test_layout_of_levels() -> None:
    """The places in both transform sizes, of a patch whose coefficients are all different."""
    from heqcodec.nqe_r.layout import band_frequencies, cell_places

    bands = sorted(np.ndindex(16, 16), key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, *pair))
    assert "sorted by `u^2 + v^2`, then u,\nthen v" in RATE_LEVELS
    assert [tuple(pair) for pair in band_frequencies()] == bands
    field = np.arange(1024).reshape(32, 32)
    formula = re.search(r"c\[0\]\[p\]\[i\] = F\[(.+?)\]\[(.+?)\]", RATE_LEVELS)
    assert formula
    places = [re.sub(r"2 (\w)", r"2 * \1", part) for part in formula.groups()]
    for level, place in enumerate(cell_places()):
        (u, v), sub = bands[level // 4], level % 4
        names = {"u": u, "v": v, "a": sub >> 1, "b": sub & 1}
        row, column = (eval(part, names) for part in places)
        assert field[row, column] == place
