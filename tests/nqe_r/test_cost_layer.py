"""The cost layer of the variable-rate encoder: integers, thresholds, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.cost_layer import COST_TENSORS, INDICES, CostLayer, thresholds
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.nqe_r.layout import LEVELS, band_frequencies
from numpy.typing import NDArray
from sample_cost_layers import random_cost_layer


def plain_index(
    tensors: dict[str, NDArray[np.int8]], x: NDArray[np.int64], size: int, p: int, level: int
) -> int:
    """As docs/FORMAT.md and the module's diagram have it, a level at a time."""
    frequencies = [tuple(int(f) for f in pair) for pair in band_frequencies()]
    band_at = {pair: band for band, pair in enumerate(frequencies)}
    (u, v), sub = frequencies[level // 4], level % 4
    near = 0
    for du in range(-2, 3):
        for dv in range(-2, 3):
            band = band_at.get((u + du, v + dv))
            if band is not None:
                for other in range(4):
                    weight = int(tensors["near"][size, p, sub, other, du + 2, dv + 2])
                    near += weight * min(int(x[p, 4 * band + other]), 3)
    cross = sum(
        int(tensors["cross"][size, p, sub, which]) * min(int(x[(p + 1 + which) % 3, level]), 3)
        for which in range(2)
    )
    first, second = (int(shift) for shift in tensors["shifts"])
    total = (int(tensors["bias"][size, p, level]) << 2) - (near << first) - (cross << second)
    return min(max(total >> 4, 0), 15)


@pytest.mark.parametrize("size", [0, 1])
def test_sums_are_those_of_a_plain_reference(size: int) -> None:
    tensors = random_cost_layer(3)
    rng = np.random.default_rng(4)
    x = rng.geometric(0.6, (2, 3, LEVELS)) - 1
    made = CostLayer(tensors).indices(x, size)
    for level in [*range(12), *rng.integers(0, LEVELS, 60), LEVELS - 1]:
        for patch in range(2):
            for plane in range(3):
                wanted = plain_index(tensors, x[patch], size, plane, int(level))
                assert made[patch, plane, level] == wanted
    assert len(np.unique(made)) == INDICES


def test_gray_has_zeros_in_the_other_planes() -> None:
    layer = CostLayer(random_cost_layer(3))
    x = np.random.default_rng(5).geometric(0.5, (4, 3, LEVELS)) - 1
    x[:, 1:] = 0
    np.testing.assert_array_equal(layer.indices(x[:, :1], 1)[:, 0], layer.indices(x, 1)[:, 0])


def test_thresholds_go_from_half_a_step_to_less_than_where_2_begins() -> None:
    table = thresholds(np.array([16, 100], dtype=np.int32))
    assert table[0].tolist() == list(range(8, 24))
    assert table[1].tolist() == [100 * n // 16 for n in range(8, 24)]
    assert (table[:, -1] < np.array([16, 100]) * 25 / 16).all()


@pytest.mark.parametrize("name", COST_TENSORS)
def test_refuses_tensors_of_another_kind(name: str) -> None:
    tensors = random_cost_layer(0)
    for wrong in (tensors[name][:1], tensors[name].astype(np.int16)):
        with pytest.raises(ValueError, match=name):
            CostLayer({**tensors, name: wrong})


def test_refuses_weights_that_are_not_quinary_and_ones_that_see_their_own_level() -> None:
    tensors = random_cost_layer(0)
    near = tensors["near"].copy()
    near[0, 0, 0, 1, 0, 0] = 3
    with pytest.raises(ValueError, match="quinary"):
        CostLayer({**tensors, "near": near})
    near = tensors["near"].copy()
    near[0, 0, 0, 0, 2, 2] = 1
    with pytest.raises(ValueError, match="own magnitude"):
        CostLayer({**tensors, "near": near})


def test_refuses_shifts_that_are_too_small_and_too_large() -> None:
    tensors = random_cost_layer(0)
    for wrong in ([-1, 0], [0, -1], [5, 0], [0, 5]):
        with pytest.raises(ValueError, match="0 to 4"):
            CostLayer({**tensors, "shifts": np.array(wrong, dtype=np.int8)})
    for right in ([0, 4], [4, 0]):
        CostLayer({**tensors, "shifts": np.array(right, dtype=np.int8)})


@pytest.mark.slow
def test_what_is_trained_lets_lonely_levels_go_and_keeps_crowded_ones() -> None:
    pytest.importorskip("torch")
    from heqcodec.lab.training.cost_fit import fit_cost_layer
    from skimage import data

    tile = data.astronaut()[:256, 64:320]
    stem = stem_tensors()
    tensors = fit_cost_layer(RateNqe(stem), tile[None], seed=1, iterations=40, report=str)
    again = fit_cost_layer(RateNqe(stem), tile[None], seed=1, iterations=40, report=str)
    assert all((tensors[name] == again[name]).all() for name in COST_TENSORS)
    encoder = RateNqe({**stem, **tensors})
    crowded, lonely = np.ones((1, 3, LEVELS), dtype=np.int64), np.zeros((1, 3, LEVELS), np.int64)
    high = slice(400, 800)
    for size in (0, 1):
        strict = encoder.costs.indices(lonely, size)[0, 0, high].astype(int)
        mild = encoder.costs.indices(crowded, size)[0, 0, high].astype(int)
        assert (strict >= mild).all() and strict.mean() > mild.mean() + 2
    given = encoder.coefficients(split_patches(tile))
    mine, plain = (one.levels(given, 553)[0] != 0 for one in (encoder, RateNqe(stem)))
    alone_mine, alone_plain = ((some[..., high].sum(-1) == 1).sum() for some in (mine, plain))
    assert alone_mine < 0.8 * alone_plain
    assert mine[..., :64].sum() >= plain[..., :64].sum()
