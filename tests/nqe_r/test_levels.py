"""Levels of an image strip by strip: what is kept for another step, and strips of other heights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from heqcodec.nqe_r import levels as levels_module
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.levels import ImageLevels, MixedSteps, StripLevels, regrouped
from numpy.typing import NDArray

STRIP_BYTES = 3 * 2 * LEVELS * 4
"""Of coefficients of a row of three patches: two transform sizes, one plane, 32 bits."""


class CountingEncoder:
    """An encoder whose levels are the first pixel of a patch and the step."""

    def __init__(self) -> None:
        self.computed: list[int] = []

    def coefficients(self, patches: NDArray[np.uint8]) -> NDArray[np.int32]:
        self.computed.append(int(patches[0, 0, 0, 0]))
        made = np.zeros((len(patches), 2, 1, LEVELS), dtype=np.int32)
        made[:] = patches[:, 0, 0, 0][:, None, None, None]
        return made

    def levels(
        self, coefficients: NDArray[np.int32], step: int, tune: str = "psnr"
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        made = (coefficients[:, 0] + step).astype(np.int16)
        return made, np.zeros(len(made), dtype=np.uint8)


@pytest.mark.parametrize(
    ("room", "again"),
    [(0, [0, 1, 2]), (1, [1, 2]), (2, [2]), (3, []), (9, [])],
)
def test_coefficients_are_kept_as_far_as_there_is_room(
    room: int, again: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels_module, "KEPT_BYTES", room * STRIP_BYTES)
    pixels = np.repeat(np.arange(3, dtype=np.uint8), 32)[:, None, None].repeat(96, axis=1)
    encoder = CountingEncoder()
    image = ImageLevels(pixels, encoder, keep=True)
    for step in (5, 8):
        encoder.computed.clear()
        strips = list(image.strips(step, 1))
        assert [strip.levels[0, 0, 0, 0] for strip in strips] == [step, step + 1, step + 2]
    assert encoder.computed == again


def test_nothing_is_kept_where_that_is_not_asked() -> None:
    encoder = CountingEncoder()
    image = ImageLevels(np.zeros((64, 32, 1), np.uint8), encoder, keep=False)
    for step in (1, 2):
        assert len(list(image.strips(step, 1))) == 2
    assert len(encoder.computed) == 4


def strips_of(heights: list[int], steps: list[int]) -> list[StripLevels]:
    """Strips whose levels are the numbers of their rows."""
    ends = np.cumsum([0, *heights])
    return [
        StripLevels(
            np.arange(first, last, dtype=np.int16)[:, None, None, None],
            np.zeros((last - first, 1), dtype=np.uint8),
            step,
        )
        for (first, last), step in zip(pairwise(ends), steps, strict=True)
    ]


@pytest.mark.parametrize(
    ("heights", "rows", "expected"),
    [
        ([2, 2, 1], 4, [4, 1]),
        ([2, 2, 1], 1, [1, 1, 1, 1, 1]),
        ([2, 2, 1], 3, [3, 2]),
        ([4, 4], 4, [4, 4]),
        ([5], 2, [2, 2, 1]),
        ([1], 255, [1]),
    ],
)
def test_strips_of_another_height_hold_the_same_rows(
    heights: list[int], rows: int, expected: list[int]
) -> None:
    made = list(regrouped(strips_of(heights, [7] * len(heights)), rows))
    assert [len(strip.transform_sizes) for strip in made] == expected
    assert [strip.step for strip in made] == [7] * len(made)
    numbers = np.concatenate([strip.levels for strip in made]).ravel()
    assert numbers.tolist() == list(range(sum(heights)))


def test_steps_may_change_between_strips_and_not_within_one() -> None:
    made = list(regrouped(strips_of([2, 2, 2, 1], [3, 3, 9, 9]), 4))
    assert [strip.step for strip in made] == [3, 9]
    with pytest.raises(MixedSteps, match="3 and 9"):
        list(regrouped(strips_of([2, 2], [3, 9]), 4))
