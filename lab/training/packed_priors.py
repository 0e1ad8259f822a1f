"""Tables of the packed coder by counts and regression: transform sizes, borders and signs."""

from __future__ import annotations

import itertools

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder import tables as layout
from heqcodec.nqe_r.packed_coder.tables import checked_tables
from numpy.typing import NDArray

from .device_tables import Strip
from .packed_strips import StripSource, Tables, blank_tables, decisions_of

PRIOR_STRIPS = 1000


def fit_priors(source: StripSource, rng: np.random.Generator) -> Tables:
    """All tables but networks and mixes, which stay those of `blank_tables`."""
    tables = blank_tables()
    strips = [source(rng, 1) for _ in range(PRIOR_STRIPS)]
    coded, found = checked_tables(tables), []
    for strip in strips:
        rows = decisions_of(coded, strip).borders
        found.append(rows[(rows[:, 5] >= 0) & (rows[:, 4] != 0)])
    tables["size"] = _size_logits(strips)
    tables["border"], tables["sign"] = _border_weights(np.concatenate(found))
    return tables


def _size_logits(strips: list[Strip]) -> NDArray[np.int32]:
    counts = np.full((STEPS >> 7, 3, 2), 0.5)
    for strip in strips:
        transform_sizes = strip.transform_sizes.astype(np.int64)
        near = np.zeros_like(transform_sizes)
        near[:, 1:] += transform_sizes[:, :-1]
        near[1:] += transform_sizes[:-1]
        np.add.at(counts[strip.step >> 7], (near, transform_sizes), 1)
    return np.rint(4096 * np.log(counts[..., 1] / counts[..., 0])).astype(np.int32)


def _border_weights(rows: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    shape = (layout.PLANES, 2, LEVELS)
    places = rows[:, 5].astype(np.int64)
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(np.prod(shape) + 1))
    integers = np.zeros((len(ends) - 1, 4), dtype=np.int16)
    counts = np.ones((layout.PLANES, layout.SURE, 3, 2))
    for place, (start, stop) in enumerate(itertools.pairwise(ends)):
        gaps, level = np.split(rows[order[start:stop], :5].astype(np.float64), [4], axis=1)
        # Large levels are as rare as they are heavy; those of 1 and 2 are what signs are spent on.
        wanted = np.clip(level[:, 0], -4, 4)
        weights = np.linalg.solve(gaps.T @ gaps + 2e5 * np.eye(4), gaps.T @ wanted)
        integers[place] = np.clip(np.rint(weights * (256 << 12)), -32767, 32767)
        expected = gaps @ integers[place] / 4096
        sure = np.digitize(np.abs(expected), layout.SURE_BOUNDS)
        strength = np.minimum(np.abs(wanted), 3).astype(np.int64) - 1
        wrong = (np.sign(expected) != np.sign(wanted)).astype(np.int64)
        np.add.at(counts[place // (2 * LEVELS)], (sure, strength, wrong), 1)
    logits = np.rint(4096 * np.log(counts[..., 1] / counts[..., 0])).astype(np.int32)
    logits[:, 0] = 0
    return integers.reshape(*shape, 4), logits
