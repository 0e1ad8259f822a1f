"""The variable-rate encoder in C and in numpy: the same numbers for every patch and step."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from adversarial import adversarial_patches
from heqcodec.nqe_r import encoder
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from numpy.typing import NDArray
from sample_cost_layers import random_cost_layer
from sample_patches import photograph_patches

needs_native = pytest.mark.skipif(
    find_spec("heqcodec._native") is None, reason="the C extension is not built"
)
STEPS = (0, 127, 128, 333, 552, 720, 904, 1023, 1024, 1088, 1576, 2047)


@pytest.fixture(scope="module", params=["blank", "random"])
def tensors(request: pytest.FixtureRequest) -> dict[str, NDArray[np.generic]]:
    """A cost layer of one threshold, and one of all."""
    return {**stem_tensors(), **(random_cost_layer(7) if request.param == "random" else {})}


@needs_native
@pytest.mark.parametrize("channels", [1, 3])
def test_c_and_numpy_agree(tensors: dict[str, NDArray[np.generic]], channels: int) -> None:
    native, plain = RateNqe(tensors, native=True), RateNqe(tensors, native=False)
    patches = np.concatenate([photograph_patches(), adversarial_patches(8)])[..., :channels]
    given = plain.coefficients(patches)
    np.testing.assert_array_equal(native.coefficients(patches), given)
    for step in STEPS:
        levels, transform_sizes = native.levels(given, step)
        wanted, wanted_sizes = plain.levels(given, step)
        np.testing.assert_array_equal(transform_sizes, wanted_sizes)
        np.testing.assert_array_equal(levels, wanted)
        assert (levels.dtype, transform_sizes.dtype) == (np.int16, np.uint8)


@needs_native
def test_c_and_numpy_agree_at_the_smallest_and_the_largest_steps() -> None:
    # A step of 1 makes levels beyond 32767 and a first threshold of 0.
    patches = np.concatenate([photograph_patches(), adversarial_patches(3)])
    for entry in (1, 20, 65535):
        tensors = {**stem_tensors(), **random_cost_layer(8)}
        tensors["steps"] = np.full((2, 3, 128), entry, np.uint16)
        native, plain = RateNqe(tensors, native=True), RateNqe(tensors, native=False)
        given = plain.coefficients(patches)
        for step in (0, 500, 1023):
            if plain.integer_steps(step).all():
                for found, wanted in zip(
                    native.levels(given, step), plain.levels(given, step), strict=True
                ):
                    np.testing.assert_array_equal(found, wanted)


@needs_native
def test_arrays_of_other_sizes_are_refused() -> None:
    native = RateNqe(stem_tensors(), native=True)
    given = native.coefficients(photograph_patches())
    with pytest.raises(ValueError, match="1 or 3 planes"):
        native.levels(given[:, :, :2], 500)
    assert native.coefficients(photograph_patches()[:0]).shape == (0, 2, 3, 1024)


def test_works_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = stem_tensors()
    usual = RateNqe(tensors)
    monkeypatch.setattr(encoder, "native_extension", lambda: None)
    alone = RateNqe(tensors)
    patches = photograph_patches()
    given = alone.coefficients(patches)
    np.testing.assert_array_equal(given, usual.coefficients(patches))
    np.testing.assert_array_equal(alone.levels(given, 500)[0], usual.levels(given, 500)[0])
    with pytest.raises(RuntimeError, match="without its C extension"):
        RateNqe(tensors, native=True)
