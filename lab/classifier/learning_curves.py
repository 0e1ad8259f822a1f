"""Learning curves: accuracy on the test images, epoch by epoch, as SVG."""

from __future__ import annotations

import io
from typing import Any

from heqcodec.eval.plots import COLOURS

from .run_folder import LoggedRun

DASHES = ("-", "--")
LEAST = 50.0
"""Percent at the bottom of the axis; the first epochs lie below it."""
_STYLE: Any = {"font.size": 10, "legend.fontsize": 8.5, "svg.hashsalt": "heqcodec"}


def draw(runs: list[LoggedRun]) -> bytes:
    """One pair of axes with a curve a run; the last epoch of a run that ended is a dot.

    Colours repeat after seven curves, dashed. The same runs, by the same version of matplotlib,
    give the same bytes.

    Args:
        runs: see `read_runs`.

    Returns:
        An SVG file.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for number, run in enumerate(runs):
            colour = COLOURS[number % len(COLOURS)]
            dashes = DASHES[number // len(COLOURS) % len(DASHES)]
            label = run.name if run.result else f"{run.name} (stopped)"
            axes.plot(run.epochs, run.accuracies, dashes, color=colour, linewidth=1.2, label=label)
            if run.result:
                axes.plot(run.epochs[-1:], run.accuracies[-1:], "o", color=colour, markersize=4)
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy (%)")
        axes.set_ylim(LEAST, 100)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
