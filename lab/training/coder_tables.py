"""Fitting the tables of the patch coder to photographs: counting, then rounding to states."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from heqcodec.base.interval_table import STATES, lps_table
from heqcodec.nqe_t import zones as geometry
from heqcodec.nqe_t.arithmetic import EVEN
from heqcodec.nqe_t.contexts import FLAG_SHAPE, REFINEMENT_SHAPE, SIGNIFICANCE_SHAPE
from heqcodec.nqe_t.patch_code import PatchCoderTables
from heqcodec.nqe_t.patch_encoder import encode_coefficients
from numpy.typing import NDArray

LOGIT_STEP = 7.0 / 63.0
"""States are even steps in log odds from -7 to 7; state 63 is one half (our choice: the cost of a
wrong state is then about the same everywhere)."""
PRIOR_WEIGHT = 24.0
WIDE_BITS = 6144


def state_probabilities() -> NDArray[np.float64]:
    """Probability of bit 1 in each state, float64 (STATES,)."""
    logits = (np.arange(STATES) - 63) * LOGIT_STEP
    logits[EVEN] = 0.0
    return 1.0 / (1.0 + np.exp(-logits))


def _states(probability: NDArray[np.float64]) -> NDArray[np.uint8]:
    logits = np.log(probability) - np.log1p(-probability)
    return np.clip(np.rint(63 + logits / LOGIT_STEP), 0, STATES - 2).astype(np.uint8)


class DecisionCounts:
    """How often each context saw 0 and 1."""

    def __init__(self) -> None:
        self.significance = np.zeros((2, *SIGNIFICANCE_SHAPE))
        self.flag = np.zeros((2, *FLAG_SHAPE))
        self.refinement = np.zeros((2, *REFINEMENT_SHAPE))

    def tally(
        self, kind: str, zone: int, step: int, contexts: NDArray[np.uint8], bits: NDArray[np.uint8]
    ) -> None:
        """Count decisions; see `heqcodec.nqe_t.patch_encoder.Tally`."""
        counts = getattr(self, kind)[:, zone, step]
        flat = counts.reshape(2, -1)
        size = flat.shape[1]
        ones = bits.astype(bool)
        flat[0] += np.bincount(contexts[~ones].reshape(-1), minlength=size)
        flat[1] += np.bincount(contexts[ones].reshape(-1), minlength=size)

    def tables(self, order: NDArray[np.uint8]) -> PatchCoderTables:
        """Tables for these counts.

        Rare contexts lean on the same context over all planes, and that on the channel's mean.
        """
        channels = np.array([zone.channel for zone in geometry.zones()])
        made = {}
        for kind in ("significance", "flag", "refinement"):
            counts = getattr(self, kind)
            by_zone = counts.sum(axis=2, keepdims=True)
            by_channel = np.stack(
                [
                    by_zone[:, channels == channels[zone]].sum(axis=1)
                    for zone in range(len(channels))
                ],
                axis=1,
            )
            p_channel = (by_channel[1] + 0.4) / (by_channel.sum(axis=0) + 0.8)
            p_zone = (by_zone[1] + PRIOR_WEIGHT * p_channel) / (by_zone.sum(axis=0) + PRIOR_WEIGHT)
            p = (counts[1] + PRIOR_WEIGHT * p_zone) / (counts.sum(axis=0) + PRIOR_WEIGHT)
            made[kind] = _states(np.clip(p, 1e-4, 1 - 1e-4))
        return PatchCoderTables(**made, lps=lps_table(state_probabilities()), order=order)


def frequency_order() -> NDArray[np.uint8]:
    """Zones by frequency, colour differences counted three times as far: where fitting starts."""
    keys = []
    for index, zone in enumerate(geometry.zones()):
        cells = np.concatenate(zone.halves)
        v = cells % geometry.SIDE - geometry.MARGIN
        u = cells // geometry.SIDE % geometry.SIDE - geometry.MARGIN
        radius = float(np.hypot(u, v).mean())
        keys.append((radius * (3 if zone.channel else 1), index))
    return np.array([index for _, index in sorted(keys)], dtype=np.uint8)


def significance_order(counts: DecisionCounts, patches: int) -> NDArray[np.uint8]:
    """Zones by how often their coefficients become significant: the best use of bits first."""
    rates = []
    for index, zone in enumerate(geometry.zones()):
        rates.append((-counts.significance[1, index].sum() / (zone.size * patches), index))
    return np.array([index for _, index in sorted(rates)], dtype=np.uint8)


def fit_tables(
    batches: Iterable[NDArray[np.int32]],
    start: PatchCoderTables,
    bits: int,
) -> tuple[PatchCoderTables, DecisionCounts]:
    """Count all decisions that a code of ``bits`` takes, and make tables of them.

    Args:
        batches: coefficients of patches, int32 (N, 3, 32, 32).
        start: tables that decide where a code is full.
        bits: length of the codes.
    """
    counts = DecisionCounts()
    for coefficients in batches:
        encode_coefficients(coefficients, start, bits, counts.tally)
    return counts.tables(start.order), counts
