"""Tables of the packed coder by regression: means, transform sizes, borders and signs."""

from __future__ import annotations

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.nqe_r.packed_coder import tables as layout
from heqcodec.nqe_r.packed_coder.tables import checked_tables
from numpy.typing import NDArray

from .device_tables import Strip
from .packed_strips import StripSource, Tables, blank_tables, decisions_of

PRIOR_STRIPS = 90


def fit_priors(source: StripSource, rng: np.random.Generator) -> Tables:
    """All tables but networks and mixes, which stay those of `blank_tables`."""
    tables = blank_tables()
    strips = [source(rng, 1) for _ in range(PRIOR_STRIPS)]
    coded = checked_tables(tables)
    rows = np.concatenate([decisions_of(coded, strip).borders for strip in strips])
    rows = rows[(rows[:, 5] >= 0) & (rows[:, 4] != 0)].astype(np.float64)
    tables["dc"] = _mean_weights(strips)
    tables["size"] = _size_logits(strips)
    tables["border"], tables["sign"] = _border_weights(rows)
    return tables


def _mean_weights(strips: list[Strip]) -> NDArray[np.int16]:
    weights = np.empty((layout.PLANES, 4))
    for plane in range(layout.PLANES):
        left, right = 1e-3 * np.eye(4), np.zeros(4)
        for strip in strips:
            means = strip.levels[:, :, plane, 0] * 2.0 ** (strip.step / 128)
            near = np.stack(
                [means[1:, :-2], means[:-1, 1:-1], means[:-1, :-2], means[:-1, 2:]], axis=-1
            ).reshape(-1, 4)
            mean = means[1:, 1:-1].reshape(-1)
            # Smooth places count more: there the prediction is worth something.
            sure = near / (1 + np.abs(near - mean[:, None]).mean(axis=1, keepdims=True))
            left += sure.T @ near
            right += sure.T @ mean
        weights[plane] = np.linalg.solve(left, right)
    return np.clip(np.rint(weights * 4096), -32767, 32767).astype(np.int16)


def _size_logits(strips: list[Strip]) -> NDArray[np.int32]:
    counts = np.full((STEPS >> 7, 3, 2), 0.5)
    for strip in strips:
        transform_sizes = strip.transform_sizes.astype(np.int64)
        near = np.zeros_like(transform_sizes)
        near[:, 1:] += transform_sizes[:, :-1]
        near[1:] += transform_sizes[:-1]
        np.add.at(counts[strip.step >> 7], (near, transform_sizes), 1)
    return np.rint(4096 * np.log(counts[..., 1] / counts[..., 0])).astype(np.int32)


def _border_weights(rows: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    gaps, level, places = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)
    shape = (layout.PLANES, 2, layout.BORDERED)
    weights = np.zeros((int(np.prod(shape)), 4))
    for place in np.unique(places):
        near = gaps[places == place]
        # Large levels are as rare as they are heavy; those of 1 and 2 are what signs are spent on.
        wanted = np.clip(level[places == place], -4, 4)
        weights[place] = np.linalg.solve(near.T @ near + 2e5 * np.eye(4), near.T @ wanted)
    integers = np.clip(np.rint(weights * (256 << 12)), -32767, 32767).astype(np.int16)
    expected = (gaps * integers[places]).sum(axis=1) / 4096
    sure = np.digitize(np.abs(expected), layout.SURE_BOUNDS)
    strength = np.minimum(np.abs(level), 3).astype(np.int64) - 1
    wrong = (np.sign(expected) != np.sign(level)).astype(np.int64)
    counts = np.ones((layout.PLANES, layout.SURE, 3, 2))
    np.add.at(counts, (places // (2 * layout.BORDERED), sure, strength, wrong), 1)
    logits = np.rint(4096 * np.log(counts[..., 1] / counts[..., 0])).astype(np.int32)
    logits[:, 0] = 0
    return integers.reshape(*shape, 4), logits
