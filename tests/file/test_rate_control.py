"""Budgets: never exceeded, nearly full, in one pass; noise and tiny budgets give valid files."""

from __future__ import annotations

from random import Random

import heqcodec
import numpy as np
import pytest
from heqcodec.container.strips import NOT_SENT
from heqcodec.file.rate_control import TRIALS, controlled, exp2_steps, log2_steps
from hypothesis import given
from hypothesis import strategies as st
from small_models import photograph

PHOTO = np.ascontiguousarray(photograph()[:240, :320])


@pytest.mark.parametrize("budget", [2_000, 5_000, 12_000, 30_000])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_photograph_fills_its_budget(budget: int, channels: int) -> None:
    data = heqcodec.encode(PHOTO[..., :channels], budget=budget)
    facts = heqcodec.info(data)
    assert len(data) <= budget
    # The last strip, at the finest step, holds no more.
    assert len(data) >= 0.97 * budget or facts["steps"][-1] == 0
    assert facts["unsent_strips"] == [] and facts["strip_rows"] == 1
    assert heqcodec.unpack(heqcodec.pack(data)) == data


@pytest.mark.parametrize("budget", [160, 400, 2_000])
def test_noise_gives_a_whole_file_of_any_budget(budget: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), np.uint8)
    data = heqcodec.encode(noise, budget=budget)
    assert len(data) <= budget
    assert heqcodec.decode(data, decoder="plain").shape == noise.shape


def test_a_budget_below_the_heads_is_refused() -> None:
    with pytest.raises(heqcodec.HeqError, match="more than the budget of 100"):
        heqcodec.encode(PHOTO, budget=100)


@pytest.mark.parametrize(
    "other", [{"quality": 40}, {"bpp": 1}, {"coder": "packed"}, {"mode": "patch"}]
)
def test_contradictions(other: dict[str, object]) -> None:
    with pytest.raises(heqcodec.HeqError):
        heqcodec.encode(PHOTO, budget=5000, **other)  # type: ignore[arg-type]


@given(st.integers(1, 12), st.integers(0, 20_000), st.integers(0, 9_000), st.randoms())
def test_whatever_strips_take_the_room_is_kept(
    count: int, room: int, strip_room: int, random: Random
) -> None:
    """Also where bytes do not fall with the step."""
    calls = [0] * count

    def encode(index: int, step: int) -> bytes:
        assert 0 <= step < 1024
        calls[index] += 1
        return bytes(random.randrange(9_001))

    first, strips = controlled(room, [10] * count, encode, strip_room)
    done = list(strips)
    assert 0 <= first < 1024
    assert sum(len(strip.payload) for strip in done) <= room
    assert max(len(strip.payload) for strip in done) <= strip_room
    assert all((strip.rate == NOT_SENT) <= (strip.payload == b"") for strip in done)
    assert max(calls[:-1], default=0) <= 1 + TRIALS


def test_logarithm_in_steps() -> None:
    numbers = np.array([1, 2, 3, 64, 100, 5000, 2**20 + 5])
    found = [log2_steps(int(number)) for number in numbers]
    assert np.abs(found - 128 * np.log2(numbers)).max() <= 12
    assert found[0] == 0 and found[1] == 128 and found[3] == 768
    assert [exp2_steps(int(steps)) for steps in found] == [*numbers.tolist()[:5], 4992, 2**20]
    assert exp2_steps(64) == 1 and exp2_steps(26 * 128) == 2**26
