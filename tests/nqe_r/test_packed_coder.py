"""The packed coder of the variable-rate mode: bytes and levels, both engines, hostile bytes."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder import PackedCoder, borders, mixing
from heqcodec.nqe_r.packed_coder import tables as tables_module
from heqcodec.nqe_r.packed_coder.arithmetic import BitDecoder, BitEncoder
from heqcodec.nqe_r.packed_coder.slices import join_slices, split_slices
from heqcodec.nqe_r.packed_coder.tables import (
    FLAG_NETS,
    KINDS,
    SEGMENT_STARTS,
    SLICE_STARTS,
    SLICES,
    PackedTables,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sample_packed_strips import TABLES, some_levels

try:
    from heqcodec import _native
except ImportError:
    _native = None

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "FORMAT.md").read_text("utf-8")
needs_native = pytest.mark.skipif(_native is None, reason="the C extension is not built")


@pytest.fixture(params=["native", "python"])
def coder(request: pytest.FixtureRequest) -> PackedCoder:
    if request.param == "native" and _native is None:
        pytest.skip("the C extension is not built")
    return PackedCoder(TABLES, native=request.param == "native")


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([1, 6, 900, 32768, 65000, 65535])),
        max_size=300,
    )
)
def test_bits_come_back(decisions: list[tuple[int, int]]) -> None:
    encoder = BitEncoder()
    for bit, ones in decisions:
        encoder.code(bit, ones)
    decoder = BitDecoder(encoder.finish())
    assert [decoder.code(0, ones) for _, ones in decisions] == [bit for bit, _ in decisions]


def test_bits_cost_what_they_should() -> None:
    rng = np.random.default_rng(3)
    encoder = BitEncoder()
    bits = (rng.random(20000) < 0.03).astype(int)
    for bit in bits:
        encoder.code(int(bit), 1966)
    ideal = -(np.where(bits, np.log2(0.03), np.log2(0.97))).sum()
    assert len(encoder.finish()) * 8 == pytest.approx(ideal, rel=0.005, abs=16)


@given(st.lists(st.binary(max_size=300), min_size=SLICES, max_size=SLICES))
def test_slices_come_back(slices: list[bytes]) -> None:
    assert split_slices(join_slices(slices)) == (slices, 0)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=SLICES, max_size=SLICES), st.data())
def test_cut_slices_are_left_out(slices: list[bytes], data: st.DataObject) -> None:
    payload = join_slices(slices)
    cut = data.draw(st.integers(0, len(payload) - 1))
    found, _ = split_slices(payload[:cut])
    assert found == slices[: len(found)] and len(found) < SLICES


@pytest.mark.parametrize(
    ("length", "spelling"),
    [(1, "01"), (127, "7f"), (128, "8001"), (129, "8101"), (16383, "ff7f"), (16384, "808001")],
)
def test_lengths_are_spelled_in_sevens_of_bits(length: int, spelling: str) -> None:
    payload = join_slices([bytes(length), *[b""] * (SLICES - 1)])
    check = zlib.crc32(b"\0" + bytes(length)) & 255
    assert payload == bytes.fromhex(spelling) + bytes([check]) + bytes(length + SLICES - 1)


def test_lengths_have_one_spelling() -> None:
    payload = join_slices([b"", *[b"abc"] * (SLICES - 1)])
    assert split_slices(b"\x80\x00" + payload[1:])[0] == []


def test_is_a_strip_coder(coder: PackedCoder) -> None:
    assert isinstance(coder, StripCoder) and len(coder.coder_id) == 8 and coder.coder == 3


@pytest.mark.parametrize(
    ("planes", "scale"), [(1, 0.0), (1, 2.0), (3, 0.3), (3, 20.0), (1, 30000.0)]
)
def test_levels_come_back(coder: PackedCoder, planes: int, scale: float) -> None:
    levels, transform_sizes = some_levels(1, 2, planes, scale)
    payload = coder.encode(levels, transform_sizes, 500)
    got, got_sizes = coder.decode(payload, 1, 2, planes, 500)
    assert np.array_equal(got, levels) and np.array_equal(got_sizes, transform_sizes)
    assert got.dtype == np.int16 and got_sizes.dtype == np.uint8


@needs_native
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([1, 3]),
    st.integers(0, 1023),
    st.lists(st.tuples(st.integers(0, 2**31), st.integers(-32767, 32767)), min_size=0, max_size=60),
    st.integers(0, 511),
)
def test_any_levels_come_back(
    rows: int,
    columns: int,
    planes: int,
    step: int,
    places: list[tuple[int, int]],
    sizes_seed: int,
) -> None:
    levels = np.zeros((rows, columns, planes, LEVELS), dtype=np.int16)
    for place, level in places:
        levels.reshape(-1)[place % levels.size] = level
    transform_sizes = np.array([sizes_seed >> i & 1 for i in range(rows * columns)], dtype=np.uint8)
    transform_sizes = transform_sizes.reshape(rows, columns)
    coder = PackedCoder(TABLES)
    got, got_sizes = coder.decode(
        coder.encode(levels, transform_sizes, step), rows, columns, planes, step
    )
    assert np.array_equal(got, levels) and np.array_equal(got_sizes, transform_sizes)


@needs_native
@pytest.mark.parametrize(("planes", "scale", "seed"), [(3, 1.0, 0), (3, 40.0, 1), (1, 9000.0, 2)])
def test_both_engines_write_the_same(planes: int, scale: float, seed: int) -> None:
    levels, transform_sizes = some_levels(2, 2, planes, scale, seed)
    native, reference = PackedCoder(TABLES), PackedCoder(TABLES, native=False)
    payload = native.encode(levels, transform_sizes, 77 * seed)
    assert payload == reference.encode(levels, transform_sizes, 77 * seed)
    assert np.array_equal(reference.decode(payload, 2, 2, planes, 77 * seed)[0], levels)


@needs_native
def test_both_engines_write_the_same_of_scattered_levels() -> None:
    """Empty segments before others, in each plane."""
    rng = np.random.default_rng(5)
    levels = rng.integers(-3, 4, (1, 2, 3, LEVELS)) * (rng.random((1, 2, 3, LEVELS)) < 0.01)
    sizes = np.array([[0, 1]], np.uint8)
    payload = PackedCoder(TABLES).encode(levels.astype(np.int16), sizes, 400)
    reference = PackedCoder(TABLES, native=False)
    assert payload == reference.encode(levels.astype(np.int16), sizes, 400)


@needs_native
def test_both_engines_write_the_same_of_little() -> None:
    """Two rows of three patches in both sizes: low bands, and a level in each slice above them."""
    rng = np.random.default_rng(6)
    levels = np.zeros((2, 3, 3, LEVELS), dtype=np.int16)
    levels[..., :16] = np.rint(rng.laplace(0, 3, (2, 3, 3, 16)))
    levels[..., 0] *= 20
    levels[1, :2, :, 16:64] = np.rint(rng.laplace(0, 1, (2, 3, 48)))
    levels[1, 1, [0, 1, 2], [100, 200, 600]] = (9, -70, 1)
    sizes = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    payload = PackedCoder(TABLES).encode(levels, sizes, 700)
    assert payload == PackedCoder(TABLES, native=False).encode(levels, sizes, 700)


@needs_native
@pytest.mark.parametrize(("logit", "density"), [(1600, 0.15), (-1600, 0.85)])
def test_both_engines_write_the_same_where_networks_err(logit: int, density: float) -> None:
    """They expect the other bit everywhere: surprise goes to the ends of its bins."""
    tables = {**TABLES, "third": np.zeros_like(TABLES["third"])}
    tables["third_bias"] = np.full_like(TABLES["third_bias"], logit << 6)
    rng = np.random.default_rng(7)
    levels = np.zeros((3, 3, 1, LEVELS), dtype=np.int16)
    levels[..., :64] = rng.random((3, 3, 1, 64)) < density
    sizes = rng.integers(0, 2, (3, 3)).astype(np.uint8)
    payload = PackedCoder(tables).encode(levels, sizes, 500)
    assert payload == PackedCoder(tables, native=False).encode(levels, sizes, 500)


@needs_native
@pytest.mark.parametrize(("logit", "density"), [(34000, 0.06), (-34000, 0.94)])
def test_both_engines_write_the_same_where_networks_are_sure_and_wrong(
    logit: int, density: float
) -> None:
    """Surprise goes through the last bins to where it is limited."""
    tables = {**TABLES, "third": np.zeros_like(TABLES["third"])}
    tables["third_bias"] = np.full_like(TABLES["third_bias"], logit << 6)
    rng = np.random.default_rng(8)
    levels = np.zeros((3, 3, 1, LEVELS), dtype=np.int16)
    levels[..., :64] = rng.random((3, 3, 1, 64)) < density
    levels[..., [159, 383, 1023]] = rng.random((3, 3, 1, 3)) < density
    sizes = rng.integers(0, 2, (3, 3)).astype(np.uint8)
    payload = PackedCoder(tables).encode(levels, sizes, 500)
    assert payload == PackedCoder(tables, native=False).encode(levels, sizes, 500)


def uneven_tables() -> dict[str, np.ndarray]:
    """Weights of every mix differ, and borders expect much."""
    rng = np.random.default_rng(9)
    mixing = rng.integers(-60000, 60000, TABLES["mixing"].shape).astype(np.int32)
    return {**TABLES, "mixing": mixing, "border": TABLES["border"] * 30}


@needs_native
def test_both_engines_write_the_same_of_signs_that_agree_or_never_do() -> None:
    """Plane 1 against plane 0 and plane 2 with plane 1: agreement goes to both ends."""
    rng = np.random.default_rng(10)
    levels = np.zeros((2, 2, 3, LEVELS), dtype=np.int16)
    signs = np.array([1, -1, -1])[:, None] * rng.choice([-1, 1], (2, 2, 1, 60))
    levels[..., 1:61] = signs * rng.integers(1, 3, (2, 2, 3, 60))
    levels[..., 100] = rng.integers(-2, 3, (2, 2, 3))
    sizes = np.array([[0, 1], [1, 0]], np.uint8)
    without = {**uneven_tables(), "border": 0 * TABLES["border"]}
    mixed = np.zeros_like(levels)  # Of many seeds one whose sums lie beside a rounding bound.
    mixed[..., 1:33] = np.random.default_rng(10).choice([-1, 1], (2, 2, 3, 32))
    for tables, coded in ((uneven_tables(), levels), (without, levels), (without, mixed)):
        payload = PackedCoder(tables).encode(coded, sizes, 900)
        assert payload == PackedCoder(tables, native=False).encode(coded, sizes, 900)


@needs_native
def test_both_engines_write_the_same_of_much() -> None:
    """Sums of slices and segments, differences and levels at their limits, in one patch of four."""
    tables = uneven_tables()
    tables["dc"] = np.zeros_like(tables["dc"])
    tables["dc"][:, 0] = 1
    rng = np.random.default_rng(11)
    levels = np.zeros((2, 2, 1, LEVELS), dtype=np.int16)
    levels[..., 0] = np.array([[-32767, 32767], [2047, 5]])[..., None]
    levels[1, 1, 0, 64:160] = rng.integers(60, 200, 96) * rng.choice([-1, 1], 96)
    levels[1, 1, 0, 384:448] = rng.integers(300, 9000, 64) * rng.choice([-1, 1], 64)
    levels[1, 1, 0, [1, 20, 1023]] = -32767, 32767, 2
    sizes = np.array([[0, 1], [1, 0]], np.uint8)
    payload = PackedCoder(tables).encode(levels, sizes, 100)
    reference = PackedCoder(tables, native=False)
    assert payload == reference.encode(levels, sizes, 100)
    assert np.array_equal(reference.decode(payload, 2, 2, 1, 100)[0], levels)


@needs_native
def test_both_engines_write_the_same_of_flags() -> None:
    """Many patches, and in each some segments that are not empty: the last one alone as well.
    Networks expect them to be empty, as surely as bins of their outputs tell apart."""
    tables = uneven_tables()
    tables["third"], tables["third_bias"] = TABLES["third"].copy(), TABLES["third_bias"].copy()
    tables["third"][FLAG_NETS:] //= 16
    tables["third_bias"][FLAG_NETS:] = -31000 << 6
    rng = np.random.default_rng(12)
    levels = np.zeros((4, 4, 3, LEVELS), dtype=np.int16)
    for start, stop in itertools.pairwise(SEGMENT_STARTS[3:]):
        levels[..., stop - 1] = rng.random((4, 4, 3)) < 0.06
        levels[..., start] = 3 * (rng.random((4, 4, 3)) < 0.03)
    levels[0, 0, :, 1023], levels[0, 1, :, 159], levels[0, 2, :, 383] = 1, -1, 2
    sizes = rng.integers(0, 2, (4, 4)).astype(np.uint8)
    payload = PackedCoder(tables).encode(levels, sizes, 600)
    assert payload == PackedCoder(tables, native=False).encode(levels, sizes, 600)


def test_native_false_is_python(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    decide = mixing.Predictor.decide
    monkeypatch.setattr(
        mixing.Predictor, "decide", lambda *given: calls.append(1) or decide(*given)
    )
    levels, sizes = some_levels(1, 1, 1, 1.0)
    PackedCoder(TABLES, native=False).encode(levels, sizes, 0)
    assert calls
    calls.clear()
    PackedCoder(TABLES).encode(levels, sizes, 0)
    assert bool(calls) == (_native is None)


def test_code_ends_with_the_fewest_bytes() -> None:
    encoder = BitEncoder()
    # Any number of the interval ends it; the one with most zeros is its last.
    encoder._low, encoder._high = 0x01000001, 0x02000000
    assert encoder.finish() == b"\x02"


def test_expected_levels_are_rounded_half_up() -> None:
    weights = np.zeros_like(TABLES["border"])
    weights[..., 0] = 1
    around = borders.Borders(
        tables_module.checked_tables({**TABLES, "border": weights}), np.zeros((1, 1), np.uint8)
    )
    whole = borders.Position(0, 0, 0, 1, 0)
    beyond: list[np.ndarray | None] = [np.full(32, 2047), None, None, None]
    assert around.expect(whole, 1, beyond) == (0, [2047, 0, 0, 0])
    quarters = borders.Position(0, 0, 0, 1, 1)
    for sub in (1, 2, 3):
        assert around.expect(quarters, sub, [None] * 4) == (0, [0] * 4)
    # Beyond: 100 along the first quarter of each side, and 10 along the second.
    beyond = [100 * (np.arange(32) == 0) + 10 * (np.arange(32) == 16)] * 4
    assert [around.expect(quarters, sub, beyond)[1] for sub in (1, 2, 3)] == [
        [110, 90, 110, 90],
        [90, 110, 90, 110],
        [90] * 4,
    ]


def test_profiles_are_rounded_half_up_between_sizes() -> None:
    tables = tables_module.checked_tables({**TABLES, "halves": np.eye(32, dtype=np.int16)})
    around = borders.Borders(tables, np.array([[0, 1]], dtype=np.uint8))
    around._profiles[0, 0, 1, borders.LEFT, :4] = 2047, 2048, -2048, -2049
    beyond = around.around(borders.Position(0, 0, 0, 3, 0))[borders.RIGHT]
    assert beyond is not None and beyond[:4].tolist() == [0, 1, 0, -1]


def test_golden_bytes(coder: PackedCoder) -> None:
    levels = np.zeros((2, 2, 3, LEVELS), dtype=np.int16)
    flat = levels.reshape(-1, LEVELS)
    for index in range(len(flat)):
        flat[index, : 40 + 20 * index] = (np.arange(40 + 20 * index) * 7 + index) % 5 - 2
        flat[index, 0] = 60 - 9 * index
    flat[5, 900] = -3000
    payload = coder.encode(levels, np.array([[0, 1], [1, 0]], dtype=np.uint8), 640)
    assert (len(payload), zlib.crc32(payload)) == (GOLDEN_LENGTH, GOLDEN_CRC)


GOLDEN_LENGTH, GOLDEN_CRC = 968, 3223045089


def test_a_prefix_gives_the_lower_bands(coder: PackedCoder) -> None:
    levels, transform_sizes = some_levels(1, 2, 3, 12.0)
    payload = coder.encode(levels, transform_sizes, 300)
    slices, _ = split_slices(payload)
    seen = set()
    for cut in (0, 1, 8, 60, len(payload) // 2, len(payload) - 1, len(payload)):
        got = coder.decode_prefix(payload[:cut], 1, 2, 3, 300)
        known = SLICE_STARTS[got.slices]
        assert np.array_equal(got.levels[..., :known], levels[..., :known])
        assert not got.levels[..., known:].any()
        if got.slices:
            assert np.array_equal(got.transform_sizes, transform_sizes)
        assert len(join_slices(slices[: got.slices])) <= cut
        seen.add(got.slices)
    assert {0, SLICES} < seen


def test_damage_is_an_error_and_leaves_the_slices_before(coder: PackedCoder) -> None:
    levels, transform_sizes = some_levels(1, 2, 1, 12.0)
    payload = bytearray(coder.encode(levels, transform_sizes, 300))
    slices, _ = split_slices(bytes(payload))
    payload[len(join_slices(slices[:3])) + 4] ^= 1
    with pytest.raises(HeqFormatError, match="slice 3"):
        coder.decode(bytes(payload), 1, 2, 1, 300)
    got = coder.decode_prefix(bytes(payload), 1, 2, 1, 300)
    assert got.slices == 3 and np.array_equal(got.levels[..., :64], levels[..., :64])
    with pytest.raises(HeqFormatError, match="1 bytes too many"):
        coder.decode(coder.encode(levels, transform_sizes, 300) + b"\0", 1, 2, 1, 300)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=400), min_size=SLICES, max_size=SLICES), st.integers(0, 1023))
@needs_native
def test_hostile_bytes_do_no_harm(slices: list[bytes], step: int) -> None:
    coder = PackedCoder(TABLES)
    try:
        levels, transform_sizes = coder.decode(join_slices(slices), 2, 2, 3, step)
    except HeqFormatError:
        return
    assert np.abs(levels.astype(int)).max() <= 32767 and transform_sizes.max() <= 1


@pytest.mark.parametrize("fill", [0x00, 0xFF, 0x5A])
def test_hostile_bytes_end_alike(fill: int) -> None:
    payload = join_slices([bytes([fill]) * 90] * SLICES)
    found = []
    for native in (True, False):
        try:
            found.append(PackedCoder(TABLES, native=native).decode(payload, 1, 2, 1, 400))
        except HeqFormatError as error:
            found.append(str(error))
    assert np.array_equal(found[0][0], found[1][0]) if len(found[0]) == 2 else found[0] == found[1]


def test_wrong_arguments_are_named(coder: PackedCoder) -> None:
    levels, transform_sizes = some_levels(1, 1, 1, 1.0)
    for wrong in (
        (levels.astype(np.int32), transform_sizes, 0),
        (levels[..., :64], transform_sizes, 0),
        (levels, np.full_like(transform_sizes, 2), 0),
        (levels, transform_sizes[0], 0),
        (levels, transform_sizes, 1024),
        (np.full_like(levels, -32768), transform_sizes, 0),
        (np.repeat(levels, 2, axis=2), transform_sizes, 0),
    ):
        with pytest.raises(ValueError):
            coder.encode(*wrong)
    payload = coder.encode(levels, transform_sizes, 0)
    for shape in ((0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 2, 0), (1, 1, 1, -1), (1, 1, 1, 1024)):
        with pytest.raises(ValueError, match="no strip is"):
            coder.decode(payload, *shape)
    assert coder.decode(coder.encode(levels, transform_sizes, 1023), 1, 1, 1, 1023)[0].any()


def test_wrong_tables_are_named() -> None:
    with pytest.raises(ValueError, match=r"table dc .* missing"):
        PackedCoder({name: table for name, table in TABLES.items() if name != "dc"})
    with pytest.raises(ValueError, match=r"table first .* is int32"):
        PackedCoder({**TABLES, "first": TABLES["first"].astype(np.int32)})
    with pytest.raises(ValueError, match="32 bits"):
        PackedCoder({**TABLES, "second": np.full_like(TABLES["second"], 32767)})
    least = {"second": 0 * TABLES["second"], "second_bias": TABLES["second_bias"].copy()}
    least["second_bias"].flat[0] = np.iinfo(least["second_bias"].dtype).min
    with pytest.raises(ValueError, match="32 bits"):
        PackedCoder({**TABLES, **least})
    sources = TABLES["sources"].copy()
    sources[3, 3] = -4
    with pytest.raises(ValueError, match="sources"):
        PackedCoder({**TABLES, "sources": sources})


@pytest.mark.parametrize(
    ("name", "axis", "most"), [("first", 1, 255), ("second", 2, 4095), ("third", 2, 4095)]
)
def test_networks_are_taken_where_sums_fit_in_32_bits(name: str, axis: int, most: int) -> None:
    """The most that a sum can be is that of its weights, times what goes in, and the bias."""
    weights = np.zeros_like(TABLES[name])
    np.moveaxis(weights, axis, 0)[:3] = np.array([100, -20, 3])[:, None, None]
    bias = np.full_like(TABLES[f"{name}_bias"], (1 << 31) - 1 - 123 * most)
    PackedCoder({**TABLES, name: weights, f"{name}_bias": bias})
    with pytest.raises(ValueError, match="32 bits"):
        PackedCoder({**TABLES, name: weights, f"{name}_bias": bias + 1})


LIMITS = {
    "magnitude": (0, 63),
    "squash": (1, 65535),
    "edge": (-1024, 1024),
    "mixing": (-(1 << 20), 1 << 20),
}
"""The least and the most that tables may hold; beyond, sums or probabilities would leave theirs."""


@pytest.mark.parametrize("name", LIMITS)
def test_tables_are_taken_to_their_limits_and_no_further(name: str) -> None:
    kind = np.iinfo(TABLES[name].dtype)
    for end, outward in zip(LIMITS[name], (-1, 1), strict=True):
        changed = TABLES[name].copy()
        changed.flat[7] = end
        PackedCoder({**TABLES, name: changed})
        if kind.min <= end + outward <= kind.max:
            changed.flat[7] = end + outward
            with pytest.raises(ValueError, match=name):
                PackedCoder({**TABLES, name: changed})


def test_sources_stay_within_the_map() -> None:
    bounds = [(0, 2), (-1, 1), (-1, 1), (-3, 1), (-3, 1), (0, 4)]
    for column, ends in enumerate(bounds):
        for end, outward in zip(ends, (-1, 1), strict=True):
            changed = TABLES["sources"].copy()
            changed[5, column] = end
            PackedCoder({**TABLES, "sources": changed})
            changed[5, column] = end + outward
            with pytest.raises(ValueError, match="sources"):
                PackedCoder({**TABLES, "sources": changed})


def test_fixed_tables_are_those_that_ship() -> None:
    made = tables_module.fixed_tables()
    shipped = load_file(ROOT / "weights" / "nqe-r.packed.safetensors")
    for name in made:
        np.testing.assert_array_equal(made[name], shipped[name])
    # 65536 / (1 + e^-x), x in steps of 1/256 around 0.
    squash = made["squash"].astype(int)
    middle = len(squash) // 2
    assert squash[middle - 1 : middle + 1].tolist() == [32736, 32800]
    assert (squash + squash[::-1] == 65536).all()
    # The halves of 32 points are orthonormal to the 16-point transform of each half.
    halves = made["halves"] / 4096
    np.testing.assert_allclose(halves @ halves.T, np.eye(32), atol=2e-3)


def _page_rows(heading: str) -> list[list[str]]:
    lines = PAGE[PAGE.index("### Packed payload (coder 3)") :].splitlines()
    start = lines.index(heading) + 2
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]


def test_the_format_page_lists_the_tables() -> None:
    rows = _page_rows("| tensor | type | shape | holds |")
    assert [(row[0], np.dtype(row[1]), row[2]) for row in rows] == [
        (name, np.dtype(kind), str(shape)[1:-1].rstrip(","))
        for name, (kind, shape) in KINDS.items()
    ]
    assert tuple(KINDS) == PackedTables._fields


def test_the_format_page_lists_constants_and_slices() -> None:
    for name, value, _ in _page_rows("| constant | value | meaning |"):
        owner = next(m for m in (mixing, borders, tables_module) if hasattr(m, name))
        assert getattr(owner, name) == int(value)
    rows = _page_rows("| slice | first level | first levels of its segments |")
    assert [int(row[1]) for row in rows] == list(SLICE_STARTS[:-1])
    segments = [[int(start) for start in row[2].split(",")] for row in rows]
    assert list(itertools.chain(*segments)) == list(SEGMENT_STARTS[:-1])
    assert [row[0] for row in segments] == list(SLICE_STARTS[:-1])


def test_the_id_covers_every_table() -> None:
    ids = {PackedCoder(TABLES).coder_id}
    for name in KINDS:
        changed = TABLES[name].copy()
        changed.reshape(-1)[-2] ^= 1
        ids.add(PackedCoder({**TABLES, name: changed}).coder_id)
    assert len(ids) == 1 + len(KINDS)


@pytest.mark.slow
@needs_native
def test_fitted_tables_save_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from heqcodec.lab.training import packed_priors, packed_tables
    from heqcodec.lab.training.packed_networks import Effort
    from heqcodec.lab.training.packed_strips import TileStrips, blank_tables
    from heqcodec.lab.training.packed_tables import fit_packed_tables
    from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
    from skimage import data

    for module, name, less in (
        (packed_priors, "PRIOR_STRIPS", 25),
        (packed_tables, "MIX_STRIPS", 3),
    ):
        assert getattr(module, name) > less
        monkeypatch.setattr(module, name, less)
    photograph = data.astronaut()
    tiles = photograph[:480, :480].reshape(5, 96, 5, 96, 3).swapaxes(1, 2).reshape(-1, 96, 96, 3)
    source = TileStrips(tiles[:20], RateNqe(stem_tensors()))
    lines: list[str] = []
    fitted = fit_packed_tables(source, report=lines.append, effort=Effort(60, strips=10))
    assert len(lines) >= 2
    held_out = TileStrips(tiles[20:], RateNqe(stem_tensors()))(np.random.default_rng(0), 5)
    strip = (held_out.levels, held_out.transform_sizes, held_out.step)
    blank, trained = (len(PackedCoder(t).encode(*strip)) for t in (blank_tables(), fitted))
    assert trained < 0.93 * blank


def test_fitting_needs_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    from heqcodec.lab.training import packed_tables

    monkeypatch.setattr(packed_tables, "native_extension", lambda: None)
    with pytest.raises(HeqError, match="C extension"):
        packed_tables.fit_packed_tables(lambda rng, tiles: pytest.fail("asked for a strip"))
