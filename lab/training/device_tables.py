"""Training the tables of the device coder on levels of photographs.

One call does it::

    strips = [strip for tile in tiles for strip in tile_strips(*tile, step, 3)]
    tables = fit_tables(strips)
    tensors = tables._asdict()        # name -> array, for the model's safetensors

Every decision of every strip is traced by the C extension; counting gives the start states, and
logistic regression on the traced log odds the weights. The first does not depend on any table, the
second on the start states alone, so nothing has to be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NamedTuple

import numpy as np
from heqcodec.nqe_r.device_coder.contexts import SET_AT, SET_INPUTS, SET_KINDS
from heqcodec.nqe_r.device_coder.tables import (
    CONTEXTS,
    FIRST_KNOT,
    INPUTS,
    KNOTS,
    ODDS_STEP,
    SETS,
    WEIGHT_STEP,
    DeviceTables,
    curves,
)
from numpy.typing import NDArray

START_WEIGHT = 0.35
PRIOR_COUNT = 20.0
"""Weight, in decisions, of the mean over all steps in the start state of one step."""
RIDGE = 50.0
"""Pull of the weights to START_WEIGHT, in units of the regression's curvature."""
NEWTON_STEPS = 8
SAMPLES = 6_000_000
"""Decisions kept for the regression."""


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
    table = np.frombuffer(data, dtype=np.int16).reshape(-1, 3 + 2 * INPUTS)
    return _Trace(
        table[:, 0], table[:, 1], table[:, 2], table[:, 3 : 3 + INPUTS], table[:, 3 + INPUTS :]
    )


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
    random = np.random.default_rng(0)
    kept: list[_Trace] = []
    for strip in strips:
        trace = _trace(strip, tables)
        chosen = np.flatnonzero(trace.inputs > 1)
        if len(chosen) > share:
            chosen = random.choice(chosen, share, replace=False)
        kept.append(_Trace(*(column[chosen] for column in trace)))
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
    """Tables that know nothing: even start states, equal weights."""
    weights = np.zeros((SETS, INPUTS), dtype=np.int8)
    for kind, inputs in SET_INPUTS.items():
        sets = slice(SET_AT[kind], SET_AT[kind] + SET_KINDS[kind])
        weights[sets, :inputs] = round(WEIGHT_STEP * (START_WEIGHT if inputs > 1 else 1))
    start = np.zeros((KNOTS, CONTEXTS), dtype=np.int8)
    fixed = curves()
    return DeviceTables(
        start,
        weights,
        fixed["stretch"].astype(np.int8),
        fixed["squash"].astype(np.uint16),
        fixed["widths"].astype(np.uint16),
    )


def fit_tables(strips: Sequence[Strip]) -> DeviceTables:
    """Tables for levels like these.

    Args:
        strips: of many photographs, at steps over the whole range. 400 strips of 4 x 24 patches
            took half a minute.

    Raises:
        RuntimeError: the C extension is not built.
    """
    tables = first_tables()
    tables = tables._replace(start=_start_states(_count(strips, tables)))
    return tables._replace(weights=_fit_weights(strips, tables))
