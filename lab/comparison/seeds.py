"""Comparisons that differ in their seed alone, as one: means, and how much seeds matter."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from heqcodec.lab.classifier.seed_table import pooled_deviation


def merged(
    rounds: Sequence[Sequence[dict[str, Any]]], tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """One row a quantizer of the rows of several seeds.

    Args:
        rounds: rows of each seed, as ``compare`` yields them; a round may be cut short.
        tasks: by name.

    Returns:
        The rows of the first round. Of each task ``figures`` are those of all seeds in order,
        ``figure`` and ``steps`` their means, ``seconds`` their sum, ``layers`` those of the first.
    """
    rows = []
    for row in rounds[0]:
        same = [other for part in rounds for other in part if other["label"] == row["label"]]
        whole = dict(row)
        for task in tasks:
            measured = [other[task] for other in same]
            whole[task] = {
                "figure": mean(one["figure"] for one in measured),
                "figures": [one["figure"] for one in measured],
                "steps": round(mean(one["steps"] for one in measured)),
                "seconds": round(sum(one["seconds"] for one in measured), 1),
                "layers": row[task]["layers"],
            }
        rows.append(whole)
    return rows


def seed_deviation(rows: Sequence[dict[str, Any]], task: str) -> tuple[float, int]:
    """How much one training varies with its seed, pooled over all rows.

    The float baseline that all of a seed's trainings begin from is common to them: this counts with
    the rest.

    Returns:
        Standard deviation in the task's unit, NaN of a single seed; and its degrees of freedom.
    """
    return pooled_deviation([row[task]["figures"] for row in rows])
