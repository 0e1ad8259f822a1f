"""Plots of curves over the rate, for screens and for print.

Curves differ by colour and by marker, so that a black-and-white print and a colour-blind
reader lose nothing: the colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008),
without their yellow, which paper hardly shows. Published curves are dashed, with open markers; a
published and a measured curve of the same codec share colour and marker.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.eval.curves import Curve

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">", "p")
"""As many as have no common divisor with the colours, so that pairs repeat after 77 only."""
FORMATS = ("png", "svg")
_DPI = 200
_PANEL = (5.4, 4.4)  # inches, without the legend
_SMALL_PANEL = (3.6, 3.4)  # of a figure with several
_STYLE: Any = {
    "font.size": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    # The same curves give the same files.
    "svg.hashsalt": "heqcodec",
}


@dataclass(frozen=True)
class Panel:
    """One pair of axes: a measure of a point over the rate."""

    measure: str
    label: str
    level: float | None = None  # a line to compare with
    wide: bool = False  # from 0 over orders of magnitude, so on a logarithmic axis that has 0


FIGURES: dict[str, tuple[Panel, ...]] = {
    "psnr": (Panel("psnr", "PSNR over RGB (dB)"),),
    "psnr-luma": (Panel("psnr_luma", "PSNR over luma (dB)"),),
    "ms-ssim": (Panel("ms_ssim_db", "MS-SSIM (dB): $-10\\,\\log_{10}(1-x)$"),),
    "psnr-b": (
        Panel("psnr_b8", "PSNR-B (dB), blocks of 8"),
        Panel("psnr_b32", "PSNR-B (dB), blocks of 32"),
    ),
    "blockiness": (
        Panel("border_ratio", "Border step ratio (originals: 1)", level=1.0),
        Panel("bef32", "Blocking effect factor, blocks of 32", wide=True),
        Panel("bef8", "Blocking effect factor, blocks of 8", wide=True),
    ),
}
"""File name -> its panels. Figures and panels without data are left out."""


def plot_names(curves: Sequence[Curve]) -> list[str]:
    """Names of the files that ``draw`` writes for these curves."""
    return [f"{name}.{form}" for name, _ in _figures(curves) for form in FORMATS]


def parse_xlim(text: str) -> tuple[float, float]:
    """Read ``LO,HI`` as bits per pixel. Raises ``HeqError`` unless 0 < LO < HI."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not 0 < low < high < float("inf"):
        raise HeqError(
            f"{text} are no limits of an axis; give two rates above 0 in bits per pixel as 0.1,1, "
            "the lower first."
        )
    return low, high


