"""The intervals that a patch code leaves to its coefficients, and the distance from them."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.nqe_t import code_bounds, zones
from heqcodec.nqe_t.code_bounds import CodeBounds
from heqcodec.nqe_t.contexts import TOP_PLANE
from heqcodec.nqe_t.encoder import TransformNqe
from heqcodec.nqe_t.patch_code import Coefficients

REACHED = 3
STEP = float(2 ** (TOP_PLANE + 1 - REACHED))
"""A coefficient is below it after three planes that do not tell of it."""


def known(low: int, width: int, negative: bool) -> Coefficients:
    """Of one patch of one channel, all unseen but that of the frequencies (5, 7)."""
    cells, at = np.zeros((zones.CELLS, 1), dtype=np.int32), zones.cell(0, 5, 7)
    made = Coefficients(
        cells.copy(),
        cells.copy(),
        np.zeros(cells.shape, dtype=bool),
        np.full((len(zones.zones()), 1), REACHED, dtype=np.uint8),
    )
    made.low[at], made.width[at], made.negative[at] = low, width, negative
    return made


@pytest.mark.parametrize(
    ("low", "width", "negative", "value", "distance"),
    [
        (0, 0, False, STEP, 0),
        (0, 0, False, -STEP, 0),
        (0, 0, False, 1.5 * STEP, 0.5),
        (0, 0, False, -3 * STEP, 2),
        (64, 16, False, 64, 0),
        (64, 16, False, 80, 0),
        (64, 16, False, 88, 0.5),
        (64, 16, False, 56, 0.5),
        (64, 16, False, -64, 8),
        (64, 16, True, -72, 0),
        (64, 16, True, 64, 8),
        (8192, 4096, False, 13312, 0.25),
        (8192, 4096, False, 4096, 1),
        (8192, 4096, True, 0, 2),
    ],
)
def test_distance_from_the_interval_in_its_widths(
    encoder: TransformNqe,
    monkeypatch: pytest.MonkeyPatch,
    low: int,
    width: int,
    negative: bool,
    value: float,
    distance: float,
) -> None:
    monkeypatch.setattr(code_bounds, "exact_coefficients", lambda stem, samples: samples)
    bounds = CodeBounds(encoder.stem, known(low, width, negative), 1)
    coefficients = np.zeros((1, 1, 32, 32), dtype=np.float32)
    coefficients[0, 0, 5, 7] = value
    # In units of the interval's width where it is wide, of the least step where it is narrow.
    unit = width or STEP
    wanted = (distance * unit / max(unit, code_bounds.LEAST_STEP)) ** 2
    assert bounds.violations(coefficients).tolist() == [wanted]


def test_what_is_unseen_is_bounded_by_its_own_zone(
    encoder: TransformNqe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patch a zone, each with one coefficient in it, half a step too large."""
    monkeypatch.setattr(code_bounds, "exact_coefficients", lambda stem, samples: samples)
    count = len(zones.zones())
    reached = np.arange(count) % 5
    nothing = np.zeros((zones.CELLS, count), dtype=np.int32)
    coefficients = np.zeros((count, *nothing.shape[:1]), dtype=np.float32)
    for index, zone in enumerate(zones.zones()):
        coefficients[index, zone.cells[-1]] = 1.5 * 2 ** (TOP_PLANE + 1 - reached[index])
    every = np.tile(reached.astype(np.uint8)[:, None], (1, count))
    bounds = CodeBounds(encoder.stem, Coefficients(nothing, nothing, nothing > 0, every), 3)
    found = bounds.violations(coefficients[:, zones.cell_map()].reshape(-1, 3, 32, 32))
    assert found.tolist() == [0.25] * count


@pytest.mark.parametrize("channels", [1, 3])
def test_exact_coefficients_are_those_of_the_encoder_without_rounding(
    encoder: TransformNqe, channels: int
) -> None:
    random = np.random.default_rng(4)
    patches = random.integers(0, 256, (3, 32, 32, channels), dtype=np.uint8)
    samples = patches.transpose(0, 3, 1, 2).astype(np.float32)
    found = code_bounds.exact_coefficients(encoder.stem, samples)
    difference = found - encoder.stem.forward(patches)
    assert found.shape == difference.shape == (3, channels, 32, 32)
    # Each of two stages rounds its sums, and the second weighs the rounding of the first.
    assert np.abs(difference).max() < 10 and np.abs(difference).mean() < 2
    assert np.abs(found).mean() > 100
