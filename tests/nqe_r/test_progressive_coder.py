"""The device coder in two parts: what each holds, in C and Python alike."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import ProgressiveCoder
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.device_coder.parts import Part
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_device_strips import NATIVE, some_levels, some_tables
from slow_cases import slow

needs_native = pytest.mark.skipif(not NATIVE, reason="the C extension is not built")
KINDS = [
    pytest.param(False, id="python"),
    pytest.param(NATIVE, id="c", marks=needs_native),
]
LOW = 32
"""Levels of a plane in the first part."""


def strip(seed: int, shape: tuple[int, int, int], scale: float = 3.0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    levels = some_levels(random, shape, scale)
    return levels, random.integers(0, 2, shape[:2]).astype(np.uint8)


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 3), slow((2, 34, 1))])
def test_parts_together_are_the_levels(native: bool, shape: tuple[int, int, int]) -> None:
    coder = DeviceCoder(some_tables(), native=native)
    assert isinstance(coder, ProgressiveCoder)
    levels, transform_sizes = strip(2, shape)
    low, high = coder.encode_parts(levels, transform_sizes, 500)
    first, sizes = coder.decode_first(low, *shape, 500)
    np.testing.assert_array_equal(sizes, transform_sizes)
    np.testing.assert_array_equal(first[..., :LOW], levels[..., :LOW])
    assert not first[..., LOW:].any()
    np.testing.assert_array_equal(coder.decode_rest(high, first, sizes, 500), levels)
    # The first part says nothing of the levels that it does not hold.
    other = levels.copy()
    other[..., LOW:] = strip(3, shape)[0][..., LOW:]
    assert coder.encode_parts(other, transform_sizes, 500)[0] == low


@pytest.mark.slow
@needs_native
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0, 40), step=st.integers(0, 1023))
@settings(max_examples=8, deadline=None)
def test_c_and_python_agree(seed: int, scale: float, step: int) -> None:
    levels, transform_sizes = strip(seed, (2, 2, 3), scale)
    in_c, in_python = (DeviceCoder(some_tables(), native=native) for native in (True, False))
    parts = in_c.encode_parts(levels, transform_sizes, step)
    assert parts == in_python.encode_parts(levels, transform_sizes, step)
    first, sizes = in_python.decode_first(parts[0], 2, 2, 3, step)
    np.testing.assert_array_equal(first, in_c.decode_first(parts[0], 2, 2, 3, step)[0])
    np.testing.assert_array_equal(in_python.decode_rest(parts[1], first, sizes, step), levels)


@needs_native
def test_second_part_makes_the_decisions_of_the_whole_strip() -> None:
    """In the same contexts, so no patch is expected worse than in one part."""
    levels, transform_sizes = strip(4, (2, 5, 3))
    levels[..., [1, LOW + 1]] = 2  # No part of a plane is empty, which would be said in brief.
    coder = DeviceCoder(some_tables(), native=True)
    traces = [
        np.frombuffer(
            native_extension().device_trace(
                tuple(coder._tables), levels, transform_sizes, 2, 5, 3, 500, part
            ),
            np.int16,
        ).reshape(-1, 24)[:, :7]
        for part in Part
    ]
    whole, low, high = ([row.tobytes() for row in trace] for trace in traces)
    remaining = iter(whole)
    assert all(row in remaining for row in high)  # in this order
    # The first part knows less of borders, and where it knows nothing a sign is a bit without one.
    assert abs(len(low) + len(high) - len(whole)) < 20 < len(low)


@pytest.mark.parametrize("native", KINDS)
def test_wrong_bytes_are_errors_or_levels(native: bool) -> None:
    coder = DeviceCoder(some_tables(), native=native)
    levels, transform_sizes = strip(5, (1, 2, 3))
    low, high = coder.encode_parts(levels, transform_sizes, 300)
    first, sizes = coder.decode_first(low, 1, 2, 3, 300)
    for wrong in (b"", b"\xff" * 9, high + b"\1", high + b"\0", low):
        try:
            found = coder.decode_rest(wrong, first, sizes, 300)
            np.testing.assert_array_equal(found[..., :LOW], first[..., :LOW])
        except HeqFormatError:
            pass
    with pytest.raises(HeqFormatError):
        coder.decode_rest(high + b"\1\1\1", first, sizes, 300)
    with pytest.raises(HeqFormatError):
        coder.decode_first(low + b"\1\1\1", 1, 2, 3, 300)
