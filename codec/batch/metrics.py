"""Figures of a running batch as a file of Prometheus's text format, for the textfile collector of
its node exporter."""

from __future__ import annotations

import time
from pathlib import Path

from heqcodec.base.files import write_bytes

from .run import Summary

__all__ = ["MetricsFile", "prometheus_text"]

_SECONDS = 5.0
_FIGURES = {
    "done": "Items that were done in this run.",
    "failed": "Items that failed in this run.",
    "skipped": "Items that earlier runs had done.",
    "deaths": "Workers that died with an item.",
    "input_bytes": "Bytes of sources.",
    "output_bytes": "Bytes of outputs.",
    "pixels": "Pixels of images.",
    "work_seconds": "Seconds of all workers together.",
}


class MetricsFile:
    """A file that is written every five seconds, whole or not at all.

    Args:
        path: of the file; the collector wants its name to end in ``.prom``.
        operation: label of all figures.
    """

    def __init__(self, path: Path, operation: str) -> None:
        self._path, self._operation = path, operation
        self._last = float("-inf")

    def update(self, summary: Summary, last: bool = False) -> None:
        """Write the file if it is time for that, or for the last time."""
        if last or time.monotonic() - self._last > _SECONDS:
            self._last = time.monotonic()
            write_bytes(self._path, prometheus_text(summary, self._operation).encode())


def prometheus_text(summary: Summary, operation: str) -> str:
    """Counters of a run in Prometheus's text format, and the items that are left, if they are
    known."""
    lines = []
    for name, text in _FIGURES.items():
        full = f"heqcodec_batch_{name}_total"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} counter"]
        lines.append(f'{full}{{operation="{operation}"}} {getattr(summary, name)}')
    if summary.items is not None:
        left = summary.items - summary.done - summary.failed
        full = "heqcodec_batch_items_left"
        lines += [f"# HELP {full} Items of this run still to do.", f"# TYPE {full} gauge"]
        lines.append(f'{full}{{operation="{operation}"}} {left}')
    return "\n".join(lines) + "\n"
