"""Runs that differ in their seed alone, as one line of a table: mean and spread."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, variance
from typing import Any

from heqcodec.base.errors import HeqError

from .run_folder import LoggedRun

OF_A_SEED = ("name", "seed")
"""Keys of a recipe in which runs of one group differ."""
HEADING = ("run", "what", "accuracy, %", "by seed", "spread", "weight bits", "minutes")


@dataclass(frozen=True)
class SeedGroup:
    """Finished runs of one recipe with several seeds.

    name: theirs, without the seed.  results: what their ``result.json`` hold, by seed.
    """

    name: str
    results: list[dict[str, Any]]

    @property
    def accuracies(self) -> list[float]:
        """In percent, by seed."""
        return [float(result["accuracy"]) for result in self.results]

    @property
    def spread(self) -> float:
        """From the lowest accuracy to the highest, in points; 0 of a single seed."""
        return max(self.accuracies) - min(self.accuracies)


def seed_groups(runs: list[LoggedRun]) -> list[SeedGroup]:
    """The finished runs by recipe, in the order of their first ones."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if run.result is not None:
            recipe = {k: v for k, v in run.result["recipe"].items() if k not in OF_A_SEED}
            groups.setdefault(json.dumps(recipe, sort_keys=True), []).append(run.result)
    made = []
    for results in groups.values():
        results.sort(key=lambda result: int(result["seed"]))
        first = results[0]
        made.append(SeedGroup(first["name"].removesuffix(f"-s{first['seed']}"), results))
    return made


def pooled_deviation(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """How much figures vary within their groups: a standard deviation, pooled over all of them.

    Args:
        groups: figures of the same thing with several seeds; single ones say nothing.

    Returns:
        It, NaN without a group of several figures, and its degrees of freedom.
    """
    several = [group for group in groups if len(group) > 1]
    freedom = sum(len(values) - 1 for values in several)
    if not freedom:
        return math.nan, 0
    squares = sum((len(values) - 1) * variance(values) for values in several)
    return math.sqrt(squares / freedom), freedom


def seed_table(runs: list[LoggedRun], against: str = "") -> str:
    """A Markdown table, a line a group, and how much runs vary with their seeds.

    Runs that did not end are left out.

    Args:
        runs: see `read_runs`.
        against: name of a group whose mean is subtracted from all others', "" for none.

    Raises:
        HeqError: there is no such group.
    """
    groups = seed_groups(runs)
    base = {group.name: mean(group.accuracies) for group in groups}
    if against and against not in base:
        raise HeqError(f"no finished run is called {against}; there are {', '.join(base)}.")
    heading = [*HEADING, *([f"against {against}"] if against else [])]
    rows = [heading, ["---"] * len(heading)]
    for group in groups:
        first, apart = group.results[0], base[group.name] - base.get(against, 0.0)
        several = len(group.results) > 1
        rows.append(
            [
                group.name,
                first["recipe"]["about"],
                f"{base[group.name]:.2f}",
                ", ".join(f"{value:.2f}" for value in group.accuracies),
                f"{group.spread:.2f}" if several else "",
                f"{first['conv_weight_bits']:,}",
                f"{sum(result['minutes'] for result in group.results):.1f}",
                *([f"{apart:+.2f}" if group.name != against else ""] if against else []),
            ]
        )
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    pooled, freedom = pooled_deviation([group.accuracies for group in groups])
    if not freedom:
        return lines
    return lines + (
        f"\nA run varies with its seed by {pooled:.2f} points (one standard deviation, pooled over "
        f"all lines of several seeds, {freedom} degrees of freedom).\n"
    )
