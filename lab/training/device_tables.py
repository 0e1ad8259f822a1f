"""Training the tables of the device coder on levels of photographs.

One call does it::

    strips = [strip for tile in tiles for strip in tile_strips(*tile, step, 3)]
    tables = fit_tables(strips)
    tensors = tables._asdict()        # name -> array, for the model's safetensors

Every decision of every strip is traced by the C extension; logistic regression on the
bins of the sums around a level gives the scores (an additive model), counting the start states, and
another regression on the traced log odds the weights. The first does not depend on any table, each
of the others on those before alone, so nothing has to be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NamedTuple

import numpy as np
from heqcodec.nqe_r.device_coder.around import GROUP_STARTS
from heqcodec.nqe_r.device_coder.contexts import (
    BAND_GROUPS,
    CONTEXT_AT,
    LARGER_CLASSES,
    SCORES,
    SET_AT,
    SET_INPUTS,
    SET_KINDS,
)
from heqcodec.nqe_r.device_coder.tables import (
    CLASSES,
    CONTEXTS,
    FIRST_KNOT,
    INPUTS,
    KNOTS,
    ODDS_STEP,
    PLACES,
    SETS,
    SUM_BINS,
    SUMS,
    WEIGHT_STEP,
    DeviceTables,
    curves,
)
from heqcodec.nqe_r.layout import SUBS
from numpy.typing import NDArray

START_WEIGHT = 0.35
PRIOR_COUNT = 20.0
"""Weight, in decisions, of the mean over all steps in the start state of one step."""
RIDGE = 50.0
"""Pull of the weights to START_WEIGHT, in units of the regression's curvature."""
NEWTON_STEPS = 8
SAMPLES = 16_000_000
"""Decisions kept for each regression."""
QUESTIONS = (("zero", "zero_score", 2.0), ("larger", "larger_score", -0.5))
"""What is asked of a level: sets of weights, contexts, and what is added to its log odds, so that
16 bins of half a natural logarithm hold most scores."""
PASSES = 6
BATCH = 1 << 13
FIRST_RATE = 0.3
PLACE_BANDS = [place if place < 64 else 3 * place - 128 for place in range(PLACES)]
"""First band of each place."""
PLACE_TERMS = 6 * PLACES * SUBS


class Strip(NamedTuple):
    """Levels int16 (R, C, planes, 1024), transform sizes uint8 (R, C) and step index of a strip."""

    levels: NDArray[np.int16]
    transform_sizes: NDArray[np.uint8]
    step: int


def tile_strips(
    levels: NDArray[np.int16],
    transform_sizes: NDArray[np.uint8],
    step: int,
    across: int,
    rows: int = 4,
) -> Iterator[Strip]:
    """Strips from square tiles laid side by side, so that they are as long as a photograph's.

    Args:
        levels: int16 (N, R, C, planes, 1024) of N tiles at one step.
        transform_sizes: uint8 (N, R, C).
        step: index.
        across: tiles a strip; those left over are not used.
        rows: patch rows a strip.
    """
    for first in range(0, len(levels) - across + 1, across):
        for row in range(0, levels.shape[1] - rows + 1, rows):
            chosen = slice(first, first + across), slice(row, row + rows)
            yield Strip(
                np.concatenate(list(levels[chosen]), axis=1),
                np.concatenate(list(transform_sizes[chosen]), axis=1),
                step,
            )


class _Trace(NamedTuple):
    sets: NDArray[np.int16]
    bits: NDArray[np.int16]
    inputs: NDArray[np.int16]
    contexts: NDArray[np.int16]
    logits: NDArray[np.int16]
    places: NDArray[np.int16]
    bins: NDArray[np.int16]


def _trace(strip: Strip, tables: DeviceTables) -> _Trace:
    """Every decision of a strip, in order."""
    try:
        native = import_module("heqcodec._native")
    except ImportError as error:
        raise RuntimeError(
            "training the device coder needs the C extension: install heqcodec with a C compiler"
        ) from error
    rows, columns, planes, _ = strip.levels.shape
    levels, transform_sizes = (
        np.ascontiguousarray(strip.levels),
        np.ascontiguousarray(strip.transform_sizes),
    )
    data = native.device_trace(
        tuple(tables), levels, transform_sizes, rows, columns, planes, strip.step
    )
    table = np.frombuffer(data, dtype=np.int16).reshape(-1, 4 + 2 * INPUTS + SUMS)
    contexts, logits, places, bins = np.split(
        table[:, 3:], np.cumsum([INPUTS, INPUTS, 1]).tolist(), axis=1
    )
    return _Trace(table[:, 0], table[:, 1], table[:, 2], contexts, logits, places[:, 0], bins)


