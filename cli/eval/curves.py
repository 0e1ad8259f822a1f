"""``heqcodec eval curves``: plots of measured and published curves, and their BD-rates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from heqcodec.cli.common.options import Force, Published, PublishedOn, Verbose
from heqcodec.cli.common.terminal import print_table, refuse_existing, reports_errors, say, tell

if TYPE_CHECKING:
    from heqcodec.eval.bd_table import Row
    from heqcodec.eval.bjontegaard import Range
    from heqcodec.eval.curves import Curve

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
    published: Published = None,
    images: PublishedOn = "kodak",
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
    from heqcodec.base.files import write_bytes
    from heqcodec.eval import bd_table, plots
    from heqcodec.eval.curves import load_results
    from heqcodec.eval.publications import (
        anchor_curve,
        comparison_warnings,
        named_curves,
        published_curve,
    )

    rates = bd_table.parse_range(bpp_range)
    limits = plots.parse_xlim(xlim) if xlim else None
    names = named_curves(published)
    shown = [*load_results(results), *(published_curve(name, images) for name in names)]
    keys = list(dict.fromkeys(anchor or _default_anchor(shown)))
    anchors = [anchor_curve(key, shown, images) for key in keys]
    rows = [row for curve in anchors for row in bd_table.bd_rows(curve, shown, rates)]

    files = [*plots.plot_names(shown), *([CSV, MARKDOWN] if rows else [])]
    refuse_existing([out / name for name in files], force)
    for warning in comparison_warnings([*shown, *anchors], images):
        say(f"heqcodec: {warning}")
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
        title = f"{heading}, {bd_table.range_text(rates)}"
        print_table(title, bd_table.HEADINGS, [row.cells() for row in group])
