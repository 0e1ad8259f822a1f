"""Files of a comparison: results.json, a table in markdown, plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from heqcodec.base.files import write_bytes, write_json
from heqcodec.eval.markdown import markdown_table
from heqcodec.eval.plots import COLOURS

from .seeds import seed_deviation

HEADINGS = {"codec": "codec, PSNR in dB", "classifier": "CIFAR-10, %"}
UNITS = {"codec": "held-out PSNR (dB)", "classifier": "CIFAR-10 accuracy (%)"}


def _tasks(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [name for name in HEADINGS if rows and name in rows[0]]


def entropy_ratio(measured: dict[str, Any]) -> float | None:
    """Mean over the layers of entropy over its maximum; None in full precision."""
    ratios = [layer["entropy_ratio"] for layer in measured["layers"]]
    return mean(ratios) if ratios else None


def ordered(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Full precision first, then by bits, best in the first task first."""
    tasks = _tasks(rows)
    full = [row for row in rows if row["name"] is None]
    others = [row for row in rows if row["name"] is not None]
    return full + sorted(others, key=lambda row: (row["bits"], -row[tasks[0]]["figure"]))


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table, a quantizer a line: bits, figure, steps and use of the levels for each task.

    With several seeds figures are means, and the figure of each seed stands next to them.
    """
    tasks = _tasks(rows)
    several = any(len(row[task]["figures"]) > 1 for row in rows for task in tasks)
    titles = ["bits", "quantizer"]
    for task in tasks:
        titles += [HEADINGS[task], *(["by seed"] if several else []), "entropy / maximum", "steps"]
    lines = []
    for row in ordered(rows):
        cells = [str(row["bits"]), row["label"]]
        for task in tasks:
            ratio = entropy_ratio(row[task])
            used = "" if ratio is None else f"{ratio:.3f}"
            by_seed = ", ".join(f"{figure:.2f}" for figure in row[task]["figures"])
            cells += [f"{row[task]['figure']:.2f}", *([by_seed] if several else [])]
            cells += [used, str(row[task]["steps"])]
        lines.append(cells)
    text = markdown_table(titles, lines, names=2)
    if several:
        deviations = " and by ".join(_deviation(rows, task) for task in tasks)
        text += f"\nA training varies with its seed by {deviations}.\n"
    return text


def _deviation(rows: Sequence[dict[str, Any]], task: str) -> str:
    pooled, freedom = seed_deviation(rows, task)
    unit = "dB" if task == "codec" else "points"
    return f"{pooled:.2f} {unit} ({task}; one standard deviation, {freedom} degrees of freedom)"


def write_results(out: Path, rows: Sequence[dict[str, Any]], run: dict[str, Any]) -> None:
    """Write ``results.json`` (rows and the record of the run) and ``table.md``."""
    out.mkdir(parents=True, exist_ok=True)
    document = {**run, "rows": ordered(rows)}
    write_json(out / "results.json", document)
    write_bytes(out / "table.md", markdown(rows).encode())


def write_plots(out: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """Draw ``figures.png`` (points, by bits) and ``occupancy-TASK.png`` (levels of each layer).

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows, tasks, written = ordered(rows), _tasks(rows), [out / "figures.png"]
    figure, axes = plt.subplots(1, len(tasks), figsize=(5.4 * len(tasks), 4.4), squeeze=False)
    bits = sorted({row["bits"] for row in rows if row["name"] is not None})
    for axis, task in zip(axes[0], tasks, strict=True):
        for place, row in enumerate(rows):
            full = row["name"] is None
            colour = "#999999" if full else COLOURS[bits.index(row["bits"]) % len(COLOURS)]
            figures = row[task]["figures"]
            axis.plot(figures, [place] * len(figures), ".", color=colour, alpha=0.5)
            axis.plot(row[task]["figure"], place, "o", color=colour)
        values = [figure for row in rows for figure in row[task]["figures"]]
        margin = 0.25 * (max(values) - min(values)) + 0.1
        axis.set_xlim(min(values) - margin, max(values) + margin)
        names = [r["label"] if r["name"] is None else f"{r['label']}, {r['bits']} b" for r in rows]
        axis.set_yticks(range(len(rows)), names, fontsize=8)
        axis.invert_yaxis()
        axis.grid(axis="y", alpha=0.3)
        axis.set_xlabel(UNITS[task])
    figure.tight_layout()
    figure.savefig(written[0], dpi=130)
    plt.close(figure)
    quantized = [row for row in rows if row["name"] is not None]
    for task in tasks if quantized else ():
        written.append(out / f"occupancy-{task}.png")
        _plot_occupancy(written[-1], quantized, task)
    return written


def _plot_occupancy(path: Path, rows: Sequence[dict[str, Any]], task: str) -> None:
    """A histogram for each quantizer (down) and layer (across)."""
    from matplotlib import pyplot as plt

    layers = [layer["layer"] for layer in rows[0][task]["layers"]]
    shape = len(rows), len(layers)
    size = (1.3 * shape[1] + 1, 0.75 * shape[0] + 0.6)
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        for axis, layer in zip(line, row[task]["layers"], strict=True):
            total = sum(layer["counts"])
            fractions = [count / total for count in layer["counts"]]
            axis.bar(range(len(fractions)), fractions, color=COLOURS[0], width=0.9)
            axis.set_ylim(0, 1)
            axis.set_xticks([])
            axis.set_yticks([])
            texts = f"{layer['entropy_ratio']:.2f}"
            axis.text(0.97, 0.93, texts, transform=axis.transAxes, ha="right", va="top", fontsize=7)
        line[0].set_ylabel(row["label"], rotation=0, ha="right", va="center", fontsize=8)
    for axis, name in zip(axes[0], layers, strict=True):
        axis.set_title(name, fontsize=8)
    figure.tight_layout(h_pad=0.2, w_pad=0.2)
    figure.savefig(path, dpi=110)
    plt.close(figure)
