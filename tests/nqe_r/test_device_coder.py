"""The device coder: what is coded comes back, C and Python agree, no bytes do harm."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_compilers import COMPILERS, build, needs_compiler, sanitized
from format_tables import table
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.lab.training.device_tables import Strip, first_tables, fit_tables, tile_strips
from heqcodec.nqe_r.device_coder import borders, contexts, patch, tables
from heqcodec.nqe_r.device_coder.arithmetic import BitDecoder, BitEncoder
from heqcodec.nqe_r.device_coder.borders import COLUMNS
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.layout import band_frequencies
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sample_device_strips import NATIVE, SOURCES, some_levels, some_tables

ROOT = Path(__file__).resolve().parents[2]

needs_native = pytest.mark.skipif(not NATIVE, reason="the C extension is not built")


CODERS = [
    pytest.param(DeviceCoder(some_tables(), native=native), id=name, marks=marks)
    for native, name, marks in (
        (False, "python", ()),
        (NATIVE, "c", needs_native),
    )
]


def test_follows_the_protocol() -> None:
    coder = DeviceCoder(some_tables())
    assert isinstance(coder, StripCoder)
    assert coder.coder == 2
    assert len(coder.coder_id) == 8
    assert coder.coder_id != DeviceCoder(some_tables(6)).coder_id


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize(("rows", "columns", "planes"), [(1, 1, 1), (2, 3, 3), (3, 1, 3)])
@pytest.mark.parametrize("step", [0, 500, 1023])
def test_levels_come_back(
    coder: DeviceCoder, rows: int, columns: int, planes: int, step: int
) -> None:
    random = np.random.default_rng(step)
    levels = some_levels(random, (rows, columns, planes))
    transform_sizes = random.integers(0, 2, (rows, columns)).astype(np.uint8)
    payload = coder.encode(levels, transform_sizes, step)
    back, back_sizes = coder.decode(payload, rows, columns, planes, step)
    np.testing.assert_array_equal(back, levels)
    np.testing.assert_array_equal(back_sizes, transform_sizes)
    assert back.dtype == np.int16
    assert back_sizes.dtype == np.uint8


@pytest.mark.parametrize("coder", CODERS)
def test_extreme_levels_come_back(coder: DeviceCoder) -> None:
    random = np.random.default_rng(1)
    levels = np.where(random.integers(0, 2, (1, 3, 3, 1024)) > 0, 32767, -32767).astype(np.int16)
    levels[0, 1] = 0
    transform_sizes = np.array([[0, 1, 1]], dtype=np.uint8)
    back, _ = coder.decode(coder.encode(levels, transform_sizes, 7), 1, 3, 3, 7)
    np.testing.assert_array_equal(back, levels)


@needs_native
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(-2, 4), step=st.integers(0, 1023))
@settings(max_examples=10, deadline=None)
@pytest.mark.slow
def test_c_and_python_write_the_same_bytes(seed: int, scale: float, step: int) -> None:
    random = np.random.default_rng(seed)
    planes = (1, 3)[seed % 2]
    levels = some_levels(random, (2, 2, planes), 10**scale)
    transform_sizes = random.integers(0, 2, (2, 2)).astype(np.uint8)
    made = some_tables(seed % 7)
    native, python = DeviceCoder(made, native=True), DeviceCoder(made, native=False)
    payload = native.encode(levels, transform_sizes, step)
    assert payload == python.encode(levels, transform_sizes, step)
    for coder in (native, python):
        np.testing.assert_array_equal(coder.decode(payload, 2, 2, planes, step)[0], levels)


@needs_native
@pytest.mark.parametrize("seed", [0, 1])
def test_c_and_python_write_the_same_of_little(seed: int) -> None:
    """Rows and columns of patches in both sizes, with levels in the bands that borders reach."""
    random = np.random.default_rng(seed)
    levels = np.zeros((3, 3, 3, 1024), dtype=np.int16)
    levels[..., :192] = np.rint(random.laplace(0, 0.7, (3, 3, 3, 192)))
    most = (60, 3)[seed]  # Steep, and so flat that gradients differ.
    levels[..., 0] = random.integers(-most, most, (3, 3, 3))
    levels[1, 1, :, 900] = 1, -200, 2
    transform_sizes = random.integers(0, 2, (3, 3)).astype(np.uint8)
    native, python = (DeviceCoder(some_tables(), native=native) for native in (True, False))
    payload = native.encode(levels, transform_sizes, 530 + seed)
    assert payload == python.encode(levels, transform_sizes, 530 + seed)


@needs_native
@pytest.mark.parametrize("turned", [0, 1])
def test_c_and_python_write_the_same_at_the_limits(turned: int) -> None:
    """Level 1 alone, nothing, the largest levels and the largest step between two, high bands."""
    random = np.random.default_rng(20)
    levels = np.zeros((2, 3, 3, 1024), np.int16)
    levels[0, 0, :, :2] = 5, -3
    levels[0, 1:, :, 0] = [[32767], [-32767]]
    levels[0, 2, :, 1000] = 32767, -32767, 1
    levels[1, ..., 64:512] = (random.random((3, 3, 448)) < 0.02) * random.integers(-3, 4, 448)
    levels[1, ..., 0] = [4, 9, -9], [5, 5, 5], [90, -7, 8]
    levels[1, ..., 1:4] = random.integers(-60, 61, (3, 3, 3))
    levels[1, ..., 32:96] = random.integers(-1, 2, (3, 3, 64))
    sizes = np.array([[0, 1, 0], [1, 0, 1]], np.uint8) ^ np.uint8(turned)
    in_c, in_python = (DeviceCoder(some_tables(), native=native) for native in (True, False))
    payload = in_c.encode(levels, sizes, 1023)
    assert payload == in_python.encode(levels, sizes, 1023)
    np.testing.assert_array_equal(in_python.decode(payload, 2, 3, 3, 1023)[0], levels)
    parts = in_c.encode_parts(levels, sizes, 300)
    assert parts == in_python.encode_parts(levels, sizes, 300)
    low, read = in_python.decode_first(parts[0], 2, 3, 3, 300)
    np.testing.assert_array_equal(in_python.decode_rest(parts[1], low, read, 300), levels)


@needs_native
def test_c_and_python_write_the_same_of_many_columns() -> None:
    """More than are kept for the row below."""
    random = np.random.default_rng(21)
    levels = np.zeros((2, COLUMNS + 2, 1, 1024), np.int16)
    levels[..., 0] = random.integers(-20, 21, levels.shape[:3])
    levels[1, ::3, 0, 4] = 1
    sizes = random.integers(0, 2, levels.shape[:2]).astype(np.uint8)
    in_c, in_python = (DeviceCoder(some_tables(), native=native) for native in (True, False))
    assert in_c.encode(levels, sizes, 600) == in_python.encode(levels, sizes, 600)


def test_strips_begin_with_the_states_of_their_knot() -> None:
    made = tables.check_tables(some_tables())
    for knot in range(tables.KNOTS - 1):
        states = contexts.start_states(made, tables.FIRST_KNOT + 128 * knot)
        assert states == made.squash[made.start[knot].astype(int) + 128].tolist()


def test_profiles_weigh_levels_by_frequency() -> None:
    """In quarters of a level: 3/4 of the mean, then the cosine at the border as it falls."""
    weights = [borders.at_side(1, frequency) for frequency in range(32)]
    assert weights == [3, *[4] * 12, *[3] * 10, *[2] * 9]


def test_the_first_patch_has_no_gaps() -> None:
    made = borders.Borders(1)
    made.begin_patch(0, first=True)
    assert not any(made.gap(band, sub) for band in range(patch.BORDER_BANDS) for sub in range(4))


def test_zeros_stand_behind_a_payload() -> None:
    decoder = BitDecoder(first_tables().widths, b"")
    assert [decoder.code(0) for _ in range(64)] == [1] * 64 and decoder.is_whole()


@pytest.mark.parametrize(("begin", "whole"), [(b"\xff\xff", False), (b"\xff\xfe", True)])
def test_a_code_begins_below_65535(begin: bytes, whole: bool) -> None:
    decoder = BitDecoder(first_tables().widths, begin)
    for _ in range(40):
        decoder.code(0)
    assert decoder.is_whole() == whole


@pytest.mark.parametrize("coder", CODERS)
def test_strips_have_patches(coder: DeviceCoder) -> None:
    for shape in ((0, 1, 1), (1, 0, 1), (1, 1, 2)):
        with pytest.raises(ValueError, match="no strip has"):
            coder.decode(b"", *shape, 5)


@pytest.mark.parametrize("coder", CODERS)
def test_payloads_stay_what_they_are(coder: DeviceCoder) -> None:
    # Files exist: if this fails, the format has changed.
    levels = np.zeros((1, 2, 3, 1024), dtype=np.int16)
    levels[0, :, 0, :6] = [[-40, 3, 0, -1, 2, 0], [-37, 0, 1, 0, 0, -20]]
    levels[0, 1, 1, [0, 2, 700]] = [5, -1, 1]
    payload = coder.encode(levels, np.array([[0, 1]], dtype=np.uint8), 425)
    assert payload.hex() == GOLDEN


GOLDEN = (
    "ffdbe2ff05c1dfb256bc43705bffc9768a151385625409d21fffe828f18360302a9fd050f6047fffd80f89fff730"
    "3f7dea536bc0786969a42a61ffc0"
)


def test_no_bits_take_no_bytes() -> None:
    encoder = BitEncoder(some_tables()["widths"])
    assert encoder.payload() == b""
    encoder.code(0, 1)
    assert encoder.payload() == b""
    encoder.code(0, 0)
    assert encoder.payload() != b""


@pytest.mark.parametrize("low", [0, 1, 2, 32767, 32768])
def test_a_code_ends_at_the_next_multiple_of_32768(low: int) -> None:
    encoder = BitEncoder(some_tables()["widths"])
    encoder._low = low
    wanted = -(-low // 32768) * 32768
    assert int.from_bytes(encoder.payload().ljust(1, b"\0"), "big") << 8 == wanted


def test_a_code_may_be_as_long_as_its_bits_and_no_longer() -> None:
    widths = np.full((128, 8), 1 << 14, dtype=np.uint16)
    for payload in (b"\x01", b"\x01\x01", b"\x01\x01\x01"):
        decoder, encoder = BitDecoder(widths, payload), BitEncoder(widths)
        for _ in range(40):
            # The first bits of a code are in its first byte, the ninth begins its second.
            assert decoder.is_whole() == (len(payload) <= encoder._shifted // 8 + 1)
            encoder.code(0, decoder.code(0))


def test_fixed_tables_are_the_logistic_function_and_its_inverse() -> None:
    made = tables.curves()
    stretch, squash = made["stretch"].astype(int), made["squash"].astype(int)
    # 16 ln(p / (1 - p)), p in the middle of each of 2,048 intervals, to 8 bits.
    assert stretch[[0, 1023, 1024, 1536, 2047]].tolist() == [-127, 0, 0, 18, 127]
    assert (stretch == -stretch[::-1]).all()
    # 65536 / (1 + e^(-x / 16)), x from -128.
    assert squash[[1, 128 - 16, 128, 128 + 16, 255]].tolist() == [32, 17625, 32768, 47911, 65503]
    assert (squash[10:247] + squash[246:9:-1] == 65536).all()
    shipped = load_file(ROOT / "weights" / "nqe-r.device.safetensors")
    for name in made:
        np.testing.assert_array_equal(made[name], shipped[name])


@pytest.mark.parametrize("coder", CODERS)
def test_steps_are_told_apart(coder: DeviceCoder) -> None:
    levels = some_levels(np.random.default_rng(0), (1, 2, 3))
    transform_sizes = np.zeros((1, 2), dtype=np.uint8)
    assert coder.encode(levels, transform_sizes, 400) != coder.encode(levels, transform_sizes, 600)


@pytest.mark.parametrize("coder", CODERS)
def test_other_lengths_are_refused(coder: DeviceCoder) -> None:
    levels = some_levels(np.random.default_rng(0), (1, 2, 3))
    transform_sizes = np.zeros((1, 2), dtype=np.uint8)
    payload = coder.encode(levels, transform_sizes, 400)
    for wrong in (payload + b"\0", payload + b"\1", payload + bytes(300), b"\xff" * 40):
        with pytest.raises(HeqFormatError, match="no device code of 1 x 2 patches"):
            coder.decode(wrong, 1, 2, 3, 400)


@pytest.mark.parametrize("coder", CODERS)
@given(payload=st.binary(max_size=400), planes=st.sampled_from([1, 3]), step=st.integers(0, 1023))
@settings(max_examples=25, deadline=None)
def test_any_bytes_are_levels_or_an_error(
    coder: DeviceCoder, payload: bytes, planes: int, step: int
) -> None:
    try:
        levels, transform_sizes = coder.decode(payload, 1, 2, planes, step)
    except HeqFormatError:
        return
    assert int(np.abs(levels.astype(int)).max()) <= 32767
    back, back_sizes = coder.decode(coder.encode(levels, transform_sizes, step), 1, 2, planes, step)
    np.testing.assert_array_equal(back, levels)
    np.testing.assert_array_equal(back_sizes, transform_sizes)


@pytest.mark.slow
@needs_native
@given(payload=st.binary(max_size=300))
@settings(max_examples=25, deadline=None)
def test_c_and_python_read_any_bytes_alike(payload: bytes) -> None:
    found = []
    for native in (False, True):
        try:
            levels, transform_sizes = DeviceCoder(some_tables(), native=native).decode(
                payload, 1, 2, 3, 600
            )
            found.append((levels.tobytes(), transform_sizes.tobytes()))
        except HeqFormatError as error:
            found.append((str(error).encode(), b""))
    assert found[0] == found[1]


@pytest.mark.parametrize("coder", CODERS)
def test_wrong_arrays_are_refused(coder: DeviceCoder) -> None:
    levels = np.zeros((1, 1, 3, 1024), dtype=np.int16)
    transform_sizes = np.zeros((1, 1), dtype=np.uint8)
    with pytest.raises(ValueError, match="int16"):
        coder.encode(levels.astype(np.int32), transform_sizes, 0)
    for of_another_shape in (levels[0], levels[..., :64]):
        with pytest.raises(ValueError, match="int16"):
            coder.encode(of_another_shape, transform_sizes, 0)
    for wrong in (
        transform_sizes + np.uint8(2),
        transform_sizes.astype(np.int8),
        transform_sizes[0],
        transform_sizes.repeat(2, axis=1),
    ):
        with pytest.raises(ValueError, match="transform sizes"):
            coder.encode(levels, wrong, 0)
    with pytest.raises(ValueError, match="step 1024"):
        coder.encode(levels, transform_sizes, 1024)
    with pytest.raises(ValueError, match="2 planes"):
        coder.decode(b"", 1, 1, 2, 0)
    levels[0, 0, 0, 9] = -32768
    with pytest.raises(ValueError, match="-32767"):
        coder.encode(levels, transform_sizes, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", None),
        ("start", np.zeros((5, 9), np.int8)),
        ("start", np.full((tables.KNOTS, tables.CONTEXTS), -128, np.int8)),
        ("stretch", np.full(2048, -128, np.int8)),
        ("weights", np.full((tables.SETS, tables.INPUTS), 64, np.int8)),
        ("weights", np.full((tables.SETS, tables.INPUTS), -65, np.int8)),
        ("widths", np.full((128, 8), 7, np.uint16)),
        ("widths", np.full((128, 8), 32768, np.uint16)),
        ("widths", np.zeros((128, 8), np.uint16)),
        ("widths", np.full((128, 8), 65535, np.uint16)),
        ("squash", np.zeros(256, np.int32)),
    ],
)
def test_unfit_tables_are_refused(name: str, value: np.ndarray | None) -> None:
    made = some_tables()
    if value is None:
        del made[name]
    else:
        made[name] = value
    with pytest.raises(HeqFormatError, match="device coder"):
        DeviceCoder(made)


def test_tables_at_their_limits_are_taken() -> None:
    made = some_tables()
    made["start"][0], made["stretch"][:9] = -127, -127
    made["weights"][0], made["weights"][1] = -64, 63
    # A width is less than the smallest range of its column, and half a range at most.
    made["widths"][0], made["widths"][1] = 8, [32767, *[32768] * 7]
    DeviceCoder(made)


def test_kinds_fill_the_tables() -> None:
    assert sum(contexts.CONTEXT_KINDS.values()) == tables.CONTEXTS
    assert sum(contexts.SET_KINDS.values()) == tables.SETS


def test_format_page() -> None:
    assert {row[0]: int(row[1]) for row in table("| contexts | number | indices |")} == (
        contexts.CONTEXT_KINDS
    )
    assert {row[0]: int(row[1]) for row in table("| sets | number | indices |")} == (
        contexts.SET_KINDS
    )
    cuts = {"bin10": patch.CUTS_10, "bin7": patch.CUTS_7}
    cuts |= {"bin6": patch.CUTS_6, "bin4": patch.CUTS_4}
    assert {row[0]: tuple(map(int, row[1].split(","))) for row in table("| bin | cuts |")} == cuts
    tensors = {row[0]: row[1:3] for row in table("| table | type | shape | holds |")}
    for name, array in first_tables()._asdict().items():
        shape = ", ".join(str(side) for side in array.shape)
        assert tensors[name] == [str(array.dtype), shape]


@pytest.mark.parametrize("coder", CODERS)
def test_levels_beyond_the_columns_that_are_kept_come_back(coder: DeviceCoder) -> None:
    random = np.random.default_rng(8)
    levels = some_levels(random, (2, COLUMNS + 3, 1), 1.0)
    transform_sizes = random.integers(0, 2, (2, COLUMNS + 3)).astype(np.uint8)
    payload = coder.encode(levels, transform_sizes, 600)
    back, _ = coder.decode(payload, 2, COLUMNS + 3, 1, 600)
    np.testing.assert_array_equal(back, levels)


@pytest.mark.parametrize(("row", "column", "expected"), [(0, 0, 0), (0, 2, 60), (1, 0, 10)])
def test_level_0_at_edges_is_expected_from_the_one_patch_there_is(
    row: int, column: int, expected: int
) -> None:
    assert _expected_dc([[10, 60, 20], [7, 0, 0]], row, column) == (expected, 0)


@pytest.mark.parametrize(
    ("corner", "above", "left", "expected"),
    [(10, 30, 20, 30), (40, 30, 20, 20), (25, 30, 20, 25), (22, 30, 20, 28)],
)
def test_level_0_is_expected_as_a_median(corner: int, above: int, left: int, expected: int) -> None:
    gradient = abs(left - corner) + abs(above - corner)
    assert _expected_dc([[corner, above], [left, 0]], 1, 1) == (expected, gradient)


def _expected_dc(levels: list[list[int]], row: int, column: int) -> tuple[int, int]:
    around = borders.Borders(1)
    for place in np.ndindex(len(levels), len(levels[0])):
        around.begin_patch(0, place[1] == 0)
        if place == (row, column):
            return around.predict_dc(0)
        around.keep_dc(0, levels[place[0]][place[1]])
        around.end_patch()
    raise AssertionError


@pytest.mark.parametrize("size", [0, 1])
def test_a_picture_that_goes_on_leaves_no_gap(size: int) -> None:
    # Patches of rows that are constant along: what is left is what stands at the border.
    around = borders.Borders(1)
    band = [tuple(place) for place in band_frequencies().tolist()].index((1, 0))
    subs = (0,) if size == 0 else (0, 1)  # of a row of quarters both
    for column in range(2):
        around.begin_patch(size, column == 0)
        around.keep_dc(0, 50)
        for sub in subs:
            gap = around.gap(band, sub)
            assert gap == (0 if column == sub == 0 else 3 * 5)
            around.add_level(band, sub, 5)
        assert size or column == 0 or around.gap(band, 0) == 0
        around.end_patch()


@pytest.mark.parametrize(("down", "across"), [(0, 1), (1, 0)])
def test_profiles_add_up_levels_of_a_frequency_along_the_side(down: int, across: int) -> None:
    bands = [tuple(place) for place in band_frequencies().tolist()]
    # Frequencies 2 and 3 across the side are its even and odd ones, and count whole.
    near = bands.index((0, 1) if across else (1, 0))
    around = borders.Borders(1)
    around.begin_patch(0, True)
    for far, level in ((0, 5), (1, 3)):
        around.add_level(near, 2 + far if across else 1 + 2 * far, level)
    around.end_patch()
    around.begin_patch(0, down == 1)
    assert around.gap(0, 2 if across else 1) == 4 * 5 - 4 * 3


def test_gaps_have_the_signs_of_what_closes_them() -> None:
    assert [borders.gap_bin(gap) for gap in (0, 1, -1, 3, 39, 40, -9999)] == [
        8,
        9,
        7,
        10,
        15,
        16,
        0,
    ]


def test_memory_of_a_camera() -> None:
    made = first_tables()
    assert 2 * tables.CONTEXTS <= 12 * 1024
    assert sum(table.nbytes for table in made) <= 40_000


def test_layout_of_the_c_source() -> None:
    text = (SOURCES / "heq_device_layout.h").read_text("utf-8")
    found = {
        name: [int(number) for number in re.findall(r"\d+", body)]
        for name, body in re.findall(r"(\w+)\[[^]]*\] = \{([^}]*)\}", text)
    }
    frequencies = band_frequencies()
    rank = np.full((18, 18), 256)
    rank[frequencies[:, 0] + 1, frequencies[:, 1] + 1] = np.arange(256)
    assert found["band_frequency"] == (16 * frequencies[:, 0] + frequencies[:, 1]).tolist()
    assert found["band_rank"] == rank.reshape(-1).tolist()
    assert found["third"] == [n // 3 for n in range(192)]
    assert found["quarter_square"] == [n * n // 4 for n in range(-191, 192)]


@needs_native
def test_training_saves_bits() -> None:
    random = np.random.default_rng(3)
    strips = []
    for step, scale in ((400, 4.0), (600, 1.5), (800, 0.5)):
        levels = np.stack([some_levels(random, (4, 4, 3), scale) for _ in range(4)])
        transform_sizes = random.integers(0, 2, levels.shape[:3]).astype(np.uint8)
        strips += tile_strips(levels, transform_sizes, step, across=2)
    assert [strip.levels.shape for strip in strips] == [(4, 8, 3, 1024)] * 6
    unknown = Strip(some_levels(random, (1, 2, 3), 0.5), np.zeros((1, 2), np.uint8), 800)
    lengths = [
        len(DeviceCoder(made._asdict()).encode(*unknown))
        for made in (first_tables(), fit_tables(strips))
    ]
    assert lengths[1] < 0.9 * lengths[0]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
def test_c_source_is_clean_and_safe(compiler: str, tmp_path: Path) -> None:
    """Strict C99, and under the sanitizers: coded levels, and thousands of random bytes."""
    sources = [Path(__file__).parents[1] / "support" / "device_harness.c", SOURCES / "heq_device.c"]
    flags = [*sanitized(compiler), "-O1", f"-I{SOURCES}"]  # many bytes for little C
    program = build(compiler, flags, sources, tmp_path / "harness")
    made = some_tables()
    names = tables.DeviceTables._fields
    data = b"".join(np.ascontiguousarray(made[name]).tobytes() for name in names)
    run = subprocess.run([program], input=data, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr.decode()