def draw(
    curves: Sequence[Curve],
    folder: Path,
    title: str = "",
    xlim: tuple[float, float] | None = None,
) -> list[Path]:
    """Write every figure that the curves have data for, as PNG (200 dpi) and SVG.

    The same curves, by the same version of matplotlib, give the same bytes.

    Args:
        curves: in the order of the legend, which also gives each its colour and marker.
        folder: where the files go, replacing what is there; made if it is not there.
        title: over each figure, when given.
        xlim: rates to show, bits per pixel, the lower one first and above 0; None for all. The
            other axis then spans the points at these rates.

    Returns:
        The files written.

    Raises:
        HeqError: matplotlib is not installed.
        OSError: a file cannot be written.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise HeqError(
            'Plots need matplotlib, which is not installed; run pip install "heqcodec[eval]".'
        ) from error

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, panels in _figures(curves):
        with rc_context(_STYLE):
            figure = _figure(curves, panels, title, xlim)
            for form in FORMATS:
                path = folder / f"{name}.{form}"
                write_bytes(path, _rendered(figure, form))
                written.append(path)
    return written


def _figures(curves: Sequence[Curve]) -> Iterator[tuple[str, list[Panel]]]:
    for name, panels in FIGURES.items():
        drawn = [p for p in panels if any(curve.pairs(p.measure) for curve in curves)]
        if drawn:
            yield name, drawn


def _figure(
    curves: Sequence[Curve],
    panels: Sequence[Panel],
    title: str,
    xlim: tuple[float, float] | None,
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [c for c in curves if any(c.pairs(panel.measure) for panel in panels)]
    several = len(panels) > 1
    # Right of one panel the legend makes the page as wide as text; below several, it saves width.
    columns = _legend_columns(shown, len(panels)) if several else 1
    width, height = _SMALL_PANEL if several else _PANEL
    legend = _line_width(shown), 0.19 * -(-len(shown) // columns)
    if several:
        width, height = width * len(panels), height + legend[1]
    else:
        width, height = width + legend[0], max(height, legend[1] + 0.4)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    styles = _styles(curves)
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        for curve in shown:
            if pairs := curve.pairs(panel.measure):
                axes.plot(*zip(*pairs, strict=True), label=curve.label, **styles[curve.key])
        _finish(axes, panel, xlim)
        if several:
            axes.tick_params(labelsize=8)
    handles: dict[Any, Artist] = {}
    for axes in figure.axes:
        lines, labels = axes.get_legend_handles_labels()
        handles.update(zip(labels, lines, strict=True))
    order = [curve.label for curve in shown]
    figure.legend(
        [handles[label] for label in order],
        order,
        loc="outside lower center" if several else "outside right center",
        ncols=columns,
        frameon=False,
        handlelength=3.2,
        columnspacing=1.6,
    )
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _finish(axes: Axes, panel: Panel, xlim: tuple[float, float] | None) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log", base=2)
    if xlim:
        _limit(axes, xlim)
    low, high = axes.get_xlim()
    ticks = [2.0**k for k in range(-10, 8) if low <= 2.0**k <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.set_xlabel("Rate (bits per pixel)")
    axes.set_ylabel(panel.label)
    axes.grid(True, color="#D9D9D9", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if panel.level is not None:
        axes.axhline(panel.level, color="#555555", linewidth=1.0, zorder=1)
    if panel.wide:
        axes.set_yscale("symlog", linthresh=1.0, linscale=0.5)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        # Room for whole markers at 0 and at the top.
        axes.set_ylim(-0.15, 1.6 * max(1.0, axes.get_ylim()[1] if xlim else axes.dataLim.y1))


def _limit(axes: Axes, xlim: tuple[float, float]) -> None:
    """Show these rates, and on the other axis what the curves reach at them."""
    import numpy as np

    reached = []
    for line in axes.get_lines():
        rates, values = (np.asarray(data, dtype=float) for data in line.get_data())
        inside = (rates >= xlim[0]) & (rates <= xlim[1])
        reached += values[inside].tolist()
        # Where a line enters and leaves; the axis of rates is logarithmic.
        for rate in xlim:
            if rates[0] <= rate <= rates[-1]:
                reached.append(float(np.interp(np.log(rate), np.log(rates), values)))
    axes.set_xlim(*xlim)
    if reached:
        room = 0.05 * (max(reached) - min(reached) or 1.0)
        axes.set_ylim(min(reached) - room, max(reached) + room)


def _styles(curves: Sequence[Curve]) -> dict[str, dict[str, Any]]:
    """Curve -> how its line looks. One place for each codec, measured ones first."""
    names = list(dict.fromkeys(c.name for c in sorted(curves, key=lambda c: c.published)))
    styles: dict[str, dict[str, Any]] = {}
    for curve in curves:
        place = names.index(curve.name)
        colour = COLOURS[place % len(COLOURS)]
        styles[curve.key] = {
            "color": colour,
            "marker": MARKERS[place % len(MARKERS)],
            "linestyle": (0, (4, 2)) if curve.published else "-",
            "markerfacecolor": "white" if curve.published else colour,
            "zorder": 2.0 if curve.published else 2.5,
        }
    return styles


def _line_width(curves: Sequence[Curve]) -> float:
    """Inches that the longest line of the legend takes, about."""
    return 0.85 + 0.066 * max(len(curve.label) for curve in curves)


def _legend_columns(curves: Sequence[Curve], panels: int) -> int:
    """As many as fit under the panels."""
    fitting = int(_SMALL_PANEL[0] * panels / _line_width(curves))
    return max(1, min(len(curves), fitting))


def _rendered(figure: Figure, form: str) -> bytes:
    # Neither the date nor the version of the library belongs into the file.
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if form == "svg" else {}
    metadata = metadata or {"Software": None}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()
