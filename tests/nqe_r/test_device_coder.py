"""The device coder: what is coded comes back, C and Python agree, no bytes do harm."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_compilers import COMPILERS, build, needs_compiler, sanitized
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.nqe_r.device_coder import tables
from heqcodec.nqe_r.device_coder.borders import COLUMNS
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.layout import band_frequencies
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_device_strips import NATIVE, SOURCES, needs_native, some_levels, some_tables
from slow_cases import slow

CODERS = [
    pytest.param(DeviceCoder(some_tables(), native=False), id="python"),
    pytest.param(DeviceCoder(some_tables(), native=NATIVE), id="c", marks=needs_native),
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


@pytest.mark.parametrize("planes", [1, slow(3)])
@pytest.mark.parametrize("coder", CODERS)
def test_extreme_levels_come_back(coder: DeviceCoder, planes: int) -> None:
    random = np.random.default_rng(1)
    signs = random.integers(0, 2, (1, 3, planes, 1024))
    levels = np.where(signs > 0, 32767, -32767).astype(np.int16)
    levels[0, 1] = 0
    transform_sizes = np.array([[0, 1, 1]], dtype=np.uint8)
    back, _ = coder.decode(coder.encode(levels, transform_sizes, 7), 1, 3, planes, 7)
    np.testing.assert_array_equal(back, levels)


@pytest.mark.parametrize("coder", CODERS)
def test_levels_beyond_the_columns_that_are_kept_come_back(coder: DeviceCoder) -> None:
    random = np.random.default_rng(8)
    levels = some_levels(random, (2, COLUMNS + 3, 1), 1.0)
    transform_sizes = random.integers(0, 2, (2, COLUMNS + 3)).astype(np.uint8)
    payload = coder.encode(levels, transform_sizes, 600)
    back, _ = coder.decode(payload, 2, COLUMNS + 3, 1, 600)
    np.testing.assert_array_equal(back, levels)


@pytest.mark.parametrize("coder", CODERS)
def test_payloads_stay_what_they_are(coder: DeviceCoder) -> None:
    # Files exist: if this fails, the format has changed.
    levels = np.zeros((1, 2, 3, 1024), dtype=np.int16)
    levels[0, :, 0, :6] = [[-40, 3, 0, -1, 2, 0], [-37, 0, 1, 0, 0, -20]]
    levels[0, 1, 1, [0, 2, 700]] = [5, -1, 1]
    payload = coder.encode(levels, np.array([[0, 1]], dtype=np.uint8), 425)
    assert payload.hex() == GOLDEN


GOLDEN = (
    "c030cf8f216d811052de2d9c34fb777fffffff7ea79bda58647595d3fffa1e2f700e71011735fffffb47dfec36c4"
    "363b0d11f34d98bc2e71d2773e810b506460a1cdd7fd51d91f910bfffff1fe47fffffff93b9fffffffff4dc89727"
    "62ba6e7fff2217fe9669993847ffffffb287fffffa1653487fffbb30ecf2ffffffffffffffffffe47e7fe9b75d3f"
    "fffffffffffdd8ffffffffffffffffffffffffd378fffffffffffffffffffffffffcb51fffffffffffffffffffff"
    "ffff75c257"
)


@pytest.mark.parametrize("coder", CODERS)
def test_steps_are_told_apart(coder: DeviceCoder) -> None:
    levels = some_levels(np.random.default_rng(0), (1, 2, 3))
    transform_sizes = np.zeros((1, 2), dtype=np.uint8)
    assert coder.encode(levels, transform_sizes, 400) != coder.encode(levels, transform_sizes, 600)


@pytest.mark.parametrize("coder", CODERS)
def test_other_lengths_are_refused(coder: DeviceCoder) -> None:
    levels = some_levels(np.random.default_rng(1), (1, 2, 3))
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


@pytest.mark.parametrize("coder", CODERS)
def test_strips_have_patches(coder: DeviceCoder) -> None:
    for shape in ((0, 1, 1), (1, 0, 1), (1, 1, 2)):
        with pytest.raises(ValueError, match="no strip has"):
            coder.decode(b"", *shape, 5)


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


def little(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows and columns of patches in both sizes, with levels in the bands that borders reach."""
    random = np.random.default_rng(seed)
    levels = np.zeros((3, 3, 3, 1024), dtype=np.int16)
    levels[..., :192] = np.rint(random.laplace(0, 0.7, (3, 3, 3, 192)))
    most = (60, 3)[seed]  # Steep, and so flat that gradients differ.
    levels[..., 0] = random.integers(-most, most, (3, 3, 3))
    levels[1, 1, :, 900] = 1, -200, 2
    return levels, random.integers(0, 2, (3, 3)).astype(np.uint8), 530 + seed


def at_the_limits(turned: int) -> tuple[np.ndarray, np.ndarray, int]:
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
    return levels, np.array([[0, 1, 0], [1, 0, 1]], np.uint8) ^ np.uint8(turned), 1023


def many_columns() -> tuple[np.ndarray, np.ndarray, int]:
    """More than are kept for the row below."""
    random = np.random.default_rng(21)
    levels = np.zeros((2, COLUMNS + 2, 1, 1024), np.int16)
    levels[..., 0] = random.integers(-20, 21, levels.shape[:3])
    levels[1, ::3, 0, 4] = 1
    return levels, random.integers(0, 2, levels.shape[:2]).astype(np.uint8), 600


CODED = {
    "little, steep": little(0),
    "little, flat": little(1),
    "limits": at_the_limits(0),
    "limits, turned": at_the_limits(1),
    "many columns": many_columns(),
}


@needs_native
@pytest.mark.parametrize("name", CODED)
def test_c_and_python_write_the_same_of_little(name: str) -> None:
    levels, sizes, step = CODED[name]
    shape = levels.shape[:3]
    in_c, in_python = (DeviceCoder(some_tables(), native=native) for native in (True, False))
    payload = in_c.encode(levels, sizes, step)
    assert payload == in_python.encode(levels, sizes, step)
    np.testing.assert_array_equal(in_python.decode(payload, *shape, step)[0], levels)
    parts = in_c.encode_parts(levels, sizes, 300)
    assert parts == in_python.encode_parts(levels, sizes, 300)
    low, read = in_python.decode_first(parts[0], *shape, 300)
    np.testing.assert_array_equal(in_python.decode_rest(parts[1], low, read, 300), levels)


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
