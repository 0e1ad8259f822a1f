"""What the device coder expects of a patch from those around it: level 0, and gaps at borders."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.nqe_r.device_coder import borders, patch
from heqcodec.nqe_r.layout import band_frequencies


@pytest.mark.parametrize(("row", "column", "expected"), [(0, 0, 0), (0, 2, 60), (1, 0, 10)])
def test_level_0_at_edges_is_expected_from_the_one_patch_there_is(
    row: int, column: int, expected: int
) -> None:
    assert _expected_dc([[10, 60, 20], [7, 0, 0]], row, column) == (expected, 0)


@pytest.mark.parametrize(
    ("corner", "above", "left", "expected"),
    [(10, 30, 20, 30), (40, 30, 20, 20), (25, 30, 20, 25), (22, 30, 20, 28)],
)
def test_level_0_is_expected_as_a_median(corner: int, above: int, left: int, expected: int) -> None:
    gradient = abs(left - corner) + abs(above - corner)
    assert _expected_dc([[corner, above], [left, 0]], 1, 1) == (expected, gradient)


def _expected_dc(levels: list[list[int]], row: int, column: int) -> tuple[int, int]:
    around = borders.Borders(1)
    for place in np.ndindex(len(levels), len(levels[0])):
        around.begin_patch(0, place[1] == 0)
        if place == (row, column):
            return around.predict_dc(0)
        around.keep_dc(0, levels[place[0]][place[1]])
        around.end_patch()
    raise AssertionError


def test_profiles_weigh_levels_by_frequency() -> None:
    """In quarters of a level: 3/4 of the mean, then the cosine at the border as it falls."""
    weights = [borders.at_side(1, frequency) for frequency in range(32)]
    assert weights == [3, *[4] * 12, *[3] * 10, *[2] * 9]


def test_the_first_patch_has_no_gaps() -> None:
    made = borders.Borders(1)
    made.begin_patch(0, first=True)
    assert not any(made.gap(band, sub) for band in range(patch.BORDER_BANDS) for sub in range(4))


@pytest.mark.parametrize("size", [0, 1])
def test_a_picture_that_goes_on_leaves_no_gap(size: int) -> None:
    # Patches of rows that are constant along: what is left is what stands at the border.
    around = borders.Borders(1)
    band = [tuple(place) for place in band_frequencies().tolist()].index((1, 0))
    subs = (0,) if size == 0 else (0, 1)  # of a row of quarters both
    for column in range(2):
        around.begin_patch(size, column == 0)
        around.keep_dc(0, 50)
        for sub in subs:
            gap = around.gap(band, sub)
            assert gap == (0 if column == sub == 0 else 3 * 5)
            around.add_level(band, sub, 5)
        assert size or column == 0 or around.gap(band, 0) == 0
        around.end_patch()


@pytest.mark.parametrize(("down", "across"), [(0, 1), (1, 0)])
def test_profiles_add_up_levels_of_a_frequency_along_the_side(down: int, across: int) -> None:
    bands = [tuple(place) for place in band_frequencies().tolist()]
    # Frequencies 2 and 3 across the side are its even and odd ones, and count whole.
    near = bands.index((0, 1) if across else (1, 0))
    around = borders.Borders(1)
    around.begin_patch(0, True)
    for far, level in ((0, 5), (1, 3)):
        around.add_level(near, 2 + far if across else 1 + 2 * far, level)
    around.end_patch()
    around.begin_patch(0, down == 1)
    assert around.gap(0, 2 if across else 1) == 4 * 5 - 4 * 3


def test_gaps_have_the_signs_of_what_closes_them() -> None:
    assert [borders.gap_bin(gap) for gap in (0, 1, -1, 3, 39, 40, -9999)] == [
        8,
        9,
        7,
        10,
        15,
        16,
        0,
    ]
