"""Predictions of bits: networks trained beforehand, corrections learned while coding, and mixes.

A decision starts from a logit, given by a network. Each of its contexts has learned a correction, a
bias that would have suited the bits seen there so far (a Newton step of logistic regression: the
error over the information so far, with a prior that holds it near 0); the mix weighs the logit and
the corrections, and its weights move too (our choice; corrections that start at 0 need no start
values, and in a small file the networks alone decide). Logits are in 1/4096, corrections and
weights in 1/65536.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arithmetic import BitCoder
from .tables import MIXED, SQUASH, PackedTables

LOGIT_LIMIT = 49000
BIAS_LIMIT = 400000
PRIOR = 1500
SEEN_LIMIT = 60000
MIX_SHIFT = 19
MIX_LIMIT = 1 << 20
HIDDEN_LIMIT = 4095
EVEN = 32768


def clamp(value: int, low: int, high: int) -> int:
    """``value`` limited to ``low..high``."""
    return max(low, min(value, high))


class Predictor:
    """All that adapts while a strip is coded, and the networks."""

    def __init__(self, tables: PackedTables) -> None:
        self._tables = tables
        self._mixing = [[list(map(int, mix)) for mix in mixes] for mixes in tables.mixing]
        self._corrections: dict[tuple[int | str, ...], list[int]] = {}
        self._squash = list(map(int, tables.squash))

    def run(self, net: int, inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The layers of a network up to its heads: int64 (INPUTS,) to (SECOND,)."""
        tables = self._tables
        sums = inputs @ tables.first[net].astype(np.int64) + tables.first_bias[net]
        hidden = np.clip(sums >> 6, 0, HIDDEN_LIMIT)
        sums = tables.second[net].astype(np.int64) @ hidden + tables.second_bias[net]
        return np.clip(sums >> 10, 0, HIDDEN_LIMIT)

    def head(self, net: int, head: int, last: NDArray[np.int64]) -> int:
        """A logit from what `run` gave."""
        weights = self._tables.third[net, head].astype(np.int64)
        total = int(weights @ last) + int(self._tables.third_bias[net, head])
        return clamp(total >> 6, -LOGIT_LIMIT, LOGIT_LIMIT)

    def ones(self, logit: int) -> int:
        """Probability of a 1 in 1/65536."""
        return self._squash[clamp((logit >> 4) + SQUASH // 2, 0, SQUASH - 1)]

    def decide(
        self,
        coder: BitCoder,
        bit: int,
        logit: int,
        mix: tuple[int, int],
        contexts: list[tuple[int | str, ...]],
    ) -> int:
        """Code a bit and learn from it.

        Args:
            coder: either end.
            bit: what to code, if that end encodes.
            logit: the network's.
            mix: which weights.
            contexts: keys of the corrections, at most ``MIXED - 1``.
        """
        given = [self._corrections.setdefault(key, [0, 0]) for key in contexts]
        inputs = [logit] + [bias >> 4 for bias, _ in given]
        weights = self._mixing[mix[0]][mix[1]]
        assert len(inputs) <= MIXED
        mixed = sum(weight * value for weight, value in zip(weights, inputs, strict=False)) >> 16
        ones = self.ones(clamp(mixed, -LOGIT_LIMIT, LOGIT_LIMIT))
        bit = coder.code(bit, ones)
        # The gradient is error times input, 2^16 by 2^12; over 2^19 that is 2^9, for weights in
        # 2^16 a rate of 1/128.
        error = (bit << 16) - ones
        for index, value in enumerate(inputs):
            moved = weights[index] + (error * value >> MIX_SHIFT)
            weights[index] = clamp(moved, -MIX_LIMIT, MIX_LIMIT)
        for correction, value in zip(given, inputs[1:], strict=True):
            bias, seen = correction
            own = self.ones(logit + value)
            # The Newton step; information is in 1/1024. That of a bit is p (1 - p): 2^32 over 2^22.
            size = abs((bit << 16) - own) * 1024 // (seen + PRIOR)
            bias = clamp(bias + (size if bit else -size), -BIAS_LIMIT, BIAS_LIMIT)
            seen = min(seen + (own * (65536 - own) >> 22) + 1, SEEN_LIMIT)
            correction[:] = bias, seen
        return bit
