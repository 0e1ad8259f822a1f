"""The arithmetic coder alone, against intervals of exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from heqcodec.base.interval_table import RANGE_STEPS, STATES, lps_table
from heqcodec.lab.training.coder_tables import state_probabilities
from heqcodec.nqe_t.arithmetic import EVEN, NO_SYMBOL, ArithmeticDecoder, ArithmeticEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from slow_cases import slow

USED_STATES = (0, 1, 2, EVEN)
probabilities = st.floats(0.0005, 0.9995)
symbols = st.tuples(st.sampled_from(USED_STATES), st.sampled_from((0, 1, NO_SYMBOL)))
columns = st.lists(symbols, min_size=70, max_size=70)


class ExactInterval:
    """The interval of what was coded so far, as the page defines it, without any carry."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table.tolist()
        self.low = Fraction(0)
        self.range = 65535
        self.fixed = 0

    def edge(self, state: int) -> Fraction:
        """Where the part of bit 1 begins."""
        return self.low + Fraction(self.range - self._one(state), 1 << (16 + self.fixed))

    def take(self, state: int, bit: int) -> None:
        one = self._one(state)
        if bit:
            self.low = self.edge(state)
        self.range = one if bit else self.range - one
        while self.range < 1 << 15:
            self.range *= 2
            self.fixed += 1

    def _one(self, state: int) -> int:
        if state == EVEN:
            return self.range // 2
        return self._table[state][(self.range >> 12) % RANGE_STEPS]


def exact_code(table: np.ndarray, coded: list[tuple[int, int]], bits: int) -> int:
    interval = ExactInterval(table)
    for state, bit in coded:
        if interval.fixed < bits:
            interval.take(state, bit)
    return int(interval.low * (1 << bits))


def exact_decisions(table: np.ndarray, states: list[int], code: int, bits: int) -> list[int]:
    """Bits for as long as every continuation of the code agrees on them."""
    interval = ExactInterval(table)
    least, most = Fraction(code, 1 << bits), Fraction(code + 1, 1 << bits)
    decided: list[int] = []
    for state in states:
        edge = interval.edge(state)
        if least < edge < most:
            break
        decided.append(int(least >= edge))
        interval.take(state, decided[-1])
    return decided


def table_of(chances: list[float]) -> np.ndarray:
    full = np.full(STATES, 0.5)
    full[: len(chances)] = chances
    return lps_table(full)


@settings(max_examples=most(60), deadline=None)
@given(
    st.lists(probabilities, min_size=3, max_size=3),
    st.lists(columns, min_size=1, max_size=3),
    st.integers(1, 8),
    st.integers(1, 70),
)
def test_coder_is_exact(
    chances: list[float], patches: list[list[tuple[int, int]]], length: int, cut: int
) -> None:
    table = table_of(chances)
    rows = np.array(patches, dtype=np.uint8).transpose(2, 1, 0)
    encoder = ArithmeticEncoder(table, len(patches), 8 * length)
    encoder.encode(rows[0, :cut], rows[1, :cut])
    encoder.encode(rows[0, cut:], rows[1, cut:])
    codes = encoder.codes()
    coded = [[part for part in column if part[1] != NO_SYMBOL] for column in patches]
    for code, column in zip(codes, coded, strict=True):
        exact = exact_code(table, column, 8 * length)
        assert code.tobytes() == exact.to_bytes(length, "big")
    for shorter in range(1, length + 1):
        decoder = ArithmeticDecoder(table, codes[:, :shorter])
        found: list[list[int]] = [[] for _ in patches]
        for place in range(max(map(len, coded))):
            states = np.array([(*column, *[(0, 0)] * 70)[place][0] for column in coded])
            asked = decoder.open & [place < len(column) for column in coded]
            decided, ones = decoder.decode(states.astype(np.uint8), asked)
            assert not (decided & ~asked).any() and not (ones & ~decided).any()
            for patch in np.flatnonzero(decided):
                found[patch].append(int(ones[patch]))
        for code, column, bits in zip(codes, coded, found, strict=True):
            value = int.from_bytes(code[:shorter].tobytes(), "big")
            states_of = [state for state, _ in column]
            assert bits == exact_decisions(table, states_of, value, 8 * shorter)
            assert bits == [bit for _, bit in column[: len(bits)]]


@pytest.mark.parametrize("chance", [0.003, 0.5, *map(slow, (0.03, 0.2, 0.8, 0.93))])
def test_codes_are_nearly_as_short_as_the_entropy(chance: float) -> None:
    states = state_probabilities()
    state = int(np.abs(states[:EVEN] - chance).argmin())
    drawn = (np.random.default_rng(0).random((3000, 4)) < states[state]).astype(np.uint8)
    ideal = -np.log2(np.where(drawn, states[state], 1 - states[state])).sum(axis=0)
    encoder = ArithmeticEncoder(lps_table(states), 4, 8192)
    encoder.encode(np.full_like(drawn, state), drawn)
    # A code of so many bits must give all symbols back.
    lengths = np.ceil(1.02 * ideal / 8).astype(int) + 3
    for patch, length in enumerate(lengths):
        decoder = ArithmeticDecoder(lps_table(states), encoder.codes()[patch : patch + 1, :length])
        for symbol in drawn[:, patch]:
            decided, one = decoder.decode(np.array([state], dtype=np.uint8), decoder.open)
            assert decided[0] and one[0] == symbol


def test_table_leaves_room_for_both_symbols() -> None:
    table = lps_table(np.linspace(1e-9, 1 - 1e-9, STATES))
    lowest = 2**15 + 2**12 * np.arange(RANGE_STEPS)
    assert table.dtype == np.uint16
    assert (table >= 1).all() and (table < lowest).all()
    assert (np.diff(table.astype(int), axis=0) >= 0).all()