def _chosen(trace: _Trace, which: NDArray[np.bool_], most: int, seed: int) -> _Trace:
    """So many of the decisions at most, by chance."""
    chosen = np.flatnonzero(which)
    if len(chosen) > most:
        chosen = np.random.default_rng(seed).choice(chosen, most, replace=False)
    return _Trace(*(column[chosen] for column in trace))


def _score_terms(trace: _Trace, first_context: int) -> NDArray[np.int16]:
    """Which unknowns each decision's log odds are the sum of, int16 (N, SUMS + 2); -1 is none.

    Unknowns are the scores by class, sum and bin, then those by plane, size, band and level of it,
    then one for each class and magnitude, which the tables leave out: contexts tell them.
    """
    row = (trace.contexts[:, 0] - first_context) // SCORES
    group, magnitude = row % BAND_GROUPS, row // (4 * BAND_GROUPS)
    place = trace.places % PLACE_TERMS
    of_class = place // (SUBS * PLACES) * BAND_GROUPS + group
    sums = (of_class[:, None] * SUMS + np.arange(SUMS)) * SUM_BINS + trace.bins
    sums[trace.bins == 0] = -1
    end = CLASSES * SUMS * SUM_BINS
    others = end + place, end + PLACE_TERMS + of_class * LARGER_CLASSES + magnitude
    return np.column_stack([sums, *others]).astype(np.int16)


def _fit_terms(terms: NDArray[np.int16], bits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unknowns of an additive logistic model, by AdaGrad on batches in random order."""
    random = np.random.default_rng(0)
    unknowns = CLASSES * SUMS * SUM_BINS + PLACE_TERMS + CLASSES * LARGER_CLASSES
    values, seen = np.zeros(unknowns + 1), np.full(unknowns + 1, 1e-9)
    for step in range(PASSES):
        order = random.permutation(len(terms))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            own = terms[batch].astype(np.int64)
            error = bits[batch] - 1 / (1 + np.exp(-values[own].sum(axis=1)))
            weights = np.repeat(error, own.shape[1])
            slope = np.bincount(own.reshape(-1) % (unknowns + 1), weights, unknowns + 1)
            seen += np.square(slope)
            values += FIRST_RATE / (1 + step) * slope / np.sqrt(seen)
            values[-1] = 0
    return values[:-1]


def _fit_scores(strips: Sequence[Strip], tables: DeviceTables) -> DeviceTables:
    share = max(SAMPLES // max(len(strips), 1), 1)
    kept: list[list[tuple[NDArray[np.int16], NDArray[np.int16]]]] = [[] for _ in QUESTIONS]
    for index, strip in enumerate(strips):
        trace = _trace(strip, tables)
        for question, (sets, contexts, _) in enumerate(QUESTIONS):
            after = trace.sets - SET_AT[sets]
            asked = _chosen(trace, (after >= 0) & (after < SET_KINDS[sets]), share, index)
            kept[question].append((_score_terms(asked, CONTEXT_AT[contexts]), asked.bits))
    scores, places = np.zeros(tables.scores.shape), np.zeros(tables.places.shape)
    for question, (_, _, offset) in enumerate(QUESTIONS):
        terms, bits = (np.concatenate(column) for column in zip(*kept[question], strict=True))
        values = _fit_terms(terms, bits.astype(np.float64))
        end = scores[question].size
        scores[question] = values[:end].reshape(scores[question].shape)
        by_place = values[end : end + PLACE_TERMS].reshape(6, PLACES, SUBS)
        counts = np.bincount(terms[:, -1] - end - PLACE_TERMS, minlength=CLASSES * LARGER_CLASSES)
        # Means over the magnitudes of what the tables leave out, by class; a place has the class
        # of its first band.
        left = values[end + PLACE_TERMS :].reshape(6, BAND_GROUPS, LARGER_CLASSES)
        weight = counts.reshape(left.shape) + 1e-9
        mean = (left * weight).sum(axis=2) / weight.sum(axis=2)
        group = np.searchsorted(GROUP_STARTS, PLACE_BANDS, side="right") - 1
        places[question] = by_place + mean[:, group, None] + offset

    def limited(table: NDArray[np.float64]) -> NDArray[np.int8]:
        return np.clip(np.rint(ODDS_STEP * table), -127, 127).astype(np.int8)

    return tables._replace(scores=limited(scores), places=limited(places))


def _count(strips: Sequence[Strip], tables: DeviceTables) -> NDArray[np.float64]:
    """How often each context saw 0 and 1 around each knot, float64 (KNOTS, CONTEXTS, 2)."""
    counts = np.zeros((KNOTS, CONTEXTS, 2))
    for strip in strips:
        trace = _trace(strip, tables)
        seen = np.zeros(2 * CONTEXTS)
        for place in range(INPUTS):
            there = trace.inputs > place
            key = 2 * trace.contexts[there, place].astype(np.int64) + trace.bits[there]
            seen += np.bincount(key, minlength=2 * CONTEXTS)
        after = min(max(strip.step - FIRST_KNOT, 0), 128 * (KNOTS - 1) - 1)
        knot, part = after >> 7, (after & 127) / 128
        counts[knot] += (1 - part) * seen.reshape(CONTEXTS, 2)
        counts[knot + 1] += part * seen.reshape(CONTEXTS, 2)
    return counts


def _start_states(counts: NDArray[np.float64]) -> NDArray[np.int8]:
    pooled = counts.sum(axis=0)
    mean = (pooled[:, 1] + 0.2) / (pooled.sum(axis=1) + 0.4)
    p = (counts[..., 1] + PRIOR_COUNT * mean) / (counts.sum(axis=2) + PRIOR_COUNT)
    odds = np.rint(ODDS_STEP * np.log(p / (1 - p)))
    return np.clip(odds, -127, 127).astype(np.int8)


def _regress(logits: NDArray[np.float64], bits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of a logistic regression without a constant, by Newton's method with halving."""
    inputs = logits.shape[1]
    goal = np.full(inputs, START_WEIGHT)
    signs = 1 - 2 * bits

    def cost(weights: NDArray[np.float64]) -> float:
        fit = float(np.logaddexp(0, signs * (logits @ weights)).sum())
        return fit + RIDGE / 2 * float(np.square(weights - goal).sum())

    weights, best = goal, cost(goal)
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-logits @ weights))
        gradient = logits.T @ (bits - p) + RIDGE * (goal - weights)
        curvature = (logits * (p * (1 - p))[:, None]).T @ logits + RIDGE * np.eye(inputs)
        move = np.linalg.solve(curvature, gradient)
        for _ in range(6):
            reached = cost(weights + move)
            if reached < best:
                weights, best = weights + move, reached
                break
            move = move / 2
    return weights


