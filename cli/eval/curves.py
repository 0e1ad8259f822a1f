"""``heqcodec eval curves``: plots of measured and published curves, and their BD-rates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from heqcodec.cli.common.options import Force, Verbose
from heqcodec.cli.common.terminal import print_table, reports_errors, say, tell

if TYPE_CHECKING:
    from heqcodec.eval.bd_table import Row
    from heqcodec.eval.bjontegaard import Range
    from heqcodec.eval.curves import Curve
    from rich.table import Table

CSV = "bd-rate.csv"
MARKDOWN = "bd-rate.md"
DEFAULT_ANCHOR = "jpeg"


@reports_errors
def curves(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...", help="Folders that `eval run` wrote, or JSON files.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for plots and tables.")
    ],
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="NAME",
            help="What to compare with, measured or published; may be given several times. "
            "jpeg, where there is one, by default.",
        ),
    ] = None,
    bpp_range: Annotated[
        str,
        typer.Option(
            "--range",
            metavar="full|LO,HI",
            help="All common quality, or bits per pixel of the anchor.",
        ),
    ] = "full",
    published: Annotated[
        list[str] | None,
        typer.Option(
            "--published",
            metavar="NAME",
            help="Add a published curve, as bpg444 or vtm,av1; may be given several times. "
            "An unknown name lists all.",
        ),
    ] = None,
    images: Annotated[
        str,
        typer.Option(
            "--published-on", metavar="SET", help="The images that published curves are of."
        ),
    ] = "kodak",
    title: Annotated[str, typer.Option(help="Text over the plots.")] = "",
    xlim: Annotated[
        str | None,
        typer.Option(
            "--xlim", metavar="LO,HI", help="Bits per pixel that the plots show; all by default."
        ),
    ] = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Draw rate-distortion curves as PNG and SVG, and print and keep the table of BD-rates.

    PSNR over RGB and luma, MS-SSIM, PSNR-B and blockiness over bits per pixel, as far as the
    results have them, one figure each; bd-rate.csv and bd-rate.md. Published curves are dashed.
    """
    from heqcodec.base.errors import HeqError
    from heqcodec.base.files import write_bytes
    from heqcodec.eval import bd_table, plots
    from heqcodec.eval.curves import load_results
    from heqcodec.eval.publications import (
        anchor_curve,
        comparison_warnings,
        published_curve,
    )

    rates = bd_table.parse_range(bpp_range)
    limits = plots.parse_xlim(xlim) if xlim else None
    names = dict.fromkeys(name for text in published or [] for name in text.split(",") if name)
    shown = [*load_results(results), *(published_curve(name, images) for name in names)]
    keys = list(dict.fromkeys(anchor or _default_anchor(shown)))
    anchors = [anchor_curve(key, shown, images) for key in keys]
    rows = [row for curve in anchors for row in bd_table.bd_rows(curve, shown, rates)]

    files = [*plots.plot_names(shown), *([CSV, MARKDOWN] if rows else [])]
    existing = [out / name for name in files if (out / name).exists()]
    if existing and not force:
        raise HeqError(f"{existing[0]} exists; give another --out, or -f to replace it.")
    for warning in comparison_warnings([*shown, *anchors], images):
        say(f"heqcodec: {warning}")
    out.mkdir(parents=True, exist_ok=True)
    plots.draw(shown, out, title, limits)
    if rows:
        write_bytes(out / CSV, bd_table.csv_text(rows, rates).encode())
        write_bytes(out / MARKDOWN, bd_table.markdown(rows, rates).encode())
    _print(rows, rates)
    if not anchors:
        say("heqcodec: No BD-rates: name what to compare with by --anchor.")
    tell(f"Wrote {', '.join(files)} to {out}.")


def _default_anchor(shown: list[Curve]) -> list[str]:
    """A published JPEG counts only where it was named: its images may be others."""
    from heqcodec.eval.curves import find

    keys = (DEFAULT_ANCHOR, f"published/{DEFAULT_ANCHOR}")
    return next(([key] for key in keys if find(shown, key)), [])


def _print(rows: list[Row], rates: Range | None) -> None:
    from heqcodec.eval import bd_table

    for heading, group in bd_table.groups(rows):
        print_table(_table(f"{heading}, {bd_table.range_text(rates)}", group))


def _table(title: str, rows: list[Row]) -> Table:
    from heqcodec.eval.bd_table import HEADINGS
    from rich.table import Table

    table = Table(title=title)
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row.cells())
    return table
