"""The packed coder of the variable-rate mode: what is coded comes back, and bytes do no harm."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.container.header import Coder
from heqcodec.image.patches import split_patches
from heqcodec.models import registry
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder import PackedCoder, mixing
from heqcodec.nqe_r.packed_coder.slices import join_slices, split_slices
from heqcodec.nqe_r.packed_coder.tables import SLICE_STARTS, SLICES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from sample_packed_strips import NATIVE, TABLES, needs_native, some_levels
from small_models import photograph


@pytest.fixture(params=["native", "python"])
def coder(request: pytest.FixtureRequest) -> PackedCoder:
    if request.param == "native" and not NATIVE:
        pytest.skip("the C extension is not built")
    return PackedCoder(TABLES, native=request.param == "native")


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
@settings(max_examples=most(60), deadline=None)
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
    assert bool(calls) != NATIVE


def test_golden_bytes(coder: PackedCoder) -> None:
    levels = np.zeros((2, 2, 3, LEVELS), dtype=np.int16)
    flat = levels.reshape(-1, LEVELS)
    for index in range(len(flat)):
        flat[index, : 40 + 20 * index] = (np.arange(40 + 20 * index) * 7 + index) % 5 - 2
        flat[index, 0] = 60 - 9 * index
    flat[5, 900] = -3000
    payload = coder.encode(levels, np.array([[0, 1], [1, 0]], dtype=np.uint8), 640)
    assert (len(payload), zlib.crc32(payload)) == (GOLDEN_LENGTH, GOLDEN_CRC)


GOLDEN_LENGTH, GOLDEN_CRC = 989, 851609063


@needs_native
def test_the_likelier_half_of_large_magnitudes_is_learned() -> None:
    rng = np.random.default_rng(2)
    large = rng.choice([-1, 1], (2, 2, 1, LEVELS)).astype(np.int16)
    sizes, coder = np.zeros((2, 2), np.uint8), PackedCoder(TABLES)
    lengths = [
        len(coder.encode(large * magnitudes.astype(np.int16), sizes, 500))
        for magnitudes in (np.full(large.shape, 9), rng.integers(8, 12, large.shape))
    ]
    # 8 to 11 have the same unary prefix and two bits more; of 9 the first is always 0.
    assert lengths[1] - lengths[0] > 0.8 * large.size / 8


@needs_native
def test_borders_tell_signs_at_high_frequencies_too() -> None:
    coder = registry.load_strip_coder("nqe-r", Coder.PACKED)
    encoder = registry.load_rate_encoder("nqe-r")
    pixels = photograph()[:256, :320]
    levels, sizes = encoder.levels(encoder.coefficients(split_patches(pixels)), 500)
    strip, sizes = levels.reshape(8, 10, 3, LEVELS), sizes.reshape(8, 10)
    signs = np.random.default_rng(3).choice([-1, 1], strip.shape).astype(np.int16)
    signs[..., :160] = 1
    drawn = strip * signs
    count = np.count_nonzero(strip[..., 160:])
    assert len(coder.encode(drawn, sizes, 500)) - len(coder.encode(strip, sizes, 500)) > (
        0.03 * count / 8
    )


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


@settings(max_examples=most(60), deadline=None)
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
