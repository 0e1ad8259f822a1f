"""The encoder of `nqe-r` makes the levels that docs/FORMAT.md says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from adversarial import adversarial_patches
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from levels_reference import patch_levels
from sample_cost_layers import random_cost_layer
from sample_patches import photograph_patches

TENSORS = {**stem_tensors(), **random_cost_layer(11)}
TABLES = {name: tensor.tolist() for name, tensor in TENSORS.items()}
ENCODERS = [
    pytest.param(False, id="numpy"),
    pytest.param(
        True,
        id="c",
        marks=pytest.mark.skipif(
            find_spec("heqcodec._native") is None, reason="the C extension is not built"
        ),
    ),
]


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """Sky, fur, skin, an edge; a checkerboard, noise of 0 and 255."""
    photographs, others = photograph_patches()[[0, 3, 7, 9]], adversarial_patches()[[4, -1]]
    return np.concatenate([photographs, others])


@pytest.fixture(scope="module")
def reference(patches: np.ndarray) -> Callable[[int, int, int], tuple[Any, int]]:
    """Levels and transform size of a patch, of so many channels, at a step, worked out once."""

    @functools.cache
    def levels_of(number: int, channels: int, index: int) -> tuple[Any, int]:
        return patch_levels(patches[number, ..., :channels].tolist(), TABLES, index)

    return levels_of


@pytest.mark.parametrize("native", ENCODERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_levels_are_those_of_the_page(
    patches: np.ndarray,
    reference: Callable[[int, int, int], tuple[Any, int]],
    channels: int,
    native: bool,
) -> None:
    encoder = RateNqe(TENSORS, native=native)
    given = patches[..., :channels]
    sizes_seen = set()
    for index in (0, 431, 650, 1023):
        levels, transform_sizes = encoder.levels(encoder.coefficients(given), index)
        # Each patch at two of the four steps: the reference is slow.
        for number in range(index % 2, len(given), 2):
            wanted, size = reference(number, channels, index)
            assert transform_sizes[number] == size
            np.testing.assert_array_equal(levels[number], wanted)
            sizes_seen.add(size)
    assert sizes_seen == {0, 1}
