"""``heqcodec eval report``: results as one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from heqcodec.cli.common.options import Force, Published, PublishedOn, Verbose
from heqcodec.cli.common.terminal import (
    check_output,
    reports_errors,
    say,
    tell,
    usage_error,
    write_output,
)


@reports_errors
def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS...", help="Folders of `eval run`, or JSON files."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The HTML file to write.")],
    published: Published = None,
    published_on: PublishedOn = "kodak",
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor",
            metavar="NAME",
            help="Anchor of the BD-rate table when the page opens, measured or published; "
            "jpeg, where there is one, by default.",
        ),
    ] = None,
    bpp_ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="full|LO,HI",
            help="All common quality, the default, or bits per pixel of the anchor; may be given "
            "several times, for the page to choose from.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="Folder of the originals, without which no pictures."
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            metavar="N|NAME",
            help="How many images to show as pictures, 2 by default, or the name of one; names "
            "may be given several times.",
        ),
    ] = None,
    max_mb: Annotated[
        float,
        typer.Option("--max-mb", min=0.1, metavar="M", help="Megabytes for pictures, at most."),
    ] = 12.0,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Make one HTML page of curves, BD-rate, pictures and every image's figures.

    The page opens from disk and needs no network. Its pictures are those that `eval run --keep`
    has kept; they are embedded as many as fit, and the page says which are not.
    """
    from heqcodec.eval.bd_table import parse_range
    from heqcodec.eval.page_report import IMAGES, Request, report_page
    from heqcodec.eval.publications import named_curves
    from rich.console import Console

    names = images or []
    count = IMAGES
    if len(names) == 1 and names[0].isdecimal():
        count, names = int(names[0]), []
        if count == 0:
            raise usage_error("0 images show nothing; leave out --data instead.", "--images")
    check_output("", str(out), force)
    request = Request(
        results=results,
        published=named_curves(published),
        published_on=published_on,
        anchor=anchor,
        ranges=list(dict.fromkeys(parse_range(text) for text in bpp_ranges or ["full"])),
        data=data,
        images=names,
        image_count=count,
        max_megabytes=max_mb,
    )
    console = Console(stderr=True)
    with console.status("embedding pictures"):
        page = report_page(request)
    write_output(str(out), page)
    for note in request.notes:
        say(f"heqcodec: {note}")
    tell(f"Wrote {out}, {len(page) / 1e6:.1f} MB.")
