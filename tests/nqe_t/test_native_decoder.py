"""The decoder of the patch code in C tells what numpy's does, of codes and of any other bytes."""

from __future__ import annotations

import numpy as np
import pytest
from adversarial import adversarial_patches
from heqcodec.models.manifest import encoder_tensors
from heqcodec.native.loader import native_extension
from heqcodec.nqe_t import native_decoder, zones
from heqcodec.nqe_t.encoder import RATES, TransformCodeReader, TransformNqe
from heqcodec.nqe_t.patch_code import Coefficients
from heqcodec.nqe_t.patch_decoder import decode_coefficients
from sample_patches import photograph_patches
from slow_cases import quick_first, slow

needs_extension = pytest.mark.skipif(native_extension() is None, reason="no C extension")
LENGTHS = [0, 1, 2, 3, 8, 65, *map(slow, (5, 21, 32, 64, 200))]


def assert_same(found: Coefficients, expected: Coefficients) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def any_bytes(count: int, length: int) -> np.ndarray:
    """Bytes of which some are rare, and beginnings with 16 and more ones; uint8 (count, length)."""
    codes = np.random.default_rng(length).integers(0, 256, (count, length), dtype=np.uint8)
    codes[: count // 4] >>= 4
    codes[count // 4 : count // 2] |= 0xF0
    for row, head in enumerate(((255,), (255, 255), (255, 254), (0, 0, 0))):
        codes[row, : len(head)] = head[:length]
    codes[4:6] = [[0], [255]]
    return codes


@needs_extension
@pytest.mark.parametrize(
    ("bits", "channels"),
    quick_first([(bits, channels) for channels in (3, 1) for bits in RATES[::-1]]),
)
def test_codes(encoder: TransformNqe, bits: int, channels: int) -> None:
    patches = np.concatenate([photograph_patches(), adversarial_patches()])[..., :channels]
    codes = encoder.encode_patches(np.ascontiguousarray(patches), bits)
    expected = decode_coefficients(codes, channels, encoder.tables)
    assert_same(TransformCodeReader(encoder).coefficients(codes, channels), expected)
    assert (expected.width > 0).sum() > len(codes)


@needs_extension
@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("length", LENGTHS)
def test_any_bytes(encoder: TransformNqe, length: int, channels: int) -> None:
    codes = any_bytes(64, length)
    expected = decode_coefficients(codes, channels, encoder.tables)
    assert_same(TransformCodeReader(encoder).coefficients(codes, channels), expected)
    # Every other code, whose rows lie apart.
    thinned = TransformCodeReader(encoder).coefficients(codes[::2], channels)
    assert_same(thinned, Coefficients(*(array[:, ::2] for array in expected)))


@needs_extension
def test_tables_of_any_states(encoder: TransformNqe) -> None:
    """Each table by its own place: of random states no two contexts decode alike."""
    random = np.random.default_rng(7)
    tensors = dict(encoder_tensors("nqe-t"))
    for name in ("significance", "flag", "refinement"):
        tensors[name] = random.integers(0, 128, tensors[name].shape, dtype=np.uint8)
    tensors["order"] = random.permutation(len(zones.zones())).astype(np.uint8)
    other = TransformNqe(tensors)
    codes = any_bytes(200, 32)
    expected = decode_coefficients(codes, 3, other.tables)
    assert_same(TransformCodeReader(other).coefficients(codes, 3), expected)


@needs_extension
def test_no_codes(encoder: TransformNqe) -> None:
    told = TransformCodeReader(encoder).coefficients(np.empty((0, 32), np.uint8), 3)
    assert_same(told, decode_coefficients(np.empty((0, 32), np.uint8), 3, encoder.tables))


@needs_extension
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 2}, "1 or 3 planes"),
        ({"count": -1}, "1 or 3 planes"),
        ({"codes": np.zeros(7, np.uint8)}, "codes must be of one length"),
        ({"reached": np.zeros((3, 42), np.uint8)}, "84 bytes, not 126"),
        ({"low": np.zeros((2, zones.CELLS), np.int16)}, "31104 bytes, not 15552"),
        ({"lps": np.zeros((127, 8), np.uint16)}, "2048 bytes, not 2032"),
    ],
)
def test_c_refuses_arrays_that_do_not_fit(
    encoder: TransformNqe, change: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {
        **encoder.tables._asdict(),
        "codes": np.zeros((2, 8), np.uint8),
        "count": 2,
        "channels": 3,
        "low": np.zeros((2, zones.CELLS), np.int32),
        "width": np.zeros((2, zones.CELLS), np.int32),
        "negative": np.zeros((2, zones.CELLS), bool),
        "reached": np.zeros((2, 42), np.uint8),
    }
    native_extension().patch_intervals(*given.values())
    with pytest.raises(ValueError, match=message):
        native_extension().patch_intervals(*(given | change).values())


@pytest.mark.parametrize("count", quick_first([1030, 1024]))
def test_numpy_where_there_is_no_extension(
    encoder: TransformNqe, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """In batches, of which the patches on either side of a border tell the same as alone."""
    codes = any_bytes(count, 2)
    usual = TransformCodeReader(encoder).coefficients(codes, 3)
    monkeypatch.setattr(native_decoder, "native_extension", lambda: None)
    monkeypatch.setattr(
        "heqcodec.nqe_t.encoder.native_decode_coefficients", lambda *_: pytest.fail("C is gone")
    )
    assert_same(TransformCodeReader(encoder).coefficients(codes, 3), usual)
