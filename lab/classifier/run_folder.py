"""Folders of runs as ``heqcodec.lab.classifier.queue`` writes them, finished or not, read again."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes

from .run import RESULT

LOG = "log.csv"
RUNS = "runs.json"
"""What tables and curves are made of, of all runs: with it their folders need not be kept."""


@dataclass(frozen=True)
class LoggedRun:
    """A run as far as it went.

    name: of the run.
    epochs: numbers of the epochs, from 1.
    accuracies: on the test images after each epoch, in percent, in the precision of training.
    result: what ``result.json`` holds, None of a run that did not end.
    """

    name: str
    epochs: list[int]
    accuracies: list[float]
    result: dict[str, Any] | None


def read_runs(folder: Path, order: list[str]) -> list[LoggedRun]:
    """The runs of a folder.

    Args:
        folder: with a folder for each run, or else with the file of `write_runs`.
        order: names of runs; those come first and in this order, others after them by name.

    Raises:
        HeqError: there are none, or a file of theirs is damaged.
    """
    runs = [_read_run(log) for log in folder.glob(f"*/{LOG}")]
    if not runs and (folder / RUNS).exists():
        runs = [LoggedRun(**run) for run in json.loads((folder / RUNS).read_text("utf-8"))]
    if not runs:
        raise HeqError(f"{folder} holds no runs: no folder with {LOG}, and no {RUNS}.")
    places = {name: place for place, name in enumerate(order)}
    return sorted(runs, key=lambda run: (places.get(run.name, len(places)), run.name))


def write_runs(folder: Path, runs: list[LoggedRun]) -> None:
    """Write the file from which `read_runs` reads the runs of a folder alone, a line a run."""
    lines = ",\n".join(json.dumps(asdict(run)) for run in runs)
    write_bytes(folder / RUNS, f"[{lines}]\n".encode())


def _read_run(log: Path) -> LoggedRun:
    try:
        with log.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        epochs = [int(row["epoch"]) for row in rows]
        accuracies = [float(row["test_accuracy"]) for row in rows]
        stored = log.with_name(RESULT)
        result = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise HeqError(f"the run of {log.parent} cannot be read: {error}.") from error
    if not rows:
        raise HeqError(f"{log} is empty.")
    return LoggedRun(log.parent.name, epochs, accuracies, result)
