"""Adaptive binary decisions: each predicted by one to four contexts.

A context is a probability that follows the bits it sees. Those of a decision are brought to log
odds, weighted and added (logistic mixing as in M. Mahoney's PAQ, with weights that were trained
and stay; our choice, because fixed weights need no multiplier), and the sum drives the coder.
"""

from __future__ import annotations

from .arithmetic import BitDecoder, BitEncoder
from .tables import FIRST_KNOT, KNOTS, DeviceTables

SLOW, FAST = 6, 5
"""Shifts by which a probability moves towards a bit: of "not 0", and of everything else."""

ZONES = 18
BAND_GROUPS = 6
SCORES = 16
"""Bins of the score of a level."""
LARGER_CLASSES = 5
UNARY = 15
"""Magnitudes from here on end in an Exp-Golomb code."""
PREFIXES = 16
SIGNED_BANDS = 3
"""Bands whose signs have contexts."""
GAPS = 17
"""Bins of what the borders say of a sign."""

CONTEXT_KINDS = {
    "size": 2,
    "zero_score": 4 * BAND_GROUPS * SCORES,
    "zero_both": 4 * 10 * 10,
    "zero_other": 3 * 9 * 6 * 4,
    "zero_first": 4 * 6 * SCORES,
    "larger_score": LARGER_CLASSES * 4 * BAND_GROUPS * SCORES,
    "larger_both": LARGER_CLASSES * 10 * 10,
    "larger_other": LARGER_CLASSES * 10 * 6,
    "escape": PREFIXES,
    "sign_around": 4 * SIGNED_BANDS * 4 * 3 * 3,
    "sign_plane": 3 * SIGNED_BANDS * 3 * 3,
    "sign_border": 3 * 3 * GAPS,
    "more_group": 6 * 32,
    "more_left": 3 * 10 * 6,
    "more_plane": 2 * 10 * 7,
    "dc": 3 * 6 * UNARY,
    "dc_escape": 3 * PREFIXES,
    "dc_sign": 3 * 3 * 3,
}
"""Kinds of contexts and their numbers, in the order they stand in the tables."""
SET_KINDS = {
    "one": 1,
    "zero": 6 * ZONES * 4,
    "larger": 3 * LARGER_CLASSES * 4,
    "sign": 3 * SIGNED_BANDS,
    "sign_border": 2 * SIGNED_BANDS,
    "more": 3 * 8,
}
"""Kinds of sets of weights, likewise."""
SET_INPUTS = {"one": 1, "zero": 4, "larger": 3, "sign": 2, "sign_border": 2, "more": 3}
"""Contexts that the decisions of each kind have."""


def _beginnings(kinds: dict[str, int]) -> dict[str, int]:
    places, place = {}, 0
    for kind, count in kinds.items():
        places[kind] = place
        place += count
    return places


CONTEXT_AT = _beginnings(CONTEXT_KINDS)
SET_AT = _beginnings(SET_KINDS)


def start_states(tables: DeviceTables, step: int) -> list[int]:
    """Probabilities, of 65,536, that a strip begins with: between those of the nearest knots."""
    after = min(max(step - FIRST_KNOT, 0), 128 * (KNOTS - 1) - 1)
    knot, part = after >> 7, (after & 127) >> 4
    lower, upper = tables.start[knot].astype(int), tables.start[knot + 1].astype(int)
    states: list[int] = tables.squash[(((8 - part) * lower + part * upper + 4) >> 3) + 128].tolist()
    return states


class Decisions:
    """Codes decisions and learns from them, through an encoder or a decoder.

    Args:
        coder: gives or takes the bits.
        tables: of the model.
        step: index, 0..1023.
    """

    def __init__(self, coder: BitEncoder | BitDecoder, tables: DeviceTables, step: int) -> None:
        self.coder = coder
        self.tables = tables
        self._states = start_states(tables, step)
        self._weights = tables.weights.tolist()
        self._stretch = tables.stretch.tolist()

    def decide(self, weights: int, contexts: list[int], shift: int, bit: int) -> int:
        """Code a bit.

        Args:
            weights: index of the set of weights.
            contexts: 1 to 4 indices.
            shift: SLOW or FAST.
            bit: the bit; not looked at when decoding.

        Returns:
            The bit.
        """
        states, stretch = self._states, self._stretch
        # Log odds are in 1/16, weights in 1/32; 16 is half of one, for the sum is rounded.
        total = 16
        for weight, context in zip(self._weights[weights], contexts, strict=False):
            total += weight * stretch[states[context] >> 5]
        bit = self.coder.code(min(max(total >> 5, -127), 127), bit)
        for context in contexts:
            if bit:
                states[context] += (0xFFFF - states[context]) >> shift
            else:
                states[context] -= states[context] >> shift
        return bit

    def decide_alone(self, context: int, bit: int) -> int:
        """Code a bit of a single context."""
        return self.decide(0, [context], FAST, bit)

    def escape(self, context: int, value: int) -> int:
        """Code a number 0..65,534 as an Exp-Golomb code with an adaptive prefix; returns it."""
        length = 0
        while length < PREFIXES - 1 and self.decide_alone(
            context + length, int((value + 1) >> (length + 1) > 0)
        ):
            length += 1
        result = 1
        for place in reversed(range(length)):
            result = 2 * result + self.coder.code(0, ((value + 1) >> place) & 1)
        return result - 1