def _fit_weights(strips: Sequence[Strip], tables: DeviceTables) -> NDArray[np.int8]:
    share = max(SAMPLES // max(len(strips), 1), 1)
    kept: list[_Trace] = []
    for index, strip in enumerate(strips):
        trace = _trace(strip, tables)
        kept.append(_chosen(trace, trace.inputs > 1, share, index))
    together = _Trace(*(np.concatenate(column) for column in zip(*kept, strict=True)))
    weights = tables.weights.copy()
    for index in np.unique(together.sets):
        there = together.sets == index
        inputs = int(together.inputs[there][0])
        fitted = _regress(
            together.logits[there, :inputs] / ODDS_STEP, together.bits[there].astype(np.float64)
        )
        rounded = np.clip(np.rint(WEIGHT_STEP * fitted), -64, 63)
        weights[index, :inputs] = rounded.astype(np.int8)
    return weights


def first_tables() -> DeviceTables:
    """Tables that know nothing: even start states, equal weights, scores of 0."""
    weights = np.zeros((SETS, INPUTS), dtype=np.int8)
    for kind, inputs in SET_INPUTS.items():
        sets = slice(SET_AT[kind], SET_AT[kind] + SET_KINDS[kind])
        weights[sets, :inputs] = round(WEIGHT_STEP * (START_WEIGHT if inputs > 1 else 1))
    start = np.zeros((KNOTS, CONTEXTS), dtype=np.int8)
    fixed = curves()
    return DeviceTables(
        start,
        weights,
        np.zeros((2, CLASSES, SUMS, SUM_BINS), dtype=np.int8),
        np.zeros((2, 6, PLACES, SUBS), dtype=np.int8),
        fixed["stretch"].astype(np.int8),
        fixed["squash"].astype(np.uint16),
        fixed["widths"].astype(np.uint16),
    )


def fit_tables(strips: Sequence[Strip]) -> DeviceTables:
    """Tables for levels like these.

    Args:
        strips: of many photographs, at steps over the whole range. 1,552 strips of 4 x 24 patches
            took four minutes of a core.

    Raises:
        RuntimeError: the C extension is not built.
    """
    tables = _fit_scores(strips, first_tables())
    tables = tables._replace(start=_start_states(_count(strips, tables)))
    return tables._replace(weights=_fit_weights(strips, tables))
