"""The patch code: bit for bit what docs/FORMAT.md says, for every batch, length and input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import patch_code_reference as reference
import pytest
from adversarial import adversarial_patches
from heqcodec.models.manifest import encoder_tensors
from heqcodec.native.loader import native_extension
from heqcodec.nqe_t import encoder as transform_nqe
from heqcodec.nqe_t import zones as geometry
from heqcodec.nqe_t.contexts import PLANES, TOP_PLANE
from heqcodec.nqe_t.encoder import LONGEST, TransformCodeReader, TransformNqe
from heqcodec.nqe_t.patch_code import Coefficients
from heqcodec.nqe_t.patch_decoder import decode_coefficients
from heqcodec.nqe_t.patch_encoder import encode_coefficients
from sample_patches import photograph_patches
from slow_cases import quick_first, slow

LENGTHS = (1, 2, 3, 8, 21, 32, 64)
"""Bytes of the codes that are compared with the reference."""
ASCENDING_BITS = (8, 16, 24, 40, 64, 96, 128, 184, 256, 376, 512)
PATCHES = {
    "photographs": photograph_patches(),
    "adversarial": adversarial_patches(),
    "grey": np.concatenate([photograph_patches()[:4], adversarial_patches()])[..., 1:2],
}


@pytest.fixture(scope="module")
def tables(encoder: TransformNqe) -> Mapping[str, Any]:
    return {name: array.tolist() for name, array in encoder.tables._asdict().items()}


@pytest.fixture(params=["adversarial", slow("grey"), slow("photographs")], scope="module")
def patches(request: pytest.FixtureRequest) -> np.ndarray:
    return PATCHES[request.param]


def random_coefficients(count: int, channels: int) -> np.ndarray:
    """Integers of every length up to 18 bits, anywhere; int32 (count, channels, 32, 32)."""
    generator = np.random.default_rng(2)
    shape = count, channels, 32, 32
    bits = generator.integers(0, 2 + generator.integers(0, 18, (count, 1, 1, 1)), shape)
    magnitude = np.minimum(2.0 ** (bits * generator.random(shape)), 2**18 - 1)
    return (magnitude * generator.choice([-1, 1], shape)).astype(np.int32)


def parsed_of(decoded: Coefficients, patch: int) -> reference.Parsed:
    """Column ``patch`` of a result in the form of the reference."""
    intervals = {}
    for channel, u, v in np.ndindex(3, 32, 32):
        cell = geometry.cell(channel, u, v)
        if decoded.width[cell, patch]:
            intervals[channel, u, v] = reference.Interval(
                int(decoded.low[cell, patch]),
                int(decoded.width[cell, patch]),
                bool(decoded.negative[cell, patch]),
            )
    return reference.Parsed(intervals, decoded.reached[:, patch].tolist())


def assert_holds(decoded: Coefficients, coefficients: np.ndarray) -> None:
    """Every interval must hold its coefficient, int32 (N, C, 32, 32), and the rest be small."""
    channels = coefficients.shape[1]
    inside = geometry.cell_map()[: channels * 1024]
    true = coefficients.reshape(len(coefficients), -1).T
    low, width, negative = (part[inside] for part in (decoded.low, decoded.width, decoded.negative))
    known = width > 0
    assert (low <= np.abs(true))[known].all()
    assert (np.abs(true) < low + width)[known].all()
    assert ((true < 0) == negative)[known].all()
    outside = np.ones(geometry.CELLS, dtype=bool)
    outside[inside] = False
    assert not decoded.width[outside].any()
    bound = np.full((geometry.CELLS, len(coefficients)), np.iinfo(np.int32).max)
    for index, zone in enumerate(geometry.zones()):
        bound[zone.cells] = 1 << (TOP_PLANE + 1 - decoded.reached[index].astype(np.int64))
    assert (np.abs(true) < bound[inside])[~known].all()


def test_zones_are_those_of_the_page() -> None:
    assert len(geometry.zones()) == len(reference.HALVES)
    for zone, halves, near in zip(geometry.zones(), reference.HALVES, reference.NEAR, strict=True):
        assert sorted(zone.near) == sorted(near)
        for cells, half in zip(zone.halves, halves, strict=True):
            assert cells.tolist() == [geometry.cell(*place) for place in half]


def test_encoder_agrees_with_the_reference(
    encoder: TransformNqe, tables: Mapping[str, Any], patches: np.ndarray
) -> None:
    coefficients = encoder.stem.forward(patches)
    codes = encode_coefficients(coefficients, encoder.tables, LONGEST)
    assert np.array_equal(codes, encoder.encode_patches(patches, LONGEST))
    for code, one in zip(codes, coefficients.tolist(), strict=True):
        assert code.tobytes() == reference.encode_patch(one, tables)
    assert len(np.unique(codes, axis=0)) > len(patches) // 2


@pytest.mark.parametrize("channels", quick_first([3, 1]))
def test_any_coefficients_agree_with_the_reference(
    encoder: TransformNqe, tables: Mapping[str, Any], channels: int
) -> None:
    coefficients = random_coefficients(5, channels)
    codes = encode_coefficients(coefficients, encoder.tables, LONGEST)
    for code, one in zip(codes, coefficients.tolist(), strict=True):
        assert code.tobytes() == reference.encode_patch(one, tables)
    for length in LENGTHS:
        assert_holds(decode_coefficients(codes[:, :length], channels, encoder.tables), coefficients)


def test_what_is_too_large_is_clipped(encoder: TransformNqe) -> None:
    coefficients = random_coefficients(4, 3)
    coefficients[:, :, :2, :2] = np.array([[2**18, -(2**20)], [2**18 - 1, 2**25]])
    clipped = np.clip(coefficients, 1 - 2**18, 2**18 - 1)
    assert np.array_equal(
        encode_coefficients(coefficients, encoder.tables, LONGEST),
        encode_coefficients(clipped, encoder.tables, LONGEST),
    )


@pytest.mark.parametrize("length", [8, 64, *map(slow, (1, 2, 3, 21, 32))])
def test_decoder_agrees_with_the_reference(
    encoder: TransformNqe, tables: Mapping[str, Any], patches: np.ndarray, length: int
) -> None:
    codes = encoder.encode_patches(patches, 8 * length)
    channels = patches.shape[3]
    decoded = decode_coefficients(codes, channels, encoder.tables)
    for patch, code in enumerate(codes):
        parsed = reference.decode_patch(code.tobytes(), channels, tables)
        assert parsed_of(decoded, patch) == parsed


def test_every_length_is_a_beginning_and_holds_the_coefficients(
    encoder: TransformNqe, patches: np.ndarray
) -> None:
    coefficients = encoder.stem.forward(patches)
    longest = encoder.encode_patches(patches, LONGEST)
    low = np.zeros((geometry.CELLS, len(patches)), dtype=np.int64)
    high = np.full_like(low, 2**18)
    reached = np.zeros((len(geometry.zones()), len(patches)), dtype=np.uint8)
    for bits in ASCENDING_BITS:
        codes = encoder.encode_patches(patches, bits)
        assert codes.shape == (len(patches), bits // 8)
        assert codes.dtype == np.uint8
        assert np.array_equal(codes, longest[:, : bits // 8])
        decoded = decode_coefficients(codes, patches.shape[3], encoder.tables)
        assert_holds(decoded, coefficients)
        # More bits never take back what fewer bits said.
        known = decoded.width > 0
        assert not (~known & (low > 0)).any()
        assert (decoded.low >= low)[known].all()
        assert (decoded.low + decoded.width <= high)[known].all()
        assert (decoded.reached >= reached).all()
        reached = decoded.reached
        low, high = decoded.low, np.where(known, decoded.low + decoded.width, high)
    # Photographs fill the longest code; what a flat patch says fits, to the last plane.
    assert (known.sum(axis=0) > 20).any()


def test_a_flat_patch_is_told_completely(encoder: TransformNqe) -> None:
    flat = np.full((1, 32, 32, 3), 77, dtype=np.uint8)
    decoded = decode_coefficients(encoder.encode_patches(flat, LONGEST), 3, encoder.tables)
    assert (decoded.reached == PLANES).all()
    assert np.count_nonzero(decoded.width) == 1
    assert decoded.width.max() == 32


def test_a_code_that_stops_early_is_valid(encoder: TransformNqe, patches: np.ndarray) -> None:
    # The page lets a device stop at its rate; the bits may differ from ours, their meaning not.
    coefficients = encoder.stem.forward(patches)
    for bits in (8, 64, 136):
        codes = encode_coefficients(coefficients, encoder.tables, bits)
        decoded = decode_coefficients(codes, patches.shape[3], encoder.tables)
        assert_holds(decoded, coefficients)
        beginning = encoder.encode_patches(patches, bits)
        usual = decode_coefficients(beginning, patches.shape[3], encoder.tables)
        same = (codes == beginning).all(axis=1)
        assert same.mean() > 0.5
        assert np.array_equal(usual.low[:, same], decoded.low[:, same])


@pytest.mark.parametrize("batch", quick_first([7, 1]))
def test_batches_do_not_matter(encoder: TransformNqe, patches: np.ndarray, batch: int) -> None:
    whole = encoder.encode_patches(patches, LONGEST)
    starts = range(0, len(patches), batch)
    parts = [encoder.encode_patches(patches[i : i + batch], LONGEST) for i in starts]
    assert np.array_equal(np.concatenate(parts), whole)
    channels = patches.shape[3]
    decoded = decode_coefficients(whole[:, :32], channels, encoder.tables)
    for i in starts:
        part = decode_coefficients(whole[i : i + batch, :32], channels, encoder.tables)
        for field, all_of_it in zip(part, decoded, strict=True):
            assert np.array_equal(field, all_of_it[:, i : i + batch])


def test_batches_beyond_the_internal_one(encoder: TransformNqe) -> None:
    # Flat patches code fast; the two photographs lie on either side of the internal border.
    many = np.zeros((1026, 32, 32, 3), dtype=np.uint8)
    many[1023:1025] = PATCHES["photographs"][:2]
    codes = encoder.encode_patches(many, 64)
    assert np.array_equal(codes[1023:1025], encoder.encode_patches(many[1023:1025], 64))
    assert len(np.unique(codes, axis=0)) == 3


needs_extension = pytest.mark.skipif(native_extension() is None, reason="no C extension")


@needs_extension
def test_c_gives_the_same_codes(patches: np.ndarray) -> None:
    tensors = encoder_tensors("nqe-t")
    by_c, by_numpy = (TransformNqe(tensors, native=native) for native in (True, False))
    for bits in (*by_c.rates, 8):
        expected = by_numpy.encode_patches(patches, bits)
        assert np.array_equal(by_c.encode_patches(patches, bits), expected)
        assert np.array_equal(by_c.encode_patches(patches[::2], bits), expected[::2])


@needs_extension
@pytest.mark.parametrize(
    ("name", "value"), [("significance", 128), ("flag", 128), ("refinement", 200), ("order", 42)]
)
def test_c_does_not_read_beyond_a_table(name: str, value: int) -> None:
    tensors = dict(encoder_tensors("nqe-t"))
    tensors[name] = tensors[name].copy()
    tensors[name].flat[-1] = value
    wrong = TransformNqe(tensors, native=True)
    with pytest.raises(ValueError, match="values too large"):
        wrong.encode_patches(PATCHES["photographs"], 64)
    with pytest.raises(ValueError, match="values too large"):
        TransformCodeReader(wrong).coefficients(np.zeros((2, 8), np.uint8), 3)


def test_numpy_where_there_is_no_extension(
    monkeypatch: pytest.MonkeyPatch, encoder: TransformNqe
) -> None:
    monkeypatch.setattr(transform_nqe, "native_extension", lambda: None)
    tensors = encoder_tensors("nqe-t")
    with pytest.raises(RuntimeError, match="C extension"):
        TransformNqe(tensors, native=True)
    made = TransformNqe(tensors)
    assert made.kernel == "numpy"
    codes = made.encode_patches(PATCHES["photographs"], 64)
    assert np.array_equal(codes, encoder.encode_patches(PATCHES["photographs"], 64))


def test_native_false_is_numpy() -> None:
    made = TransformNqe(encoder_tensors("nqe-t"), native=False)
    assert made.kernel == "numpy" and made.encode_patches(PATCHES["photographs"], 64).any()


def test_no_patches(encoder: TransformNqe) -> None:
    codes = encoder.encode_patches(np.empty((0, 32, 32, 3), dtype=np.uint8), 256)
    assert codes.shape == (0, 32)
    assert decode_coefficients(codes, 3, encoder.tables).low.shape == (geometry.CELLS, 0)


def test_all_lengths_are_offered(encoder: TransformNqe) -> None:
    patches = PATCHES["photographs"][:1]
    longest = encoder.encode_patches(patches, LONGEST)
    for bits in range(8, LONGEST, 8):
        assert np.array_equal(encoder.encode_patches(patches, bits), longest[:, : bits // 8])


@pytest.mark.parametrize("bits", [0, -8, 12, 520])
def test_other_lengths_are_refused(encoder: TransformNqe, bits: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8 up to 512"):
        encoder.encode_patches(PATCHES["photographs"], bits)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("length", quick_first([8, 0, 1, 2, 3, 21, 32, 64]))
def test_any_bytes_decode(
    encoder: TransformNqe, tables: Mapping[str, Any], channels: int, length: int
) -> None:
    codes = np.random.default_rng(length).integers(0, 256, (40, length), dtype=np.uint8)
    codes[0, :1] = 255
    decoded = decode_coefficients(codes, channels, encoder.tables)
    assert decoded.low.max(initial=0) < 2**18
    for patch in range(4):
        parsed = reference.decode_patch(codes[patch].tobytes(), channels, tables)
        assert parsed_of(decoded, patch) == parsed


@pytest.mark.parametrize("length", [2, 8, 64])
def test_a_code_that_is_never_written_tells_nothing(encoder: TransformNqe, length: int) -> None:
    codes = np.full((3, length), 255, dtype=np.uint8)
    codes[2, 1] = 254
    decoded = decode_coefficients(codes, 3, encoder.tables)
    assert not decoded.width[:, :2].any()
    assert not decoded.reached[:, :2].any()
    assert decoded.width[:, 2].any()


@pytest.mark.parametrize("shape", [(32, 32, 3), (2, 32, 16, 3), (2, 16, 32, 3)])
def test_patches_of_another_shape_are_refused(
    encoder: TransformNqe, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="patches must be uint8"):
        encoder.encode_patches(np.zeros(shape, dtype=np.uint8), 64)
    with pytest.raises(ValueError, match="patches must be uint8"):
        encoder.encode_patches(np.zeros((2, 32, 32, 3), dtype=np.int16), 64)


@pytest.mark.parametrize("channels", [1, 3])
def test_hints_are_shares_of_planes(encoder: TransformNqe, channels: int) -> None:
    """Of grey, zones of the colour differences have that of the luminance around their place."""
    zones = geometry.zones()
    reached = np.arange(len(zones))[:, None] % (PLANES + 1) + np.zeros((1, 2), np.int64)
    nothing = np.zeros((geometry.CELLS, 2), np.int32)
    told = Coefficients(nothing, nothing, nothing > 0, reached.astype(np.uint8))
    hints = TransformCodeReader(encoder).hints_of(told, channels)
    assert hints.shape == (2, len(zones))
    for index, zone in enumerate(zones):
        beside = index
        if channels == 1 and zone.channel:
            beside = next(near for near in zone.near if zones[near].channel == 0)
        assert hints[0, index] == hints[1, index] == np.float32(reached[beside, 0] / PLANES)
